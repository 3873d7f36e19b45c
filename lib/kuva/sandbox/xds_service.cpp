#include <kuva/sandbox/assertion_check.hpp>
#include <kuva/sandbox/object_body.hpp>
#include <kuva/sandbox/registry_query.hpp>
#include <kuva/sandbox/web_faults.hpp>
#include <kuva/sandbox/xds_service.hpp>
#include <kuva/soap/message.hpp>
#include <kuva/soap/mime.hpp>
#include <kuva/xds/retrieve.hpp>
#include <kuva/xds/stored_query.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

namespace kuva::sandbox {

namespace {

struct Transaction {
  std::string_view name;
  std::string_view action;
  std::string_view response_action;
  std::string_view path;
  FaultPoint point;
};

constexpr auto k_transactions = std::to_array<Transaction>({
    {"ITI-18", "urn:ihe:iti:2007:RegistryStoredQuery", "urn:ihe:iti:2007:RegistryStoredQueryResponse", k_registry_path,
     FaultPoint::query},
    {"ITI-38", "urn:ihe:iti:2007:CrossGatewayQuery", "urn:ihe:iti:2007:CrossGatewayQueryResponse", k_registry_path,
     FaultPoint::query},
    {"ITI-43", "urn:ihe:iti:2007:RetrieveDocumentSet", "urn:ihe:iti:2007:RetrieveDocumentSetResponse",
     k_repository_path, FaultPoint::documents},
    {"ITI-39", "urn:ihe:iti:2007:CrossGatewayRetrieve", "urn:ihe:iti:2007:CrossGatewayRetrieveResponse",
     k_repository_path, FaultPoint::documents},
    // Its answer has the action of ITI-43's (RAD TF-2 4.69.4.2.2).
    {"RAD-69", "urn:ihe:rad:2009:RetrieveImagingDocumentSet", "urn:ihe:iti:2007:RetrieveDocumentSetResponse",
     k_imaging_path, FaultPoint::images},
    {"RAD-75", "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet",
     "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSetResponse", k_imaging_path, FaultPoint::images},
});

// A document on its way out.
struct OutgoingDocument {
  xds::RetrievedDocument said;
  std::uint64_t size = 0;
  std::function<void(const WebSink&)> write;
};

xds::RegistryError error_of(std::string code, std::string context, std::string location) {
  return {std::move(code), std::move(context), std::move(location)};
}

void put(const WebSink& sink, std::string_view text) { sink(std::as_bytes(std::span(text.data(), text.size()))); }

WebResponse soap_answer(int status, std::string_view action, std::string envelope) {
  WebResponse response;
  response.status = status;
  response.content_type = soap::envelope_content_type(action);
  response.body = std::move(envelope);
  return response;
}

constexpr std::string_view k_fault_action = "http://www.w3.org/2005/08/addressing/soap/fault";

}  // namespace

// One request and its answer.
class XdsService::Exchange {
 public:
  Exchange(XdsService& service, const WebRequest& request, const FireFaults& fire, Json& facts)
      : m_service(service), m_settings(service.m_settings), m_request(request), m_fire(fire), m_facts(facts) {}

  WebResponse run() {
    if (m_request.method != "POST") {
      WebResponse response;
      response.status = 405;
      response.headers.emplace_back("Allow", "POST");
      response.content_type = "text/plain; charset=utf-8";
      response.body = "SOAP goes by POST.\n";
      return response;
    }
    WebResponse response;
    try {
      read();
      m_faults = m_fire(m_transaction->point);
      auto instead = instead_of_serving(m_faults);
      response = instead ? std::move(*instead) : verified();
    } catch (const soap::RequestRefused& refused) {
      response = fault(refused.fault());
    } catch (const Error& error) {
      const std::string_view code = error.kind().code;
      const bool is_theirs = code.starts_with("xml.") || code.starts_with("mime.") || code.starts_with("soap.") ||
                             code.starts_with("xds.");
      response = fault(is_theirs ? soap::sender_fault(error.what())
                                 : soap::receiver_fault("The sandbox failed; its transcript says how."));
      m_facts["error"] = error.to_json();
    }
    apply_faults(m_faults, response);
    return response;
  }

 private:
  WebResponse fault(const soap::Fault& fault) {
    m_facts["fault"] = fault.subcodes.empty() ? fault.code : fault.code + "/" + fault.subcodes.front();
    return soap_answer(soap::http_status(fault), k_fault_action, soap::fault_envelope(m_addressing, fault));
  }

