#include <kuva/dicom/charset.hpp>
#include <kuva/dicom/query_tags.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/vr.hpp>
#include <kuva/dimse/find.hpp>
#include <kuva/workflow/archive_query.hpp>

#include <fmt/format.h>

#include <map>
#include <utility>

namespace kuva::workflow {

namespace {

namespace find_tags = dicom::tags;
using dimse::QueryLevel;
using dimse::QueryRoot;

// UIDs in one identifier: list matching has no limit in the standard, but archives build statements of them.
constexpr std::size_t k_uids_sought = 100;

// The text of an element as UTF-8; nothing where it did not come.
std::optional<std::string> returned(const dicom::DataSet& match, dicom::Tag tag) {
  const dicom::DataSet::Element* const element = match.find(tag);
  if (element == nullptr) {
    return std::nullopt;
  }
  std::string text = match.string(tag);
  if (dicom::uses_character_set(element->vr)) {
    text = dicom::CharacterSets(match.string(find_tags::specific_character_set)).decode(text, element->vr).text;
  }
  text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
  return text;
}

dicom::DataSet image_query(const std::string& study, const std::string& series) {
  dicom::DataSet query = dimse::make_query(
      QueryLevel::image, {find_tags::study_instance_uid, find_tags::series_instance_uid, find_tags::sop_instance_uid,
                          find_tags::sop_class_uid, find_tags::instance_availability});
  if (!study.empty()) {
    query.set_string(find_tags::study_instance_uid, study);
  }
  if (!series.empty()) {
    query.set_string(find_tags::series_instance_uid, series);
  }
  return query;
}

// Of a match; what it does not say is as it was asked for.
ArchiveInstance listed_instance(const dicom::DataSet& match, const std::string& study, const std::string& series) {
  ArchiveInstance instance;
  instance.sop_instance_uid = match.string(find_tags::sop_instance_uid);
  instance.sop_class_uid = match.string(find_tags::sop_class_uid);
  instance.series_instance_uid = match.string(find_tags::series_instance_uid);
  instance.study_instance_uid = match.string(find_tags::study_instance_uid);
  instance.availability = match.string(find_tags::instance_availability);
  if (instance.series_instance_uid.empty()) {
    instance.series_instance_uid = series;
  }
  if (instance.study_instance_uid.empty()) {
    instance.study_instance_uid = study;
  }
  return instance;
}

// The archive has understood and will not do it, however often it is asked: another way of asking may do.
bool is_refusal_of_query(const Error& error) {
  return error.kind().error_class == ErrorClass::permanent && error.details().contains("status");
}

}  // namespace

struct FindQuery::Session {
  explicit Session(std::unique_ptr<ul::Association> with) : association(std::move(with)), messenger(*association) {}

