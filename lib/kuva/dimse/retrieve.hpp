#pragma once

#include <kuva/dicom/data_set.hpp>
#include <kuva/dimse/messenger.hpp>
#include <kuva/dimse/provider.hpp>
#include <kuva/dimse/query.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kuva::dimse {

// C-MOVE and C-GET (PS3.4 C.4.2 and C.4.3).

// The counters (0000,1020)-(0000,1023) of the responses.
struct SubOperations {
  std::uint16_t remaining = 0;
  std::uint16_t completed = 0;
  std::uint16_t failed = 0;
  std::uint16_t warning = 0;
};
SubOperations read_suboperations(const Command& response);
// Remaining is left out where it shall not be: in final responses other than that of a cancellation.
void put_suboperations(Command& response, const SubOperations& counts);

struct RetrieveResult {
  std::uint16_t status = 0;                   // of the final response
  SubOperations counts;                       // as it has them; peers may leave them out
  std::vector<std::string> failed_instances;  // Failed SOP Instance UID List (0008,0058), as far as it is given
  bool cancelled = false;                     // FE00
  std::optional<Error> failure;               // of a failure status: retrieve.*, query.*, dimse.*
};

// Called for each pending response. False: the peer is asked to stop (C-CANCEL).
using RetrieveProgress = std::function<bool(const SubOperations&)>;

// What is to become of a retrieval that is under way.
enum class Patience : std::uint8_t {
  wait,
  cancel,   // the peer is asked to stop (C-CANCEL, once), and may still answer
  give_up,  // the association is aborted
};
// Asked at each pending response, which it gets, and every k_look_interval while none comes.
using RetrieveWatch = std::function<Patience(const SubOperations* pending)>;

// Has the peer send the objects to the AE of that title (C-MOVE). Success with nothing found is all counters 0.
// `patience` is for the time between two responses. Errors: negotiate.sop-class without a context for the model;
// connection.timeout, association.*, dimse.unexpected-response.
RetrieveResult move(Messenger& messenger, QueryRoot root, const std::string& destination,
                    const dicom::DataSet& identifier, const RetrieveProgress& progress,
                    std::chrono::milliseconds patience);

// The same with a watch that decides how long to wait: connection.timeout when it gives up.
RetrieveResult move(Messenger& messenger, QueryRoot root, const std::string& destination,
                    const dicom::DataSet& identifier, const RetrieveWatch& watch);

// Has the peer send the objects on this association (C-GET): `services.store` takes them. The association must have
// been requested with role selection SCP for the storage SOP classes (get_roles). Otherwise as move().
RetrieveResult get(Messenger& messenger, QueryRoot root, const dicom::DataSet& identifier, const Services& services,
                   const RetrieveProgress& progress, std::chrono::milliseconds patience);
// This side is SCP, not SCU, of the SOP classes (PS3.7 D.3.3.4).
std::vector<ul::RoleSelection> get_roles(const std::vector<std::string>& storage_sop_classes);

}  // namespace kuva::dimse
