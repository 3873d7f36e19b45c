#pragma once

#include <kuva/dimse/operation.hpp>
#include <kuva/dimse/query.hpp>
#include <kuva/net/stream.hpp>
#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/sandbox.hpp>

#include <memory>
#include <stop_token>

namespace kuva::sandbox {

// What retrieval needs of the sandbox.
struct RetrieveSource {
  Archive& archive;
  const Settings& settings;
  const std::shared_ptr<const net::TlsContext>& client_tls;
  std::stop_token stop;
};

// Serves a C-MOVE (PS3.4 C.4.2): to known AEs with an endpoint, A801 otherwise. Objects are streamed from their files;
// a native transfer syntax is re-encoded when the destination takes the other ones alone. Memory does not grow with
// the objects, except for the list of those that failed.
void serve_move(const RetrieveSource& source, const KnownAe& known, dimse::Operation& operation, dimse::QueryRoot root,
                const dicom::DataSet& identifier);

// Serves a C-GET (PS3.4 C.4.3) with the contexts that the requestor proposed as SCP; an object without one failed.
void serve_get(const RetrieveSource& source, const KnownAe& known, dimse::Operation& operation, dimse::QueryRoot root,
               const dicom::DataSet& identifier);

}  // namespace kuva::sandbox
