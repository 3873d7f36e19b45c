#include <kuva/dicom/inspection.hpp>
#include <kuva/dicom/structure.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/sandbox/reception.hpp>
#include <kuva/sandbox/rejection.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace kuva::sandbox {

namespace {

constexpr std::size_t k_study_code_length = 5;

// A status that is not success, with what goes with it.
struct StoreRefusal {
  std::uint16_t status = 0;
  std::string comment;
  std::vector<dicom::Tag> elements;
};

dimse::Command refuse(dimse::Command response, const StoreRefusal& refusal) {
  response.status = refusal.status;
  if (!refusal.comment.empty()) {
    response.error_comment = refusal.comment;
  }
  response.offending_elements = refusal.elements;
  return response;
}

// Refused by the command alone: the data set is dropped.
class Refused : public dimse::StoreReception {
 public:
  Refused(dimse::Command response, StoreNote& note) : m_response(std::move(response)), m_note(note) {}
  void write(std::span<const std::byte> data) override { m_note.bytes += data.size(); }
  dimse::Command finish(const dimse::Command&) override {
    m_note.disposition = "refused";
    return m_response;
  }

 private:
  dimse::Command m_response;
  StoreNote& m_note;
};

std::optional<StoreRefusal> find_damage(const std::filesystem::path& path, AttributeCollector& collector) {
  const auto damage = dicom::find_structure_damage(path, [&](dicom::DataSetReader& reader) { collector.take(reader); });
  return damage ? std::optional<StoreRefusal>({0xC000, damage->message, {damage->tag}}) : std::nullopt;
}

// Which of the identifiers are missing, for an object that read_header() calls incomplete.
std::vector<dicom::Tag> missing_identifiers(const std::filesystem::path& path) {
  std::vector<dicom::Tag> missing{dicom::tags::sop_class_uid, dicom::tags::sop_instance_uid,
                                  dicom::tags::study_instance_uid, dicom::tags::series_instance_uid};
  dicom::Part10File file = dicom::open_part10(path);
  if (file.syntax.deflated) {
    file.source = dicom::make_inflate_source(std::move(file.source));
  }
  dicom::DataSetReader reader(*file.source, file.syntax);
  for (auto event = reader.next(); event != dicom::DataSetReader::Event::end; event = reader.next()) {
    if (event == dicom::DataSetReader::Event::element && reader.depth() == 0 && reader.header().length > 0) {
      std::erase(missing, reader.header().tag);
    }
  }
  return missing;
}

class Reception : public dimse::StoreReception {
 public:
  Reception(const StoreRules& rules, const KnownAe& source, const dimse::Command& request,
            const ul::AcceptedContext& context, StoreNote& note)
      : m_rules(rules),
        m_source(source),
        m_sop_class_uid(request.affected_sop_class_uid.value_or(std::string())),
        m_sop_instance_uid(request.affected_sop_instance_uid.value_or(std::string())),
        m_note(note),
        m_file(rules.archive.receive()) {
    const std::string meta =
        dicom::encode_file_meta(m_sop_class_uid, m_sop_instance_uid, context.transfer_syntax, source.ae_title);
    m_file->write(std::as_bytes(std::span(meta.data(), meta.size())));
  }

  void write(std::span<const std::byte> data) override {
    m_note.bytes += data.size();
    m_file->write(data);
  }

