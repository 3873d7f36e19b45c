#include <kuva/workflow/query.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>
#include <tuple>

namespace kuva::workflow {

namespace {

constexpr unsigned k_default_page = 100;  // entries asked for at a time in the second step

bool has_scheme(const std::string& code) { return code.find("^^") != std::string::npos; }

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

bool matches_code(const xds::Code& code, const std::string& wanted) {
  return has_scheme(wanted) ? code.to_parameter() == wanted : lower(code.code) == lower(wanted);
}

template <typename Codes>
bool any_code(const Codes& codes, const std::vector<std::string>& wanted) {
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& one) {
    return std::any_of(codes.begin(), codes.end(), [&](const xds::Code& code) { return matches_code(code, one); });
  });
}

std::vector<xds::Code> codes_of(const std::optional<xds::Code>& code) {
  return code ? std::vector<xds::Code>{*code} : std::vector<xds::Code>{};
}

// * any run, ? any one character.
bool matches_pattern(std::string_view text, std::string_view pattern) {
  std::size_t t = 0;
  std::size_t p = 0;
  std::size_t star = std::string_view::npos;
  std::size_t after = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*') {
      ++t;
      ++p;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++after;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') {
    ++p;
  }
  return p == pattern.size();
}

void add_codes(std::vector<std::string>& texts, const std::vector<xds::Code>& codes) {
  for (const xds::Code& code : codes) {
    texts.push_back(code.code);
    for (const xds::LocalizedString& text : code.display.all) {
      texts.push_back(text.value);
    }
  }
}

// Everything that a person might look for.
bool has_text(const xds::DocumentEntry& entry, std::string_view wanted) {
  std::vector<std::string> texts{entry.unique_id, entry.mime_type, entry.repository_unique_id};
  for (const auto* names : {&entry.title, &entry.comments}) {
    for (const xds::LocalizedString& text : names->all) {
      texts.push_back(text.value);
    }
  }
  for (const auto* code : {&entry.class_code, &entry.type_code, &entry.format_code,
                           &entry.healthcare_facility_type_code, &entry.practice_setting_code}) {
    add_codes(texts, codes_of(*code));
  }
  add_codes(texts, entry.event_codes);
  for (const xds::Author& author : entry.authors) {
    texts.push_back(author.person);
    for (const auto* list : {&author.institutions, &author.roles, &author.specialties}) {
      texts.insert(texts.end(), list->begin(), list->end());
    }
  }
  for (const std::string& reference : entry.reference_ids) {
    texts.push_back(xds::parse_cx(reference).id);
  }
  const std::string pattern = "*" + lower(wanted) + "*";
  return std::any_of(texts.begin(), texts.end(),
                     [&](const std::string& text) { return matches_pattern(lower(text), pattern); });
}

std::vector<std::string> accession_numbers(const xds::DocumentEntry& entry) {
  return entry.references(xds::reference_type::accession);
}

bool same_reference(const std::string& reference, const std::string& wanted) {
  return reference == wanted || xds::parse_cx(reference).id == wanted;
}

// An entry without a serviceStartTime stays, as in a registry.
bool within(const xds::DocumentEntry& entry, const QuerySettings& settings) {
  const auto time = xds::parse_dtm(entry.service_start_time);
  return !time || ((!settings.from || time->time >= *settings.from) && (!settings.to || time->time < *settings.to));
}

bool matches(const xds::DocumentEntry& entry, const QuerySettings& settings) {
  if (!settings.text.empty() && !has_text(entry, settings.text)) {
    return false;
  }
  if (!settings.stored_query.empty()) {
    return true;
  }
  if (entry.is_manifest() ? !settings.images : !settings.documents) {
    return false;
  }
  const auto wanted = [](const std::vector<std::string>& list, bool found) { return list.empty() || found; };
  const auto has_reference = [&](const std::vector<std::string>& references, const std::vector<std::string>& list) {
    return std::any_of(references.begin(), references.end(), [&](const std::string& reference) {
      return std::any_of(list.begin(), list.end(),
                         [&](const std::string& one) { return same_reference(reference, one); });
    });
  };
  return within(entry, settings) &&
         wanted(settings.study_types, any_code(codes_of(entry.type_code), settings.study_types)) &&
         wanted(settings.modalities, any_code(entry.event_codes, settings.modalities)) &&
         wanted(settings.body_parts, any_code(entry.event_codes, settings.body_parts)) &&
         wanted(settings.procedures, any_code(entry.event_codes, settings.procedures) ||
                                         any_code(codes_of(entry.type_code), settings.procedures)) &&
         wanted(settings.specialties, any_code(codes_of(entry.practice_setting_code), settings.specialties)) &&
         wanted(settings.accessions, has_reference(accession_numbers(entry), settings.accessions)) &&
         wanted(settings.studies,
                has_reference(entry.references(xds::reference_type::study_instance_uid), settings.studies));
}

