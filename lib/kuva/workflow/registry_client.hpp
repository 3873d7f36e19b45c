#pragma once

#include <kuva/soap/client.hpp>
#include <kuva/workflow/query.hpp>
#include <kuva/workflow/target.hpp>

#include <filesystem>
#include <functional>
#include <string>

namespace kuva::workflow {

// The registry or gateway of a target: ITI-18, or ITI-38 where the target says so.
class RegistryClient : public Registry {
 public:
  // The children of wsse:Security for a call, made anew for each attempt; none: no such header.

  // Errors: usage.target where the target has no [xds], http.url, tls.config.
  RegistryClient(const Target& target, soap::Security security, const std::filesystem::path& save_raw,
                 Observer& observer);

  xds::QueryResponse ask(const xds::StoredQuery& query, std::stop_token stop) override;

 private:
  std::string m_action;
  soap::Security m_security;
  soap::Client m_client;
  Observer& m_observer;
};

// For --dry-run: the request that would be made first, where and with which action. Errors: as make_query, xds_of.
Json request_record(const QuerySettings& settings, const Target& target);

// What a tool of the XDS side needs of its target. Errors: usage.target.
const XdsSettings& xds_of(const Target& target);
// HTTP as the target's [xds] says. Errors: tls.config.
soap::HttpSettings http_settings(const XdsSettings& xds, const std::filesystem::path& save_raw);

}  // namespace kuva::workflow