  void read() {
    soap::RequestRules rules;
    const bool is_gateway = m_request.path == k_gateway_path;
    for (const Transaction& transaction : k_transactions) {
      if (is_gateway || transaction.path == m_request.path) {
        rules.actions.emplace_back(transaction.action);
      }
    }
    soap::NoParts parts;
    soap::MessageReader reader(m_request.header("Content-Type"), parts);
    reader.write(std::as_bytes(std::span(m_request.body.data(), m_request.body.size())));
    m_message.emplace(reader.finish(true));
    m_addressing = m_message->addressing;
    if (!m_addressing.message_id.empty()) {
      m_facts["MessageID"] = m_addressing.message_id.substr(0, 200);
    }
    soap::check_request(*m_message, rules);
    m_transaction = std::find_if(k_transactions.begin(), k_transactions.end(), [this](const Transaction& transaction) {
      return transaction.action == m_addressing.action;
    });
    if (m_transaction == k_transactions.end()) {
      throw soap::RequestRefused(soap::sender_fault("The action is not supported."), "unknown action");
    }
    m_facts["transaction"] = m_transaction->name;
    if (!m_message->body) {
      throw soap::RequestRefused(soap::sender_fault("The Body is empty."), "empty body");
    }
  }

  // By the clock that the answer's Date shows.
  WebResponse verified() {
    WebResponse clock;
    apply_faults(m_faults, clock);
    std::optional<xds::StoredQuery> query;
    if (m_transaction->point == FaultPoint::query) {
      try {
        query = xds::read_query_request(*m_message->body).query;
      } catch (const Error&) {
        query.emplace();  // what is no query is answered as such, once it is known who asks
      }
    }
    check_assertion(m_service.m_assertions, *m_message, query ? &*query : nullptr,
                    std::chrono::system_clock::now() + clock.clock);
    return serve();
  }

  WebResponse serve() {
    if (const FaultRule* const rule = web_fault(m_faults, FaultAction::soap_fault)) {
      soap::Fault said = rule->subcode.empty() ? soap::receiver_fault(rule->reason)
                                               : soap::security_fault(rule->subcode, rule->reason);
      if (!rule->code.empty()) {
        said.code = rule->code;
      }
      return fault(said);
    }
    m_service.m_directory.scan();
    if (m_transaction->point == FaultPoint::query) {
      return query();
    }
    m_transaction->point == FaultPoint::documents ? plan_documents() : plan_images();
    return retrieval();
  }

  // What every answer of a registry or repository says, put wrong where a rule wants it so.
  void spoil(xds::RegistryResponse& response) {
    for (const FaultRule& rule : m_faults) {
      if (rule.action == FaultAction::registry_error) {
        xds::RegistryError error = error_of(rule.code.empty() ? "XDSRegistryError" : rule.code, rule.reason, {});
        error.severity = rule.is_warning ? xds::Severity::warning : xds::Severity::error;
        response.errors.push_back(std::move(error));
        if (!rule.is_warning) {
          response.status = xds::Status::failure;
        }
      }
    }
  }

  bool is_withheld(const xds::RegistryResponse& response) const {
    return response.status == xds::Status::failure && has_fault(m_faults, FaultAction::registry_error);
  }

  void note(const xds::RegistryResponse& response) {
    m_facts["status"] = xds::to_string(response.status);
    Json codes = Json::array();
    for (const xds::RegistryError& error : response.errors) {
      if (codes.size() < 20) {
        codes.push_back(error.code);
      }
    }
    if (!codes.empty()) {
      m_facts["errorCodes"] = std::move(codes);
    }
  }

  std::string envelope(std::string_view body) const {
    soap::Addressing answered = m_addressing;
    if (has_fault(m_faults, FaultAction::wrong_relates_to)) {
      answered.message_id = soap::make_message_id();
    }
    return soap::reply_envelope(answered, response_action(), body);
  }
  std::string_view response_action() const {
    return has_fault(m_faults, FaultAction::wrong_action) ? std::string_view("urn:ihe:iti:2007:AnotherResponse")
                                                          : m_transaction->response_action;
  }

  WebResponse query() {
    const xds::ReadQuery asked = xds::read_query_request(*m_message->body);
    const bool is_cross_gateway = m_transaction->name == "ITI-38";
    QueryRules rules;
    rules.home = m_settings.home_community;
    rules.home_demanded = m_settings.is_gateway || is_cross_gateway;
    rules.most_results = m_settings.most_results;
    if (const xds::StoredQueryDefinition* const known = xds::find_query(asked.query.id)) {
      m_facts["storedQuery"] = known->name;
    }
    xds::QueryResponse response = answer_query(m_service.m_registry, asked, rules);
    spoil(response);
    if (is_withheld(response)) {
      response.objects = {};
    }
    if (has_fault(m_faults, FaultAction::partial)) {
      response.status = xds::Status::partial_success;
      response.errors.push_back(
          error_of("XDSUnavailableCommunity", "A community could not be reached.", "urn:oid:2.25.1"));
      response.objects.documents.resize((response.objects.documents.size() + 1) / 2);
    }
    note(response);
    m_facts["objects"] = response.objects.size();
    const std::string body = has_fault(m_faults, FaultAction::bare_response) ? xds::write_registry_response(response)
                                                                             : xds::write_query_response(response);
    return soap_answer(200, response_action(), envelope(body));
  }