// --- the query

class QueryMaker {
 public:
  explicit QueryMaker(const QuerySettings& settings) : m_settings(settings) {}

  xds::StoredQuery named() {
    const xds::StoredQueryDefinition* definition = xds::find_query(m_settings.stored_query);
    if (definition == nullptr) {
      throw Error(kind("xds.query"), fmt::format("there is no stored query {}", m_settings.stored_query));
    }
    start(*definition);
    m_query.parameters = m_settings.parameters;
    for (const xds::ParameterDefinition& parameter : definition->parameters) {
      if (parameter.kind == xds::ValueKind::patient_id && !m_settings.patient.empty() &&
          m_query.values(parameter.name).empty()) {
        add(parameter.name, {m_settings.patient});
      } else if (parameter.kind == xds::ValueKind::status && parameter.required &&
                 m_query.values(parameter.name).empty()) {
        add(parameter.name, statuses());
      }
    }
    return std::move(m_query);
  }

  xds::StoredQuery by_document_ids() {
    start(*xds::find_query("GetDocuments"));
    const auto is_uuid = [](const std::string& id) { return lower(id).rfind("urn:uuid:", 0) == 0; };
    const bool uuids = std::all_of(m_settings.document_ids.begin(), m_settings.document_ids.end(), is_uuid);
    if (!uuids && std::any_of(m_settings.document_ids.begin(), m_settings.document_ids.end(), is_uuid)) {
      throw Error(kind("usage.argument"), "--document-id takes unique ids or entryUUIDs, not both at a time");
    }
    add(uuids ? "$XDSDocumentEntryEntryUUID" : "$XDSDocumentEntryUniqueId", m_settings.document_ids);
    return std::move(m_query);
  }

  xds::StoredQuery find(bool by_reference) {
    if (m_settings.patient.empty()) {
      throw Error(kind("usage.argument"), "say whose studies with --patient, or which documents with --document-id");
    }
    const std::vector<std::string> references = by_reference ? whole_references() : std::vector<std::string>{};
    start(*xds::find_query(references.empty() ? "FindDocuments" : "FindDocumentsByReferenceId"));
    add("$XDSDocumentEntryPatientId", {m_settings.patient});
    if (!references.empty()) {
      add("$XDSDocumentEntryReferenceIdList", references);
    }
    add("$XDSDocumentEntryStatus", statuses());
    add_codes("$XDSDocumentEntryTypeCode", m_settings.study_types);
    add_codes("$XDSDocumentEntryPracticeSettingCode", m_settings.specialties);
    add_codes("$XDSDocumentEntryEventCodeList", m_settings.modalities);
    add_codes("$XDSDocumentEntryEventCodeList", m_settings.body_parts);
    if (m_settings.images && !m_settings.documents) {
      add("$XDSDocumentEntryFormatCode",
          {fmt::format("{}^^{}", xds::k_manifest_format, xds::k_manifest_format_scheme)});
    }
    add_time("$XDSDocumentEntryServiceStartTimeFrom", m_settings.from);
    add_time("$XDSDocumentEntryServiceStartTimeTo", m_settings.to);
    return std::move(m_query);
  }

 private:
  void start(const xds::StoredQueryDefinition& definition) {
    m_query.id = std::string(definition.id);
    m_query.return_type = m_settings.returns;
    m_query.home = m_settings.home;
  }

  void add(std::string_view name, std::vector<std::string> values) {
    m_query.parameters.push_back({std::string(name), std::move(values), false});
  }

  // A code without its scheme cannot be asked for: it is looked for in what comes.
  void add_codes(std::string_view name, const std::vector<std::string>& codes) {
    if (!codes.empty() && std::all_of(codes.begin(), codes.end(), has_scheme)) {
      add(name, codes);
    }
  }

  void add_time(std::string_view name, const std::optional<std::chrono::sys_seconds>& time) {
    if (time) {
      add(name, {xds::format_dtm(*time)});
    }
  }

  std::vector<std::string> statuses() const {
    std::vector<std::string> out;
    if (m_settings.approved || m_settings.all_versions) {
      out.emplace_back(xds::entry_status::approved);
    }
    if (m_settings.deprecated || m_settings.all_versions) {
      out.emplace_back(xds::entry_status::deprecated);
    }
    return out;
  }

