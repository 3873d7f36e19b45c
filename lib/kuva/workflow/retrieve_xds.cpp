#include <kuva/core/base64.hpp>
#include <kuva/core/digest.hpp>
#include <kuva/workflow/registry_client.hpp>
#include <kuva/workflow/retrieve_xds.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

namespace kuva::workflow {

namespace {

const XdsSettings& with_xds(const Target& target) {
  if (!target.xds) {
    throw Error(kind("usage.target"),
                fmt::format("target '{}' has no XDS side: [target.{}.xds] in kuva.toml", target.name, target.name));
  }
  return *target.xds;
}

struct Actions {
  std::string_view request;
  std::string_view response;
};

// Whether an answer holds different bytes for one document. They are read again only where it comes more than once.
bool differ(const soap::Message& message, const std::vector<const xds::RetrievedDocument*>& documents) {
  std::set<std::string> contents;
  for (const xds::RetrievedDocument* const document : documents) {
    if (documents.size() == 1) {
      return false;
    }
    const soap::StoredPart* const part = message.part(document->content_href);
    contents.insert(part != nullptr ? digest_of_file(part->path, DigestAlgorithm::sha256) : document->inline_base64);
  }
  return contents.size() > 1;
}

Actions document_actions(XdsSettings::DocumentTransaction transaction) {
  if (transaction == XdsSettings::DocumentTransaction::iti39) {
    return {"urn:ihe:iti:2007:CrossGatewayRetrieve", "urn:ihe:iti:2007:CrossGatewayRetrieveResponse"};
  }
  return {"urn:ihe:iti:2007:RetrieveDocumentSet", "urn:ihe:iti:2007:RetrieveDocumentSetResponse"};
}

Actions imaging_actions(XdsSettings::ImagingTransaction transaction) {
  if (transaction == XdsSettings::ImagingTransaction::rad75) {
    return {"urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet",
            "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSetResponse"};
  }
  return {"urn:ihe:rad:2009:RetrieveImagingDocumentSet", "urn:ihe:iti:2007:RetrieveDocumentSetResponse"};
}

// What stands in the text as a UID does, or as a whole number.
std::vector<std::string> ids_in(std::string_view text) {
  std::vector<std::string> ids;
  std::size_t at = 0;
  while ((at = text.find_first_of("0123456789", at)) != std::string_view::npos) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789.", at), text.size());
    std::string id(text.substr(at, end - at));
    id.erase(id.find_last_not_of('.') + 1);
    ids.push_back(std::move(id));
    at = end;
  }
  return ids;
}

Error not_answered(std::string_view document) {
  return {kind("retrieve.not-answered"), fmt::format("the answer says nothing of {}", document)};
}

// The errors of an answer by the document, of those asked for, that they are about: its id is the location or stands in
// the context. Those about none of them under "".
std::map<std::string, Error> errors_of(const xds::RetrieveResponse& response, const std::set<std::string>& documents) {
  std::map<std::string, Error> errors;
  for (const xds::RegistryError& error : response.errors) {
    if (error.severity != xds::Severity::error) {
      continue;
    }
    if (documents.contains(error.location)) {
      errors.try_emplace(error.location, xds::to_error(error));
      continue;
    }
    bool is_named = false;
    for (const std::string& id : ids_in(error.context)) {
      if (documents.contains(id)) {
        errors.try_emplace(id, xds::to_error(error));
        is_named = true;
      }
    }
    if (!is_named) {
      errors.try_emplace("", xds::to_error(error));
    }
  }
  return errors;
}

}  // namespace

// The parts of an answer as files beside the final ones, for as long as the answer is looked at.
class XdsTransport::Parts final : public soap::PartStore {
 public:
  Parts(RetrieveRun& run, StudyRetrieval* retrieval) : m_run(run), m_retrieval(retrieval) {}

  std::unique_ptr<Output> open(const soap::Part&) override { return std::make_unique<File>(*this); }
  void discard() noexcept override { m_files.clear(); }