  // Whether a request for a document may go on; otherwise an error has been noted.
  bool is_for(const xds::DocumentRequest& wanted, const std::string& repository) {
    const auto refuse = [&](std::string code, std::string context) {
      m_answer.errors.push_back(error_of(std::move(code), std::move(context), wanted.document));
      return false;
    };
    const bool is_cross_gateway = m_transaction->name == "ITI-39" || m_transaction->name == "RAD-75";
    if (wanted.home.empty() && is_cross_gateway) {
      return refuse("XDSMissingHomeCommunityId", "A gateway needs the HomeCommunityId of each document.");
    }
    if (!wanted.home.empty() && wanted.home != m_settings.home_community) {
      return refuse("XDSUnknownCommunity", "The HomeCommunityId is not that of this community.");
    }
    if (wanted.repository != repository) {
      return refuse("XDSUnknownRepositoryId", "There is no such repository here.");
    }
    return true;
  }

  void add(const xds::DocumentRequest& wanted, std::string mime_type, std::uint64_t size,
           std::function<void(const WebSink&)> write) {
    OutgoingDocument document;
    document.said.home = wanted.home;
    document.said.repository = wanted.repository;
    document.said.document = wanted.document;
    document.said.mime_type = std::move(mime_type);
    document.said.content_id = soap::make_content_id(m_documents.size() + 1);
    document.size = size;
    document.write = std::move(write);
    m_documents.push_back(std::move(document));
  }

  void plan_documents() {
    std::vector<std::string> ignored;
    const auto wanted = xds::read_document_request(*m_message->body, ignored);
    m_facts["requested"] = wanted.size();
    for (const xds::DocumentRequest& request : wanted) {
      if (!is_for(request, m_settings.repository)) {
        continue;
      }
      xds::RegistryObjects known;
      m_service.m_registry.look(
          [&](RegistryIndex& index) { index.get_by_unique_id(RegistryKind::document, request.document, known); });
      const auto path = m_service.m_documents.find(request.document);
      std::error_code error;
      const std::uint64_t size = path ? std::filesystem::file_size(*path, error) : 0;
      if (known.documents.empty() || !path || error || is_hidden(known.documents.front())) {
        m_answer.errors.push_back(error_of("XDSDocumentUniqueIdError", "There is no such document.", request.document));
        continue;
      }
      add(request, known.documents.front().mime_type, size,
          [path = *path](const WebSink& sink) { write_file(path, sink); });
    }
  }

  // A manifest of a study of which nothing can be seen any more is gone with it.
  bool is_hidden(const xds::DocumentEntry& document) {
    if (!document.is_manifest() || !document.is_deprecated()) {
      return false;
    }
    const auto studies = document.study_instance_uids();
    return !studies.empty() && !m_service.m_registry.look([&](RegistryIndex& index) {
      return index.manifest_of(studies.front()).has_value();
    });
  }

  void plan_images() {
    std::vector<std::string> ignored;
    const xds::ImagingRequest wanted = xds::read_imaging_request(*m_message->body, ignored);
    m_facts["requested"] = wanted.documents();
    for (const xds::StudyRequest& study : wanted.studies) {
      for (const xds::SeriesRequest& series : study.series) {
        for (const xds::DocumentRequest& request : series.documents) {
          plan_image(study.study, series.series, request, wanted.transfer_syntaxes);
        }
      }
    }
  }

