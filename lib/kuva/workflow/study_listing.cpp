#include <kuva/core/database.hpp>
#include <kuva/core/record.hpp>
#include <kuva/workflow/study_listing.hpp>

#include <array>

namespace kuva::workflow {

namespace {

using ledger::State;

constexpr std::string_view k_listing_database = "temporary database of a study's comparison";

constexpr const char* k_listing_tables =
    "CREATE TABLE listed (place INTEGER, uid TEXT, class TEXT, series TEXT, study TEXT, availability TEXT,"
    " PRIMARY KEY (place, uid)) WITHOUT ROWID;"
    "CREATE TABLE known (uid TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE rejected_instance (uid TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE difference (position INTEGER PRIMARY KEY, record TEXT);"
    "BEGIN";

struct DifferenceWord {
  InstanceDifference difference;
  std::string_view word;
  std::string_view sign;
};
constexpr auto k_difference_words = std::to_array<DifferenceWord>({
    {InstanceDifference::missing, "missing", "-"},
    {InstanceDifference::committed_gone, "committed-gone", "!"},
    {InstanceDifference::rejected, "rejected", "!"},
    {InstanceDifference::extra, "extra", "+"},
    {InstanceDifference::present_unsent, "present-unsent", "+"},
    {InstanceDifference::present_failed, "present-failed", "!"},
    {InstanceDifference::other_study, "other-study", "!"},
    {InstanceDifference::other_series, "other-series", "!"},
    {InstanceDifference::other_class, "other-class", "!"},
    {InstanceDifference::unavailable, "unavailable", "!"},
    {InstanceDifference::not_in_manifest, "not-in-manifest", "!"},
    {InstanceDifference::only_in_manifest, "only-in-manifest", "!"},
    {InstanceDifference::content, "content", "!"},
});

const DifferenceWord& words_of(InstanceDifference difference) {
  return k_difference_words[static_cast<std::size_t>(difference)];
}

}  // namespace

std::string_view to_string(InstanceDifference difference) { return words_of(difference).word; }
std::string_view sign_of(InstanceDifference difference) { return words_of(difference).sign; }

bool is_expected_in_archive(State state) {
  return state == State::stored || state == State::stored_with_warning || state == State::committed ||
         state == State::registered;
}

std::optional<InstanceDifference> judge(const ledger::Instance& row, const ArchiveInstance* listed, bool rejected) {
  switch (row.state) {
    case State::skipped:
    case State::superseded:
      return std::nullopt;
    case State::seen:
    case State::valid:
    case State::sending:
    case State::indeterminate:
      return listed == nullptr ? std::nullopt : std::optional(InstanceDifference::present_unsent);
    case State::failed_temporary:
    case State::failed_permanent:
      // Of two objects with one UID the other one is there.
      return listed == nullptr || row.error_code == kind("batch.uid-clash").code
                 ? std::nullopt
                 : std::optional(InstanceDifference::present_failed);
    case State::stored:
    case State::stored_with_warning:
    case State::committed:
    case State::registered:
      break;
  }
  if (listed == nullptr) {
    if (rejected) {
      return InstanceDifference::rejected;
    }
    return row.state == State::committed || row.state == State::registered ? InstanceDifference::committed_gone
                                                                           : InstanceDifference::missing;
  }
  const auto differs = [](const std::string& here, const std::string& there) {
    return !there.empty() && !here.empty() && here != there;
  };
  if (differs(row.study_instance_uid, listed->study_instance_uid)) {
    return InstanceDifference::other_study;
  }
  if (differs(row.series_instance_uid, listed->series_instance_uid)) {
    return InstanceDifference::other_series;
  }
  if (differs(row.sop_class_uid, listed->sop_class_uid)) {
    return InstanceDifference::other_class;
  }
  if (listed->availability == "UNAVAILABLE") {
    return InstanceDifference::unavailable;
  }
  return std::nullopt;
}

std::string_view to_string(StudySign sign) {
  static constexpr std::array<std::string_view, 5> k_words{"equal", "more", "missing", "different", "not-checked"};
  return k_words[static_cast<std::size_t>(sign)];
}

std::string_view character_of(StudySign sign) {
  static constexpr std::array<std::string_view, 5> k_characters{"=", "+", "-", "!", "?"};
  return k_characters[static_cast<std::size_t>(sign)];
}

std::uint64_t StudyTally::count(InstanceDifference difference) const {
  const auto found = differences.find(difference);
  return found == differences.end() ? 0 : found->second;
}

StudySign StudyTally::sign() const {
  bool missing = false;
  bool more = false;
  bool different = attributes != 0;
  for (const auto& [difference, number] : differences) {
    if (number != 0) {
      const std::string_view sign = sign_of(difference);
      missing = missing || sign == "-";
      more = more || sign == "+";
      different = different || sign == "!";
    }
  }
  if (different || (missing && more)) {
    return StudySign::different;
  }
  return missing ? StudySign::missing : more ? StudySign::more : StudySign::equal;
}

struct StudyListing::Database {
  SQLite::Database db = open_temporary_database(k_listing_tables);
  SQLite::Statement insert{db, "INSERT OR IGNORE INTO listed VALUES (?, ?, ?, ?, ?, ?)"};
  SQLite::Statement select{db,
                           "SELECT uid, class, series, study, availability FROM listed WHERE place = ? AND uid = ?"};
  SQLite::Statement count{db, "SELECT count(*) FROM listed WHERE place = ?"};
  SQLite::Statement mark{db, "INSERT OR IGNORE INTO known VALUES (?)"};
  SQLite::Statement unmarked{db,
                             "SELECT uid, class, series, study, availability FROM listed WHERE place = ?1"
                             " AND (?2 = '' OR class = ?2) AND uid NOT IN (SELECT uid FROM known) ORDER BY uid"};
  SQLite::Statement reject{db, "INSERT OR IGNORE INTO rejected_instance VALUES (?)"};
  SQLite::Statement rejected{db, "SELECT 1 FROM rejected_instance WHERE uid = ?"};
  SQLite::Statement keep{db, "INSERT INTO difference VALUES (NULL, ?)"};
  SQLite::Statement kept{db, "SELECT record FROM difference ORDER BY position"};
};

namespace {

// A statement is ready for its next use however this one ends.
class StatementUse {
 public:
  explicit StatementUse(SQLite::Statement& statement) : m_statement(statement) {}
  StatementUse(const StatementUse&) = delete;
  StatementUse& operator=(const StatementUse&) = delete;
  ~StatementUse() { m_statement.tryReset(); }