  // The bytes of a document, taken out of the store; several documents may name one part. Nothing where they did not
  // come. Errors: local.write.
  std::optional<PartFile> take(const soap::Message& message, const xds::RetrievedDocument& document) {
    if (!document.content_href.empty() || !document.content_id.empty()) {
      const soap::StoredPart* part = message.part(document.content_href);
      if (part == nullptr) {
        part = soap::find_part(message.parts, document.content_id);
      }
      const auto found = part == nullptr ? m_files.end() : m_files.find(part->path);
      if (found == m_files.end()) {
        return std::nullopt;
      }
      PartFile file = std::move(found->second);
      m_files.erase(found);
      return file;
    }
    const std::optional<std::string> bytes = base64_decode(without_blanks(document.inline_base64));
    if (!bytes || bytes->empty()) {
      return std::nullopt;
    }
    PartFile file = m_run.landing().begin();
    file.write(std::as_bytes(std::span(bytes->data(), bytes->size())));
    return file;
  }

 private:
  class File final : public Output {
   public:
    explicit File(Parts& store) : m_store(store), m_file(store.m_run.landing().begin()) {}
    void write(std::span<const std::byte> bytes) override {
      if (m_store.m_retrieval != nullptr) {
        m_store.m_retrieval->touch();
      }
      m_store.m_run.came(bytes.size());
      m_file.write(bytes);
    }
    void finish(soap::StoredPart& stored) override {
      stored.path = m_file.path();
      m_store.m_files.emplace(stored.path, std::move(m_file));
    }

   private:
    Parts& m_store;
    PartFile m_file;
  };

  static std::string without_blanks(std::string text) {
    std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
    return text;
  }

  RetrieveRun& m_run;
  StudyRetrieval* m_retrieval;
  std::map<std::filesystem::path, PartFile> m_files;
};

std::vector<std::string> XdsTransport::transfer_syntaxes() {
  static constexpr std::string_view k_suffixes[] = {
      ".1",     "",       ".4.50",  ".4.51",  ".4.57",  ".4.70",  ".4.80",  ".4.81",  ".4.90",
      ".4.91",  ".5",     ".1.99",  ".2",     ".4.100", ".4.101", ".4.102", ".4.103", ".4.104",
      ".4.105", ".4.106", ".4.107", ".4.108", ".4.201", ".4.202", ".4.203"};
  std::vector<std::string> list;
  for (const std::string_view suffix : k_suffixes) {
    list.push_back(fmt::format("1.2.840.10008.1.2{}", suffix));
  }
  return list;
}

XdsTransport::XdsTransport(RetrieveRun& run)
    : m_run(run), m_xds(with_xds(run.target())), m_http(http_settings(m_xds, run.settings().save_raw)) {}

soap::Client XdsTransport::client(const std::string& url) const {
  if (!soap::parse_url(url).tls && !m_xds.plain) {
    throw Error(kind("http.url"), "an address of http: in kuva.toml, xds.plain allows that");
  }
  soap::RetryPolicy retry;
  retry.attempts = m_xds.retries + 1;
  return {url, m_http, retry};
}

void XdsTransport::retrieve(const std::shared_ptr<StudyRetrieval>& retrieval) {
  if (!retrieval->has_list()) {
    retrieval->conclude(
        Error(kind("retrieve.no-source"),
              "RAD-69 needs the manifest of the study: ask for its document, or say --via cmove or wado"));
    return;
  }
  retrieve_in_rounds(m_run, *retrieval, [&](bool) -> std::optional<Error> {
    const std::vector<Request> all = requests(*retrieval);
    std::mutex mutex;
    std::optional<Error> first;
    m_run.in_parallel(all.size(), [&](std::size_t index) {
      if (m_run.stop().stop_requested() || retrieval->hopeless()) {
        return;
      }
      const std::optional<Error> error = run(*retrieval, all[index]);
      const std::lock_guard lock(mutex);
      first = first ? first : error;
    });
    return retrieval->hopeless() ? retrieval->hopeless() : first;
  });
}