  void plan_image(const std::string& study, const std::string& series, const xds::DocumentRequest& request,
                  const std::vector<std::string>& syntaxes) {
    const auto refuse = [&](std::string code, std::string context) {
      m_answer.errors.push_back(error_of(std::move(code), std::move(context), request.document));
    };
    if (!is_for(request, m_settings.imaging_source)) {
      return;
    }
    if (syntaxes.empty()) {
      refuse("XDSRepositoryError", "The request lists no transfer syntax.");
      return;
    }
    const auto object = m_service.m_archive.look([&](Index& index) { return index.find(request.document); });
    if (!object || object->rejection != Rejection::none) {
      refuse("XDSDocumentUniqueIdError", "There is no such instance.");
      return;
    }
    if (object->study_instance_uid != study || object->series_instance_uid != series) {
      refuse("XDSDocumentUniqueIdError", "The instance is not of that study and series.");
      return;
    }
    const auto syntax = servable_syntax(*object, syntaxes);
    if (!syntax) {
      refuse("XDSRepositoryError",
             "The pixel data cannot be encoded in any of the transfer syntaxes that the request lists.");
      return;
    }
    std::error_code error;
    if (!std::filesystem::is_regular_file(m_service.m_archive.path_of(*object), error)) {
      refuse("XDSRepositoryError", "The instance cannot be read.");
      return;
    }
    add(request, "application/dicom", object->size,
        [&archive = m_service.m_archive, object = *object, syntax = *syntax](const WebSink& sink) {
          write_object(archive, object, syntax, sink);
        });
  }

  // MTOM: the envelope with what is said of each document, then the documents as they lie on disk.
  WebResponse retrieval() {
    spoil_documents();
    spoil(m_answer);
    if (is_withheld(m_answer)) {
      m_documents.clear();
    } else {
      m_answer.status = !m_answer.has_error() ? xds::Status::success
                        : m_documents.empty() ? xds::Status::failure
                                              : xds::Status::partial_success;
    }
    std::uint64_t bytes = 0;
    for (const OutgoingDocument& document : m_documents) {
      m_answer.documents.push_back(document.said);
      bytes += document.size;
    }
    note(m_answer);
    m_facts["documents"] = m_documents.size();
    m_facts["bytes"] = bytes;
    const bool is_bare = has_fault(m_faults, FaultAction::bare_response);
    if (is_bare) {
      return soap_answer(200, response_action(), envelope(xds::write_registry_response(m_answer)));
    }
    const std::string root = envelope(xds::write_retrieve_response(m_answer));
    const auto writer = std::make_shared<soap::MultipartWriter>(soap::MultipartWriter::mtom(response_action()));
    WebResponse response;
    response.content_type = writer->content_type();
    // The last one is said to be there and is not, or comes under another name.
    const bool is_last_missing = has_fault(m_faults, FaultAction::missing_part);
    const bool is_cid_wrong = has_fault(m_faults, FaultAction::wrong_cid);
    response.stream = [writer, root, documents = std::move(m_documents), faults = m_faults, is_last_missing,
                       is_cid_wrong](const WebSink& sink) {
      put(sink, writer->root(root));
      for (std::size_t i = 0; i < documents.size(); ++i) {
        const OutgoingDocument& document = documents[i];
        const bool is_last = i + 1 == documents.size();
        if (is_last && is_last_missing) {
          break;
        }
        put(sink, writer->part_head(document.said.mime_type,
                                    is_last && is_cid_wrong ? soap::make_content_id(i + 1) : document.said.content_id));
        with_faults(faults, sink, document.write);
        put(sink, soap::MultipartWriter::part_tail());
      }
      put(sink, writer->tail());
    };
    return response;
  }

  // Half of the documents, and at least one, end as errors.
  void spoil_documents() {
    if (!has_fault(m_faults, FaultAction::partial)) {
      return;
    }
    const std::size_t kept = m_documents.size() / 2;
    for (std::size_t i = kept; i < m_documents.size(); ++i) {
      m_answer.errors.push_back(
          error_of("XDSRepositoryOutOfResources", "The document cannot be had now.", m_documents[i].said.document));
    }
    m_documents.resize(kept);
  }

  XdsService& m_service;
  const XdsSettings& m_settings;
  const WebRequest& m_request;
  const FireFaults& m_fire;
  Json& m_facts;

  std::optional<soap::Message> m_message;
  soap::Addressing m_addressing;
  const Transaction* m_transaction = nullptr;
  std::vector<FaultRule> m_faults;
  xds::RetrieveResponse m_answer;
  std::vector<OutgoingDocument> m_documents;
};

XdsService::XdsService(const XdsSettings& settings, const AssertionRules& assertions, Archive& archive,
                       Registry& registry, DocumentStore& documents, DocumentDirectory& directory)
    : m_settings(settings),
      m_assertions(assertions),
      m_archive(archive),
      m_registry(registry),
      m_documents(documents),
      m_directory(directory) {}

WebResponse XdsService::respond(const WebRequest& request, const FireFaults& fire, Json& facts) {
  return Exchange(*this, request, fire, facts).run();
}

bool XdsService::serves(std::string_view path) {
  return path == k_registry_path || path == k_repository_path || path == k_imaging_path || path == k_gateway_path;
}

}  // namespace kuva::sandbox
