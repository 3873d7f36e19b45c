#pragma once

#include <kuva/core/error.hpp>
#include <kuva/hl7/data_types.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace kuva::sandbox {

// What messages have said of a patient. Absent: nothing was said, and objects show what is stored; empty: deleted.
struct PatientRecord {
  hl7::PatientIdentifier identifier;
  std::optional<std::string> name;        // as PN, UTF-8
  std::optional<std::string> birth_date;  // DA
  std::optional<std::string> sex;         // CS
};

// Why a message is refused, in the words of dcm4chee-arc.
struct PatientRefusal {
  std::string code;  // HL7 table 0357: 204, 205
  std::string location;
  std::string text;  // with identifiers: for the peer, not for logs
};

// What happens to a message about a patient that was merged away. dcm4chee-arc's default is to refuse.
enum class MergedPolicy { reject, ignore, ignore_duplicate_merge };

// The patients that messages have named, in a SQLite database that is itself the truth. A patient that was merged away,
// or got another identifier, stays as an alias of the one that it went into. Identifiers are matched as dcm4chee-arc
// does: the same one, and authorities that do not contradict each other; an exact match goes first.
// All members may be called from any thread. Errors: local.write.
class Patients {
 public:
  Patients(const std::filesystem::path& file, bool durable);
  ~Patients();

  // Creates the patient or replaces what the record says.
  std::optional<PatientRefusal> update(const PatientRecord& record, MergedPolicy policy);
  // `prior` disappears into the patient of the record.
  std::optional<PatientRefusal> merge(const hl7::PatientIdentifier& prior, const PatientRecord& record,
                                      MergedPolicy policy);
  // `prior` gets the identifier of the record. `is_taken`: objects are stored under that.
  std::optional<PatientRefusal> change_identifier(const hl7::PatientIdentifier& prior, const PatientRecord& record,
                                                  MergedPolicy policy, bool is_taken);

  // Who a patient is now, through all merges; nothing when no message named it, or when it cannot be told apart.
  std::optional<PatientRecord> current(const hl7::PatientIdentifier& identifier);
  // All identifiers of the patient that this one is now, its aliases too.
  std::vector<hl7::PatientIdentifier> aliases(const hl7::PatientIdentifier& identifier);
  // Every identifier that is known, one after the other; `after` is 0 at first.
  struct Listed {
    std::int64_t key = 0;
    hl7::PatientIdentifier identifier;
  };
  std::optional<Listed> next(std::int64_t after);

 private:
  struct Row {
    std::int64_t key = 0;
    PatientRecord record;
    std::optional<std::int64_t> into;
  };
  struct Database;

  // Throws PatientRefusal where several match.
  std::optional<Row> find(const hl7::PatientIdentifier& identifier, const char* location);
  std::optional<Row> get(std::int64_t key);
  Row survivor_of(Row row);
  PatientRefusal merged(const Row& row, const char* location);
  std::int64_t insert(const PatientRecord& record);
  void save(std::int64_t key, const PatientRecord& record);
  void link(std::int64_t key, std::int64_t into);

  std::mutex m_mutex;
  std::unique_ptr<Database> m_database;
};

}  // namespace kuva::sandbox