// What is outstanding, by imaging source and series, in requests of at most so many instances.
std::vector<XdsTransport::Request> XdsTransport::requests(StudyRetrieval& retrieval) {
  const StudyOrder& order = retrieval.order();
  const std::size_t chunk =
      m_run.settings().chunk != 0 ? m_run.settings().chunk : std::max(1U, m_xds.instances_per_request);
  std::map<std::string, std::vector<WantedInstance>> by_url;
  bool has_guessed = false;
  for (WantedInstance& instance : retrieval.outstanding()) {
    has_guessed = has_guessed || instance.location.empty();
    if (instance.location.empty()) {
      instance.location = order.repository;
    }
    const std::string url = m_xds.imaging_source(instance.location);
    if (url.empty()) {
      retrieval.failed(
          instance.sop_instance_uid,
          Error(kind("retrieve.no-source"),
                instance.location.empty()
                    ? std::string("the manifest has no Retrieve Location UID, and the target no imaging source "
                                  "for such")
                    : fmt::format("the target has no URL for the imaging source {}", instance.location)));
      continue;
    }
    by_url[url].push_back(std::move(instance));
  }
  if (has_guessed) {
    m_run.observer().message(
        Observer::Level::warning,
        fmt::format(
            "study {}: the manifest has no Retrieve Location UID (0040,E011); asking {}", order.study,
            order.repository.empty() ? "the imaging source of the target" : "by the repository of the manifest"));
  }
  std::vector<Request> list;
  for (auto& [url, instances] : by_url) {
    std::stable_sort(instances.begin(), instances.end(),
                     [](const WantedInstance& a, const WantedInstance& b) { return a.series < b.series; });
    for (std::size_t at = 0; at < instances.size(); at += chunk) {
      Request& request = list.emplace_back();
      request.url = url;
      request.body.transfer_syntaxes = transfer_syntaxes();
      xds::StudyRequest& study = request.body.studies.emplace_back();
      study.study = order.study;
      for (std::size_t i = at; i < std::min(at + chunk, instances.size()); ++i) {
        WantedInstance& instance = instances[i];
        if (study.series.empty() || study.series.back().series != instance.series) {
          study.series.push_back({instance.series, {}});
        }
        study.series.back().documents.push_back({order.home, instance.location, instance.sop_instance_uid});
        request.instances.push_back(std::move(instance));
      }
    }
  }
  return list;
}

// One request: exactly one outcome for each of its instances.
std::optional<Error> XdsTransport::run(StudyRetrieval& retrieval, const Request& request) {
  retrieval.count_request();
  try {
    Parts parts(m_run, &retrieval);
    const Actions actions = imaging_actions(m_xds.imaging_transaction);
    soap::Call call;
    call.action = actions.request;
    call.response_action = actions.response;
    call.body_xml = xds::write_imaging_request(request.body);
    call.mtom = true;
    call.security = m_run.settings().security;
    const soap::Reply reply = client(request.url).call(call, parts, m_run.stop());
    const xds::RetrieveResponse response = xds::read_retrieve_response(reply.body());
    for (const std::string& text : response.deviations) {
      m_run.observer().message(Observer::Level::info, fmt::format("the answer of the imaging source: {}", text));
    }
    std::set<std::string> asked;
    for (const WantedInstance& wanted : request.instances) {
      asked.insert(wanted.sop_instance_uid);
    }
    std::map<std::string, Error> errors = errors_of(response, asked);
    std::map<std::string, std::vector<const xds::RetrievedDocument*>> documents;
    for (const xds::RetrievedDocument& document : response.documents) {
      documents[document.document].push_back(&document);
    }
    const auto general = errors.find("");
    std::optional<Error> first = general == errors.end() ? std::nullopt : std::optional(general->second);
    for (const WantedInstance& wanted : request.instances) {
      const std::string& uid = wanted.sop_instance_uid;
      const auto found = documents.find(uid);
      if (found == documents.end()) {
        const auto error = errors.find(uid);
        const Error cause = error != errors.end()     ? error->second
                            : general != errors.end() ? general->second
                                                      : not_answered(uid);
        retrieval.failed(uid, cause);
        first = first || cause.kind().error_class != ErrorClass::temporary ? first : cause;
        continue;
      }
      std::optional<PartFile> file;
      const bool is_ambiguous = differ(reply.message, found->second);
      for (const xds::RetrievedDocument* document : found->second) {
        if (!file) {
          if (std::optional<PartFile> came = parts.take(reply.message, *document)) {
            file.emplace(std::move(*came));
          }
        }
      }
      documents.erase(found);
      if (is_ambiguous) {
        retrieval.failed(uid, Error(kind("retrieve.ambiguous"), fmt::format("two answers for {} differ", uid)));
      } else if (!file) {
        retrieval.failed(uid, Error(kind("retrieve.not-answered"),
                                    fmt::format("the answer names {} and holds no bytes of it", uid)));
      } else {
        take(retrieval, wanted, *file);
      }
    }
    for (const auto& [uid, more] : documents) {
      m_run.observer().message(Observer::Level::warning,
                               fmt::format("the answer holds {}, which was not asked for; it is dropped", uid));
    }
    return first;
  } catch (const Error& error) {
    if (&error.kind() == &kind("local.write")) {
      retrieval.give_up(error);
    }
    return error;
  }
}

