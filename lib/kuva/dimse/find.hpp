#pragma once

#include <kuva/dicom/data_set.hpp>
#include <kuva/dimse/messenger.hpp>
#include <kuva/dimse/query.hpp>
#include <kuva/dimse/response.hpp>
#include <kuva/dimse/status.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kuva::dimse {

// C-FIND as user (PS3.4 C.4.1).

// Query/Retrieve Level and an empty key for each element that is to be returned, of Study Root or Patient Root.
dicom::DataSet make_query(QueryLevel level, const std::vector<dicom::Tag>& return_keys);

// The IMAGE level query that tells which of these instances the peer has: Study and Series Instance UID as the levels
// above demand (PS3.4 C.4.1.3.1.1), SOP Instance UID by list matching, SOP Class UID and Instance Availability
// returned.
dicom::DataSet make_instance_query(std::string_view study_instance_uid, std::string_view series_instance_uid,
                                   const std::vector<std::string>& sop_instance_uids);

struct FindResult {
  std::uint64_t matches = 0;
  bool keys_unsupported = false;  // FF01: some optional keys were not looked at, so there may be too many matches
  bool cancelled = false;         // FE00, after the sink had enough
  bool limited = false;           // B001: there are more, the peer does not give them
};

// Each match as it comes, its text as the peer encoded it (dicom::CharacterSets of its (0008,0005)). False: enough, the
// peer is asked to stop (C-CANCEL) and what still comes is dropped.
using MatchSink = std::function<bool(const dicom::DataSet&)>;

// One query from request to last response, on the context that was accepted for find_sop_class(root).
// With `on_quiet`, that decides how long to wait for a response, and not `response_timeout`.
// Errors: negotiate.sop-class without such a context; connection.timeout when no response comes for `response_timeout`;
// association.*, dimse.unexpected-response (the association is then gone); the error of a failure status (status_error,
// the association stays usable): query.*, dimse.*.
FindResult find(Messenger& messenger, QueryRoot root, const dicom::DataSet& identifier, const MatchSink& sink,
                std::chrono::milliseconds response_timeout, const OnQuiet& on_quiet = {});

}  // namespace kuva::dimse