  std::unique_ptr<ul::Association> association;
  dimse::Messenger messenger;
  bool has_answered = false;
};

FindQuery::FindQuery(const Target& target, Observer& observer, std::stop_token stop)
    : m_target(target), m_observer(observer), m_stop(std::move(stop)), m_tls(client_tls(target)) {}

FindQuery::~FindQuery() { close(); }

void FindQuery::close() {
  if (m_session && m_session->association->is_open()) {
    try {
      m_session->association->release();
    } catch (const Error& error) {
      m_observer.message(Observer::Level::detail, error.message());
    }
  }
  m_session.reset();
}

FindQuery::Session& FindQuery::session() {
  if (!m_session) {
    ul::AssociateRequest request;
    request.contexts = {
        {1,
         std::string(dimse::find_sop_class(QueryRoot::study)),
         {std::string(dicom::k_explicit_vr_little_endian), std::string(dicom::k_implicit_vr_little_endian)}}};
    m_session = std::make_unique<Session>(associate(m_target, m_tls, std::move(request), m_observer));
  }
  return *m_session;
}

// An association that was open for a while may have been closed by the archive: then once more on a new one, which asks
// for the same and changes nothing.
void FindQuery::find(const dicom::DataSet& identifier, const std::function<void(const dicom::DataSet&)>& match) {
  for (;;) {
    if (m_stop.stop_requested()) {
      throw Error(kind("interrupted"), "stopped before the archive was asked");
    }
    bool was_used = m_session && m_session->has_answered;
    try {
      Session& open = session();
      Deadline response = Deadline::after(m_target.response_timeout);
      dimse::find(
          open.messenger, QueryRoot::study, identifier,
          [&](const dicom::DataSet& one) {
            was_used = false;  // it answers
            response = Deadline::after(m_target.response_timeout);
            match(one);
            return !m_stop.stop_requested();
          },
          m_target.response_timeout, [&] { return !response.expired() && !m_stop.stop_requested(); });
      open.has_answered = true;
      if (m_stop.stop_requested()) {
        throw Error(kind("interrupted"), "stopped before the archive had listed all");
      }
      return;
    } catch (const Error& error) {
      const bool is_gone = !m_session || !m_session->association->is_open();
      if (is_gone) {
        m_session.reset();
      }
      if (m_stop.stop_requested()) {
        throw Error(kind("interrupted"), "stopped while the archive was asked");
      }
      if (!is_gone || !was_used) {
        throw;
      }
      m_observer.message(Observer::Level::detail,
                         fmt::format("{}; asking again on a new association", error.message()));
    }
  }
}

bool FindQuery::find_if_taken(const dicom::DataSet& identifier,
                              const std::function<void(const dicom::DataSet&)>& match) {
  try {
    find(identifier, match);
    return true;
  } catch (const Error& error) {
    if (!is_refusal_of_query(error)) {
      throw;
    }
    m_observer.message(Observer::Level::detail, fmt::format("the archive takes no such query: {}", error.message()));
    return false;
  }
}

std::optional<ArchiveStudy> FindQuery::study(const std::string& study_instance_uid) {
  dicom::DataSet query = dimse::make_query(QueryLevel::study, {find_tags::patient_id, find_tags::issuer_of_patient_id,
                                                               find_tags::accession_number, find_tags::study_date});
  query.set_string(find_tags::study_instance_uid, study_instance_uid);
  std::optional<ArchiveStudy> study;
  find(query, [&](const dicom::DataSet& match) {
    const std::string uid = match.string(find_tags::study_instance_uid);
    if (study || (!uid.empty() && uid != study_instance_uid)) {
      return;
    }
    study = ArchiveStudy{returned(match, find_tags::patient_id), returned(match, find_tags::issuer_of_patient_id),
                         returned(match, find_tags::accession_number), returned(match, find_tags::study_date)};
  });
  return study;
}

void FindQuery::list(const std::string& study_instance_uid, const Sink& sink) {
  std::vector<std::string> all_series;
  dicom::DataSet query = dimse::make_query(QueryLevel::series, {find_tags::series_instance_uid});
  query.set_string(find_tags::study_instance_uid, study_instance_uid);
  find(query, [&](const dicom::DataSet& match) { all_series.push_back(match.string(find_tags::series_instance_uid)); });
  for (const std::string& series : all_series) {
    find(image_query(study_instance_uid, series),
         [&](const dicom::DataSet& match) { sink(listed_instance(match, study_instance_uid, series)); });
  }
}

void FindQuery::list_again(const std::string& study_instance_uid, const Sink& sink) {
  if (!m_refuses_study_alone) {
    m_refuses_study_alone = !find_if_taken(image_query(study_instance_uid, {}), [&](const dicom::DataSet& match) {
      sink(listed_instance(match, study_instance_uid, {}));
    });
  }
}

void FindQuery::seek(const std::string& study_instance_uid, const std::vector<Sought>& instances, const Sink& sink) {
  const auto ask = [&](const std::string& study, const std::string& series, const std::vector<std::string>& uids) {
    for (std::size_t at = 0; at < uids.size(); at += k_uids_sought) {
      const auto from = uids.begin() + static_cast<std::ptrdiff_t>(at);
      const auto to = uids.begin() + static_cast<std::ptrdiff_t>(std::min(at + k_uids_sought, uids.size()));
      dicom::DataSet query = image_query(study, series);
      query.set_string(find_tags::sop_instance_uid, fmt::format("{}", fmt::join(from, to, "\\")));
      if (!find_if_taken(query, [&](const dicom::DataSet& match) { sink(listed_instance(match, study, series)); })) {
        return false;
      }
    }
    return true;
  };
  std::map<std::string, std::vector<std::string>> by_series;
  std::vector<std::string> all;
  for (const Sought& one : instances) {
    by_series[one.series_instance_uid].push_back(one.sop_instance_uid);
    all.push_back(one.sop_instance_uid);
  }
  for (const auto& series : by_series) {
    ask(study_instance_uid, series.first, series.second);
  }
  if (!m_refuses_instance_alone) {
    m_refuses_instance_alone = !ask({}, {}, all);
  }
}

}  // namespace kuva::workflow