  // A Study Instance UID is a whole reference by itself; an accession number is only with its authority.
  std::vector<std::string> whole_references() const {
    if (!m_settings.studies.empty()) {
      std::vector<std::string> out;
      for (const std::string& uid : m_settings.studies) {
        out.push_back(xds::Cx{uid, {}, {}, {}, std::string(xds::reference_type::study_instance_uid)}.to_string());
      }
      return out;
    }
    const bool whole = std::all_of(m_settings.accessions.begin(), m_settings.accessions.end(),
                                   [](const std::string& one) { return one.find('^') != std::string::npos; });
    return whole ? m_settings.accessions : std::vector<std::string>{};
  }

  const QuerySettings& m_settings;
  xds::StoredQuery m_query;
};

xds::StoredQuery make(const QuerySettings& settings, bool by_reference) {
  QueryMaker maker(settings);
  xds::StoredQuery query = !settings.stored_query.empty()   ? maker.named()
                           : !settings.document_ids.empty() ? maker.by_document_ids()
                                                            : maker.find(by_reference);
  xds::require_sound(query);
  return query;
}

// --- asking

class Asker {
 public:
  Asker(Registry& registry, const QuerySettings& settings, std::stop_token stop)
      : m_registry(registry), m_settings(settings), m_stop(std::move(stop)) {}

  QueryResult run() {
    xds::StoredQuery query = make(m_settings, true);
    const bool by_reference = query.id == xds::find_query("FindDocumentsByReferenceId")->id;
    const bool references_asked = query.return_type == xds::ReturnType::object_ref;
    const bool pages = m_settings.page > 0 && !references_asked && finds_documents(query);
    xds::QueryResponse response;
    if (!pages) {
      response = m_registry.ask(query, m_stop);
      if (by_reference && m_settings.stored_query.empty() && says(response, "XDSUnknownStoredQuery")) {
        // Not every registry has this query: the entries are then chosen here.
        query = make(m_settings, false);
        response = m_registry.ask(query, m_stop);
      }
    }
    if (pages || (!references_asked && finds_documents(query) && says(response, "XDSTooManyResults"))) {
      ask_in_pages(query);
    } else {
      take(std::move(response));
    }
    return std::move(m_result);
  }

  // Which entry replaces which, for those that are deprecated.
  void ask_for_replacements() {
    std::map<std::string, std::vector<std::string>> by_home;
    for (const FoundDocument& one : m_result.documents) {
      if (one.entry.is_deprecated()) {
        by_home[one.entry.home].push_back(one.entry.id);
      }
    }
    for (const auto& [home, ids] : by_home) {
      in_chunks(ids, [&, &community = home](std::vector<std::string> chunk) {
        xds::StoredQuery query{std::string(xds::find_query("GetAssociations")->id),
                               {{"$uuid", std::move(chunk)}},
                               xds::ReturnType::leaf_class,
                               community};
        note_replacements(m_registry.ask(query, m_stop));
      });
    }
  }

  QueryResult& result() { return m_result; }

 private:
  static bool finds_documents(const xds::StoredQuery& query) {
    const auto* definition = xds::find_query(query.id);
    return definition != nullptr && definition->returned == xds::Returned::documents && !definition->needs_home;
  }

  static bool says(const xds::QueryResponse& response, std::string_view code) {
    return std::any_of(response.errors.begin(), response.errors.end(), [&](const xds::RegistryError& one) {
      return one.code == code && one.severity == xds::Severity::error;
    });
  }

  template <typename Action>
  void in_chunks(const std::vector<std::string>& ids, const Action& action) {
    const std::size_t size = m_settings.page > 0 ? m_settings.page : k_default_page;
    for (std::size_t at = 0; at < ids.size() && !m_stop.stop_requested(); at += size) {
      const auto from = ids.begin() + static_cast<std::ptrdiff_t>(at);
      action(std::vector<std::string>(from, from + static_cast<std::ptrdiff_t>(std::min(size, ids.size() - at))));
    }
  }