  dimse::Command finish(const dimse::Command& response) override {
    m_note.disposition = "refused";
    dicom::InstanceAttributes attributes;
    AttributeCollector collector;
    try {
      if (const auto damage = find_damage(m_file->path(), collector)) {
        return refuse(response, *damage);
      }
      attributes = dicom::read_header(m_file->path()).attributes;
    } catch (const Error& error) {
      if (error.kind().code == kind("file.incomplete").code) {
        return refuse(response, {0xA900, "The data set lacks identifiers.", missing_identifiers(m_file->path())});
      }
      if (error.kind().code == kind("local.read").code) {
        throw;  // ours, not the object's
      }
      return refuse(response, {0xC000, "The data set cannot be parsed.", {}});
    }
    if (const auto refusal = check(attributes)) {
      return refuse(response, *refusal);
    }
    if (m_rules.veto) {
      if (auto vetoed = m_rules.veto(attributes, response)) {
        return std::move(*vetoed);
      }
    }
    m_file->close(m_rules.settings.durable);

    StoredObject object;
    object.sop_class_uid = attributes.sop_class_uid;
    object.sop_instance_uid = attributes.sop_instance_uid;
    object.study_instance_uid = attributes.study_instance_uid;
    object.series_instance_uid = attributes.series_instance_uid;
    object.transfer_syntax_uid = attributes.transfer_syntax_uid;
    object.patient_id = attributes.patient_id;
    object.issuer_of_patient_id = attributes.issuer_of_patient_id;
    object.source_ae = m_source.ae_title;
    if (attributes.sop_class_uid == k_key_object_selection) {
      if (const auto note = read_rejection_note(m_file->path())) {
        return obey(response, attributes, *note, std::move(object), collector.attributes());
      }
    }
    return conclude(response, attributes,
                    m_rules.archive.place(*m_file, std::move(object), collector.attributes(), policy()));
  }

 private:
  Archive::Overwrite policy() const {
    switch (m_rules.settings.overwrite) {
      case Settings::Overwrite::never:
        return Archive::Overwrite::never;
      case Settings::Overwrite::same_source:
        return Archive::Overwrite::same_source;
      case Settings::Overwrite::always:
        break;
    }
    return Archive::Overwrite::always;
  }

  // What can be said without knowing what else is stored.
  std::optional<StoreRefusal> check(const dicom::InstanceAttributes& attributes) const {
    if (attributes.sop_class_uid != m_sop_class_uid) {
      return StoreRefusal{0xA900, "SOP Class UID differs from that of the command.", {dicom::tags::sop_class_uid}};
    }
    if (attributes.sop_instance_uid != m_sop_instance_uid) {
      return StoreRefusal{
          0xA900, "SOP Instance UID differs from that of the command.", {dicom::tags::sop_instance_uid}};
    }
    if (dicom::uid_defect(attributes.study_instance_uid)) {
      return StoreRefusal{0xA900, "Study Instance UID is not a legal UID.", {dicom::tags::study_instance_uid}};
    }
    if (dicom::uid_defect(attributes.series_instance_uid)) {
      return StoreRefusal{0xA900, "Series Instance UID is not a legal UID.", {dicom::tags::series_instance_uid}};
    }
    const Settings& settings = m_rules.settings;
    const auto& trusted = settings.trusted_issuers;
    if ((settings.require_patient_id && attributes.patient_id.empty()) ||
        (!trusted.empty() &&
         std::find(trusted.begin(), trusted.end(), attributes.issuer_of_patient_id) == trusted.end())) {
      return StoreRefusal{0xA777, "No Patient ID (from trusted Assigning Authority) in object.", {}};
    }
    if (!m_rules.study_codes.empty() &&
        !m_rules.study_codes.contains(attributes.study_description.substr(0, k_study_code_length))) {
      return StoreRefusal{settings.study_code_status,
                          "Study Description does not begin with a known code.",
                          {dicom::tags::study_description}};
    }
    return std::nullopt;
  }

  // A rejection note: what it refers to, one after the other; what came before a failure stays done.
  dimse::Command obey(const dimse::Command& response, const dicom::InstanceAttributes& attributes,
                      const RejectionNote& note, StoredObject object, const QueryAttributes& query_attributes) {
    if (const auto known =
            m_rules.archive.look([&attributes](Index& index) { return index.find(attributes.sop_instance_uid); })) {
      if (dicom::data_set_digest(m_rules.archive.path_of(*known)) == dicom::data_set_digest(m_file->path())) {
        m_note.disposition = "ignored";
        return response;
      }
      return refuse(
          response,
          {0xA770, fmt::format("Rejection Note [uid={}] already received.", attributes.sop_instance_uid), {}});
    }
    if (const auto refusal = apply_rejection(m_rules.archive, m_rules.settings, note, m_rules.study_changed)) {
      return refuse(response, {refusal->status, refusal->comment, {}});
    }
    if (note.revokes) {
      m_note.disposition = "ignored";
      return response;
    }
    return conclude(response, attributes,
                    m_rules.archive.place(*m_file, std::move(object), query_attributes, policy()));
  }

