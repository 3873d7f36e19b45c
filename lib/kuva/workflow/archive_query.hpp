#pragma once

#include <kuva/dimse/messenger.hpp>
#include <kuva/workflow/target.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace kuva::workflow {

// What an archive says of a study at the STUDY level. Text in UTF-8; nothing where the archive does not return it.
struct ArchiveStudy {
  std::optional<std::string> patient_id;
  std::optional<std::string> issuer_of_patient_id;
  std::optional<std::string> accession_number;
  std::optional<std::string> study_date;
};

// An instance that an archive lists.
struct ArchiveInstance {
  std::string sop_instance_uid;
  std::string sop_class_uid;  // empty: not returned
  std::string series_instance_uid;
  std::string study_instance_uid;
  std::string availability;  // Instance Availability (0008,0056); empty: not returned
};

// Asks an archive what it has. For one thread. Errors of all: those of associate, dimse::find; interrupted when the run
// is to stop. An answer that is not all of it is no error.
class ArchiveQuery {
 public:
  using Sink = std::function<void(const ArchiveInstance&)>;

  virtual ~ArchiveQuery() = default;
  // By the Study Instance UID alone. Nothing where the archive does not know the study.
  virtual std::optional<ArchiveStudy> study(const std::string& study_instance_uid) = 0;
  // Series by series.
  virtual void list(const std::string& study_instance_uid, const Sink& sink) = 0;
  // Asks once more for what was not listed: all of the study in one query without a series; then these instances by
  // their UIDs, in the series that they are of and without saying series or study. A way that the archive refuses is
  // passed by, unless it refuses all.
  virtual void list_again(const std::string& study_instance_uid, const Sink& sink) = 0;
  struct Sought {
    std::string sop_instance_uid;
    std::string series_instance_uid;
  };
  virtual void seek(const std::string& study_instance_uid, const std::vector<Sought>& instances, const Sink& sink) = 0;
};

// C-FIND in the Study Root model (PS3.4 C.6.2), over one association that stays open.
class FindQuery final : public ArchiveQuery {
 public:
  // Errors: tls.config.
  FindQuery(const Target& target, Observer& observer, std::stop_token stop);
  ~FindQuery() override;

  std::optional<ArchiveStudy> study(const std::string& study_instance_uid) override;
  void list(const std::string& study_instance_uid, const Sink& sink) override;
  void list_again(const std::string& study_instance_uid, const Sink& sink) override;
  void seek(const std::string& study_instance_uid, const std::vector<Sought>& instances, const Sink& sink) override;

  // Releases the association, if there is one.
  void close();

 private:
  struct Session;
  Session& session();
  void find(const dicom::DataSet& identifier, const std::function<void(const dicom::DataSet&)>& match);
  // False where the archive does not take such a query.
  bool find_if_taken(const dicom::DataSet& identifier, const std::function<void(const dicom::DataSet&)>& match);

  const Target& m_target;
  Observer& m_observer;
  std::stop_token m_stop;
  std::shared_ptr<const net::TlsContext> m_tls;
  std::unique_ptr<Session> m_session;
  // Ways of asking that this archive has refused: not tried again.
  bool m_refuses_study_alone = false;
  bool m_refuses_instance_alone = false;
};

}  // namespace kuva::workflow