 private:
  SQLite::Statement& m_statement;
};

ArchiveInstance listed_row(SQLite::Statement& row) {
  ArchiveInstance instance;
  instance.sop_instance_uid = row.getColumn(0).getString();
  instance.sop_class_uid = row.getColumn(1).getString();
  instance.series_instance_uid = row.getColumn(2).getString();
  instance.study_instance_uid = row.getColumn(3).getString();
  instance.availability = row.getColumn(4).getString();
  return instance;
}

}  // namespace

StudyListing::StudyListing()
    : m_database(with_database(k_listing_database, [] { return std::make_unique<Database>(); })) {}

StudyListing::~StudyListing() = default;

void StudyListing::clear() {
  with_database(k_listing_database, [&] {
    m_database->db.exec("DELETE FROM listed; DELETE FROM known; DELETE FROM rejected_instance; DELETE FROM difference");
  });
}

bool StudyListing::add(Where where, const ArchiveInstance& instance) {
  return with_database(k_listing_database, [&] {
    SQLite::Statement& insert = m_database->insert;
    insert.bind(1, static_cast<int>(where));
    insert.bindNoCopy(2, instance.sop_instance_uid);
    insert.bindNoCopy(3, instance.sop_class_uid);
    insert.bindNoCopy(4, instance.series_instance_uid);
    insert.bindNoCopy(5, instance.study_instance_uid);
    insert.bindNoCopy(6, instance.availability);
    const int inserted = insert.exec();
    insert.reset();
    return inserted != 0;
  });
}

std::optional<ArchiveInstance> StudyListing::find(Where where, const std::string& sop_instance_uid) {
  return with_database(k_listing_database, [&]() -> std::optional<ArchiveInstance> {
    SQLite::Statement& select = m_database->select;
    select.bind(1, static_cast<int>(where));
    select.bindNoCopy(2, sop_instance_uid);
    std::optional<ArchiveInstance> found;
    if (select.executeStep()) {
      found = listed_row(select);
    }
    select.reset();
    return found;
  });
}

std::uint64_t StudyListing::count(Where where) {
  return with_database(k_listing_database, [&] {
    SQLite::Statement& count = m_database->count;
    count.bind(1, static_cast<int>(where));
    count.executeStep();
    const auto instances = static_cast<std::uint64_t>(count.getColumn(0).getInt64());
    count.reset();
    return instances;
  });
}

void StudyListing::mark(const std::string& sop_instance_uid) {
  with_database(k_listing_database, [&] {
    m_database->mark.bindNoCopy(1, sop_instance_uid);
    m_database->mark.exec();
    m_database->mark.reset();
  });
}

void StudyListing::for_each_unmarked(Where where, const std::string& sop_class_uid,
                                     const std::function<void(const ArchiveInstance&)>& visit) {
  with_database(k_listing_database, [&] {
    SQLite::Statement& unmarked = m_database->unmarked;
    const StatementUse use(unmarked);
    unmarked.bind(1, static_cast<int>(where));
    unmarked.bind(2, sop_class_uid);
    while (unmarked.executeStep()) {
      visit(listed_row(unmarked));
    }
  });
}

void StudyListing::reject(const std::string& sop_instance_uid) {
  with_database(k_listing_database, [&] {
    m_database->reject.bindNoCopy(1, sop_instance_uid);
    m_database->reject.exec();
    m_database->reject.reset();
  });
}

bool StudyListing::is_rejected(const std::string& sop_instance_uid) {
  return with_database(k_listing_database, [&] {
    m_database->rejected.bindNoCopy(1, sop_instance_uid);
    const bool found = m_database->rejected.executeStep();
    m_database->rejected.reset();
    return found;
  });
}

void StudyListing::keep_record(const Json& record) {
  with_database(k_listing_database, [&] {
    m_database->keep.bind(1, to_line(record));
    m_database->keep.exec();
    m_database->keep.reset();
  });
}

void StudyListing::for_each_record(const std::function<void(const Json&)>& visit) {
  with_database(k_listing_database, [&] {
    SQLite::Statement& kept = m_database->kept;
    const StatementUse use(kept);
    while (kept.executeStep()) {
      visit(Json::parse(kept.getColumn(0).getString()));
    }
  });
}

}  // namespace kuva::workflow