  dimse::Command conclude(const dimse::Command& response, const dicom::InstanceAttributes& attributes,
                          const Archive::Placed& placed) {
    using Verdict = Archive::Verdict;
    switch (placed.verdict) {
      case Verdict::stored:
        m_note.disposition = "stored";
        m_rules.study_changed(attributes.study_instance_uid, StudyChange::stored);
        return response;
      case Verdict::replaced:
        m_note.disposition = "replaced";
        m_rules.study_changed(attributes.study_instance_uid, StudyChange::stored);
        return response;
      case Verdict::rejected_before:
        return refuse(response,
                      {0xA771,
                       fmt::format("Subsequent occurrence of rejected Object [uid={}]", attributes.sop_instance_uid),
                       {}});
      case Verdict::ignored:
        m_note.disposition = "ignored";
        return response;
      case Verdict::class_conflict:
        return refuse(response, {0x0119, "Stored before with another SOP Class.", {}});
      case Verdict::study_conflict:
        return refuse(response, {0xA77B,
                                 fmt::format("Study[uid={}] differs from Study[uid={}] in previous received object",
                                             attributes.study_instance_uid, placed.other.study_instance_uid),
                                 {}});
      case Verdict::series_conflict:
        return refuse(response, {0xA77B,
                                 fmt::format("Series[uid={}] differs from Series[uid={}] in previous received object",
                                             attributes.series_instance_uid, placed.other.series_instance_uid),
                                 {}});
      case Verdict::patient_conflict:
        break;
    }
    return refuse(response, {0xA778,
                             fmt::format("Patient ID {} differs from Patient ID {} in previous received object of "
                                         "Study[uid={}].",
                                         attributes.patient_id, placed.other.patient_id, attributes.study_instance_uid),
                             {}});
  }

  const StoreRules m_rules;
  const KnownAe& m_source;
  std::string m_sop_class_uid;
  std::string m_sop_instance_uid;
  StoreNote& m_note;
  std::unique_ptr<IncomingFile> m_file;
};

std::optional<StoreRefusal> check_command(const StoreRules& rules, const KnownAe& source, const dimse::Command& request,
                                          const ul::AcceptedContext& context) {
  if (!source.may_store) {
    return StoreRefusal{0x0124, "Storage denied.", {}};
  }
  if (!request.affected_sop_class_uid || !request.affected_sop_instance_uid) {
    return StoreRefusal{0x0212, "SOP Class or SOP Instance UID is missing in the command.", {}};
  }
  const std::string& sop_class = *request.affected_sop_class_uid;
  const auto& refused = rules.settings.refused_sop_classes;
  if (sop_class != context.abstract_syntax || std::find(refused.begin(), refused.end(), sop_class) != refused.end()) {
    return StoreRefusal{0x0122, {}, {}};
  }
  if (dicom::uid_defect(*request.affected_sop_instance_uid)) {
    return StoreRefusal{0x0117, "SOP Instance UID is not a legal UID.", {}};
  }
  return std::nullopt;
}

}  // namespace

std::set<std::string> read_study_codes(const std::filesystem::path& path) {
  constexpr std::uint64_t k_largest_list = 16U << 20U;
  const std::string text = read_small_file(path, k_largest_list);
  std::set<std::string> codes;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.size() >= k_study_code_length && line.front() != '#') {
      codes.insert(line.substr(0, k_study_code_length));
    }
  }
  return codes;
}

std::unique_ptr<dimse::StoreReception> refuse_object(dimse::Command response, StoreNote& note) {
  return std::make_unique<Refused>(std::move(response), note);
}

std::unique_ptr<dimse::StoreReception> receive_object(const StoreRules& rules, const KnownAe& source,
                                                      const dimse::Command& request, const ul::AcceptedContext& context,
                                                      StoreNote& note) {
  note = {};
  if (auto refusal = check_command(rules, source, request, context)) {
    return std::make_unique<Refused>(refuse(dimse::make_response(request, refusal->status), *refusal), note);
  }
  return std::make_unique<Reception>(rules, source, request, context, note);
}

}  // namespace kuva::sandbox