  void ask_in_pages(xds::StoredQuery query) {
    query.return_type = xds::ReturnType::object_ref;
    xds::QueryResponse references = m_registry.ask(query, m_stop);
    std::map<std::string, std::vector<std::string>> by_home;
    for (const xds::ObjectRef& one : references.objects.object_refs) {
      by_home[one.home].push_back(one.id);
    }
    references.objects.object_refs.clear();
    take(std::move(references));
    for (const auto& [home, ids] : by_home) {
      in_chunks(ids, [&, &community = home](std::vector<std::string> chunk) {
        xds::StoredQuery page{std::string(xds::find_query("GetDocuments")->id),
                              {{"$XDSDocumentEntryEntryUUID", std::move(chunk)}},
                              xds::ReturnType::leaf_class,
                              community.empty() ? m_settings.home : community};
        take(m_registry.ask(page, m_stop));
      });
    }
  }

  void take(xds::QueryResponse response) {
    if (auto error = xds::to_error(response, m_settings.patient)) {
      if (response.effective_status() == xds::Status::failure) {
        throw std::move(*error);
      }
      if (!m_result.error) {
        m_result.error = std::move(error);
      }
    }
    std::copy_if(response.errors.begin(), response.errors.end(), std::back_inserter(m_result.warnings),
                 [](const xds::RegistryError& one) { return one.severity == xds::Severity::warning; });
    std::move(response.deviations.begin(), response.deviations.end(), std::back_inserter(m_result.deviations));
    xds::RegistryObjects& objects = response.objects;
    m_result.received += objects.documents.size();
    for (xds::DocumentEntry& entry : objects.documents) {
      m_result.documents.push_back({std::move(entry), {}, false});
    }
    const auto append = [](auto& to, auto& from) { std::move(from.begin(), from.end(), std::back_inserter(to)); };
    append(m_result.others.submission_sets, objects.submission_sets);
    append(m_result.others.folders, objects.folders);
    append(m_result.others.associations, objects.associations);
    append(m_result.others.object_refs, objects.object_refs);
  }

  void note_replacements(const xds::QueryResponse& response) {
    for (const xds::Association& one : response.objects.associations) {
      if (one.type != xds::association_type::replaces && one.type != xds::association_type::transforms_and_replaces) {
        continue;
      }
      for (FoundDocument& document : m_result.documents) {
        if (document.entry.is_deprecated() && xds::same_uuid(document.entry.id, one.target)) {
          document.replaced_by = one.source;
        }
      }
    }
  }

  Registry& m_registry;
  const QuerySettings& m_settings;
  std::stop_token m_stop;
  QueryResult m_result;
};

// --- choosing

std::uint64_t version_number(const xds::DocumentEntry& entry) {
  std::uint64_t number = 0;
  std::from_chars(entry.version.data(), entry.version.data() + entry.version.size(), number);
  return number;
}

// Of entries with one logical id, the latest version; and one of those that came twice.
void leave_out_older(QueryResult& result, bool all_versions) {
  std::map<std::pair<std::string, std::string>, std::uint64_t> latest;
  for (const FoundDocument& one : result.documents) {
    if (!one.entry.lid.empty()) {
      auto& number = latest[{one.entry.home, one.entry.lid}];
      number = std::max(number, version_number(one.entry));
    }
  }
  std::set<std::tuple<std::string, std::string, std::string>> seen;
  const auto before = result.documents.size();
  std::erase_if(result.documents, [&](const FoundDocument& one) {
    const bool older = !all_versions && !one.entry.lid.empty() &&
                       version_number(one.entry) < latest.at({one.entry.home, one.entry.lid});
    const bool again = !one.entry.id.empty() && !seen.insert({one.entry.home, one.entry.id, one.entry.version}).second;
    return older || again;
  });
  result.superseded += before - result.documents.size();
}

std::chrono::sys_seconds time_of(const xds::DocumentEntry& entry) {
  for (const auto* text : {&entry.service_start_time, &entry.creation_time}) {
    if (const auto time = xds::parse_dtm(*text)) {
      return time->time;
    }
  }
  return std::chrono::sys_seconds{};
}

void sort(std::vector<FoundDocument>& documents, SortKey key) {
  const auto first_code = [](const xds::DocumentEntry& entry) {
    return entry.event_codes.empty() ? std::string() : entry.event_codes.front().code;
  };
  std::stable_sort(documents.begin(), documents.end(), [&](const FoundDocument& a, const FoundDocument& b) {
    switch (key) {
      case SortKey::oldest:
        return time_of(a.entry) < time_of(b.entry);
      case SortKey::title:
        return std::pair(lower(a.entry.title.text()), time_of(b.entry)) <
               std::pair(lower(b.entry.title.text()), time_of(a.entry));
      case SortKey::modality:
        return std::pair(first_code(a.entry), time_of(b.entry)) < std::pair(first_code(b.entry), time_of(a.entry));
      case SortKey::newest:
        break;
    }
    return time_of(a.entry) > time_of(b.entry);
  });
}

