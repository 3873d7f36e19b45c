#pragma once

#include <kuva/core/error.hpp>
#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/faults.hpp>
#include <kuva/sandbox/web_server.hpp>

#include <set>
#include <string>
#include <vector>

namespace kuva::sandbox {

inline constexpr std::string_view k_wado_path = "/dicom-web";

// WADO-RS (PS3.18 8, 10.4): GET of studies, series and instances as multipart/related; type="application/dicom", or of
// one instance as application/dicom. Rejected instances are not there. A missing resource is 404, a media type or
// transfer syntax that cannot be had 406. With `tokens`, one of them is demanded as a bearer token (401).
// `facts` gets what the transcript says of it. `faults`: those that fired for this request.
WebResponse serve_wado(Archive& archive, const std::set<std::string>& tokens, const WebRequest& request,
                       const std::vector<FaultRule>& faults, Json& facts);

// What an Accept header takes of DICOM objects, in its order of preference.
struct DicomAccept {
  bool multipart = false;
  bool single = false;                         // application/dicom
  std::vector<std::string> transfer_syntaxes;  // "*": any; none: Explicit VR Little Endian (PS3.18 8.7.3.5.2)
};
// Media types that it does not know, and those with q=0, are passed by.
DicomAccept parse_dicom_accept(std::string_view accept);

}  // namespace kuva::sandbox