void XdsTransport::take(StudyRetrieval& retrieval, const WantedInstance& wanted, PartFile& file) {
  try {
    Landing& landing = m_run.landing();
    dicom::Header header =
        landing.verify(file, {wanted.sop_class_uid, wanted.sop_instance_uid, retrieval.order().study, wanted.series});
    const std::uint64_t bytes = header.size;
    retrieval.arrived(landing.place(file, std::move(header)), Json{{"bytes", bytes}});
  } catch (const Error& error) {
    if (&error.kind() == &kind("local.write")) {
      throw;
    }
    retrieval.failed(wanted.sop_instance_uid, error);
  }
}

XdsTransport::Document XdsTransport::fetch(const DocumentOrder& order) {
  const std::string url = m_xds.repository(order.request.repository);
  if (url.empty()) {
    throw Error(kind("retrieve.no-source"),
                fmt::format("the target has no URL for the repository {}", order.request.repository));
  }
  Parts parts(m_run, nullptr);
  const Actions actions = document_actions(m_xds.document_transaction);
  soap::Call call;
  call.action = actions.request;
  call.response_action = actions.response;
  call.body_xml = xds::write_document_request(std::span(&order.request, 1));
  call.mtom = true;
  call.security = m_run.settings().security;
  const soap::Reply reply = client(url).call(call, parts, m_run.stop());
  const xds::RetrieveResponse response = xds::read_retrieve_response(reply.body());
  std::vector<const xds::RetrievedDocument*> found;
  for (const xds::RetrievedDocument& document : response.documents) {
    if (document.document != order.request.document) {
      m_run.observer().message(Observer::Level::warning,
                               "the answer holds a document that was not asked for; it is dropped");
      continue;
    }
    found.push_back(&document);
  }
  if (differ(reply.message, found)) {
    throw Error(kind("retrieve.ambiguous"), "two answers for one document differ");
  }
  // A document is not checked as an object is: beside "Failure" it is not taken for what was asked for.
  if (found.empty() || response.status == xds::Status::failure) {
    const std::map<std::string, Error> errors = errors_of(response, {order.request.document});
    const auto own = errors.find(order.request.document);
    const auto any = own != errors.end() ? own : errors.find("");
    throw any != errors.end() ? any->second : not_answered("the document");
  }
  const soap::StoredPart* const stored = reply.message.part(found.back()->content_href);
  std::optional<PartFile> file = parts.take(reply.message, *found.back());
  if (!file) {
    throw Error(kind("retrieve.not-answered"), "the answer names the document and holds no bytes of it");
  }
  Document document{std::move(*file), found.back()->mime_type, stored != nullptr && stored->is_dicom, false};
  const bool size_differs = order.size && *order.size != document.file.size();
  std::string hash = order.hash;
  std::transform(hash.begin(), hash.end(), hash.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool hash_differs =
      stored != nullptr && !hash.empty() && hash != to_hex(digest_of_file(document.file.path(), DigestAlgorithm::sha1));
  if (size_differs || hash_differs) {
    const std::string text = fmt::format(
        "the document is of {} bytes{}", document.file.size(),
        size_differs ? fmt::format(", its metadata says {}", *order.size) : std::string(", its SHA-1 differs"));
    if (m_run.settings().strict) {
      throw Error(kind("retrieve.wrong-digest"), text);
    }
    m_run.observer().message(Observer::Level::warning, text);
    document.digest_differs = true;
  }
  return document;
}

}  // namespace kuva::workflow
