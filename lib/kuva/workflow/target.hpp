#pragma once

#include <kuva/net/stream.hpp>
#include <kuva/ul/association.hpp>
#include <kuva/workflow/items.hpp>
#include <kuva/workflow/trace_directory.hpp>
#include <kuva/workflow/xds_settings.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace kuva::workflow {

// Where this machine listens for reports that the target sends on associations of its own.
struct ListenerSettings {
  net::Endpoint bind;  // host to bind ("0.0.0.0", "127.0.0.1") and port
  bool tls = true;
  net::TlsSettings tls_settings;  // server side
};

// C-MOVE to ourselves ([target.NAME.move]).
struct MoveSettings {
  std::string destination;                   // our AE title as the archive knows it; empty: the calling AE title
  std::optional<ListenerSettings> listener;  // where its stores are taken; none: that of the target
};

// A peer as kuva.toml names it (kuva.toml(5)), flags and environment already applied.
struct Target {
  std::string name;
  net::Endpoint endpoint;
  std::string called_ae;
  std::string calling_ae;
  bool tls = true;
  net::TlsSettings tls_settings;  // client side
  std::optional<ListenerSettings> listener;
  std::optional<ul::UserIdentity> user_identity;
  std::vector<ul::ExtendedNegotiation> extended_negotiations;

  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds tls_timeout{10'000};
  ul::Timeouts association_timeouts;
  std::chrono::milliseconds response_timeout{300'000};  // of a C-STORE-RSP, N-ACTION-RSP
  std::chrono::milliseconds idle_timeout{20'000};       // an association without work is released after this

  unsigned associations = 1;       // at the same time
  std::uint16_t async_window = 0;  // operations outstanding; 0: not negotiated (PS3.7 D.3.3.3)
  std::uint32_t max_pdu = ul::Association::k_default_receive_limit;  // what we announce
  std::uint32_t instances_per_association = 0;                       // 0: no limit
  std::uint32_t commit_chunk = 500;                                  // instances a commitment request

  std::shared_ptr<TraceDirectory> trace;  // of every association with it; null: none
  // How an instance that was sent whole and not answered is settled: asked for with C-FIND where the peer takes that,
  // or left for storage commitment.
  enum class Settle { query, commit };
  Settle settle = Settle::query;
  unsigned failures_in_a_row = 8;              // of associations, before nothing is opened but one probe at a time
  std::chrono::milliseconds recovery{30'000};  // before one more association is tried after it was too many

  std::optional<XdsSettings> xds;
  std::optional<soap::AssertionSettings> xua;
  std::optional<WadoSettings> wado;
  std::optional<MoveSettings> move;
  std::string viewer_url;  // of the archive's own viewer, with {StudyInstanceUID} and the like; empty: it has none

  Peer to_peer() const;
};

// The request with all but contexts and roles filled in from the target.
ul::AssociateRequest complete_request(const Target& target, ul::AssociateRequest request);
// Opens an association with what the target says; contexts (and roles) as given in `request`, the rest is filled in. A
// certificate of either side that is about to end is told to the observer. `certificate` gets the fingerprint and the
// end of the one that the peer showed, for the records of later failures.
// Errors: as net::connect and ul::Association::request; those of the latter have `certificate` in their details.
std::unique_ptr<ul::Association> associate(const Target& target, const std::shared_ptr<const net::TlsContext>& tls,
                                           ul::AssociateRequest request, Observer& observer,
                                           Json* certificate = nullptr);
// The client context of a target; null when it is plain.
std::shared_ptr<const net::TlsContext> client_tls(const Target& target);

}  // namespace kuva::workflow
