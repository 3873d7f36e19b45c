#include <kuva/core/record.hpp>
#include <kuva/workflow/registry_client.hpp>

#include <fmt/format.h>

namespace kuva::workflow {

namespace {

soap::RetryPolicy retry_policy(const XdsSettings& xds) {
  soap::RetryPolicy policy;
  policy.attempts = xds.retries + 1;
  return policy;
}

const std::string& query_url(const Target& target) {
  const XdsSettings& xds = xds_of(target);
  if (xds.query_url.empty()) {
    throw Error(kind("usage.target"),
                fmt::format("target {} has no query_url in [target.{}.xds]", target.name, target.name));
  }
  return xds.query_url;
}

std::string_view query_action(const Target& target) {
  return xds_of(target).query_transaction == XdsSettings::QueryTransaction::iti38
             ? "urn:ihe:iti:2007:CrossGatewayQuery"
             : "urn:ihe:iti:2007:RegistryStoredQuery";
}

}  // namespace

Json request_record(const QuerySettings& settings, const Target& target) {
  const xds::StoredQuery query = make_query(settings);
  Json record = make_record("request", "kuva-query", outcome::planned, true);
  record["url"] = query_url(target);
  record["action"] = query_action(target);
  record["storedQuery"] = xds::find_query(query.id)->name;
  record["body"] = xds::write_query_request(query);
  return record;
}

const XdsSettings& xds_of(const Target& target) {
  if (!target.xds) {
    throw Error(kind("usage.target"), fmt::format("target {} has no [target.{}.xds]", target.name, target.name));
  }
  return *target.xds;
}

soap::HttpSettings http_settings(const XdsSettings& xds, const std::filesystem::path& save_raw) {
  soap::HttpSettings settings;
  settings.tls = net::TlsContext::client(xds.tls);
  settings.connect_timeout = xds.connect_timeout + xds.tls_timeout;
  settings.first_byte_timeout = xds.first_byte_timeout;
  settings.idle_timeout = xds.idle_timeout;
  settings.expect_continue = xds.expect_continue;
  settings.save_raw = save_raw;
  return settings;
}

RegistryClient::RegistryClient(const Target& target, soap::Security security, const std::filesystem::path& save_raw,
                               Observer& observer)
    : m_action(query_action(target)),
      m_security(std::move(security)),
      m_client(query_url(target), http_settings(xds_of(target), save_raw), retry_policy(xds_of(target))),
      m_observer(observer) {}

xds::QueryResponse RegistryClient::ask(const xds::StoredQuery& query, std::stop_token stop) {
  soap::Call call;
  call.action = m_action;
  call.body_xml = xds::write_query_request(query);
  call.security = m_security;
  const xds::StoredQueryDefinition* definition = xds::find_query(query.id);
  m_observer.message(
      Observer::Level::detail,
      fmt::format("asking {} with {}, {}", m_client.url(), definition ? definition->name : "a stored query",
                  query.return_type == xds::ReturnType::leaf_class ? "LeafClass" : "ObjectRef"));
  const soap::Reply reply = m_client.call(call, stop);
  for (const std::string& warning : reply.message.warnings) {
    m_observer.message(Observer::Level::info, warning);
  }
  return xds::read_query_response(reply.body(), query.return_type);
}

}  // namespace kuva::workflow