// --- joining

class Joiner {
 public:
  explicit Joiner(QueryResult& result) : m_result(result) {}

  void run() {
    for (std::size_t i = 0; i < m_result.documents.size(); ++i) {
      for (const std::string& uid : m_result.documents[i].entry.study_instance_uids()) {
        add(study(uid), i);
      }
    }
    for (std::size_t i = 0; i < m_result.documents.size(); ++i) {
      const xds::DocumentEntry& entry = m_result.documents[i].entry;
      if (!entry.is_manifest() && entry.study_instance_uids().empty()) {
        add_by_accession(i);
      }
    }
  }

 private:
  FoundStudy& study(const std::string& uid) {
    const auto [at, added] = m_index.try_emplace(uid, m_result.studies.size());
    if (added) {
      m_result.studies.push_back({uid, {}, {}});
    }
    return m_result.studies[at->second];
  }

  void add(FoundStudy& study, std::size_t document) {
    const xds::DocumentEntry& entry = m_result.documents[document].entry;
    auto& list = entry.is_manifest() ? study.manifests : study.reports;
    if (std::find(list.begin(), list.end(), document) == list.end()) {
      list.push_back(document);
    }
    for (const std::string& accession : accession_numbers(entry)) {
      m_by_accession.emplace(accession, study.study_instance_uid);
    }
  }

  void add_by_accession(std::size_t document) {
    std::set<std::string> uids;
    for (const std::string& accession : accession_numbers(m_result.documents[document].entry)) {
      const auto [from, to] = m_by_accession.equal_range(accession);
      std::transform(from, to, std::inserter(uids, uids.end()), [](const auto& one) { return one.second; });
    }
    for (const std::string& uid : uids) {
      add(study(uid), document);
    }
  }

  QueryResult& m_result;
  std::map<std::string, std::size_t> m_index;
  std::multimap<std::string, std::string> m_by_accession;
};

void mark_preliminary(QueryResult& result, const std::vector<std::string>& codes) {
  for (FoundDocument& one : result.documents) {
    const xds::DocumentEntry& entry = one.entry;
    one.preliminary =
        !entry.is_manifest() && (any_code(entry.event_codes, codes) || any_code(codes_of(entry.type_code), codes) ||
                                 any_code(codes_of(entry.class_code), codes));
  }
}

}  // namespace

std::vector<std::string> default_preliminary_codes() {
  std::vector<std::string> out;
  for (const char* code : {"registered", "partial", "preliminary"}) {
    out.push_back(fmt::format("{}^^http://hl7.org/fhir/diagnostic-report-status", code));
  }
  for (const char* code : {"P", "R", "A"}) {  // preliminary; verified not; some results
    out.push_back(fmt::format("{}^^2.16.840.1.113883.12.123", code));
  }
  return out;
}

xds::StoredQuery make_query(const QuerySettings& settings) {
  xds::StoredQuery query = make(settings, true);
  if (settings.page > 0) {
    query.return_type = xds::ReturnType::object_ref;
  }
  return query;
}

QueryResult query(Registry& registry, const QuerySettings& settings, std::stop_token stop) {
  Asker asker(registry, settings, stop);
  QueryResult result = asker.run();
  leave_out_older(result, settings.all_versions);
  const auto before = result.documents.size();
  std::erase_if(result.documents, [&](const FoundDocument& one) { return !matches(one.entry, settings); });
  result.not_matching = before - result.documents.size();
  if (settings.all_versions && settings.stored_query.empty()) {
    asker.result() = std::move(result);
    asker.ask_for_replacements();
    result = std::move(asker.result());
  }
  sort(result.documents, settings.sort);
  mark_preliminary(result, settings.preliminary_codes);
  Joiner(result).run();
  return result;
}

std::optional<std::chrono::sys_seconds> parse_local_time(std::string_view text, const TimeZone& zone, bool end) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool sign =
        ((i == 4 || i == 7) && c == '-') || (i == 10 && (c == 'T' || c == ' ')) || ((i == 13 || i == 16) && c == ':');
    if (!sign) {
      digits += c;
    }
  }
  const auto dtm = xds::parse_dtm(digits);
  if (!dtm) {
    return std::nullopt;
  }
  const auto moment = end ? dtm->end() : dtm->time;
  return zone.to_utc(std::chrono::local_seconds(moment.time_since_epoch()));
}

}  // namespace kuva::workflow
