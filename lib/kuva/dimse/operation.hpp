#pragma once

#include <kuva/dimse/messenger.hpp>
#include <kuva/dimse/provider.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace kuva::dimse {

// An operation with several responses (C-FIND, C-MOVE, C-GET) while it is served, on the association's thread.
class Operation {
 public:
  Operation(Messenger& messenger, const Messenger::Message& request, const Services& services,
            std::chrono::milliseconds stall_limit);

  const Command& request() const { return m_request.command; }
  const ul::AcceptedContext& context() const;
  const std::vector<ul::AcceptedContext>& contexts() const { return m_messenger.association().contexts(); }

  // Takes what the peer has sent meanwhile, without waiting. True once it has cancelled the operation (C-CANCEL), or
  // serving is to stop. Other requests are answered; a second operation of this kind gets 0213.
  bool is_cancelled();

  void respond(const Command& response);
  void respond(const Command& response, const dicom::DataSet& data);

  // A C-STORE sub-operation on this association (C-GET): the response.
  Command store(std::uint8_t context_id, const std::string& sop_class_uid, const std::string& sop_instance_uid,
                const ul::DataSource& data, std::chrono::milliseconds patience);

 private:
  void take(const Messenger::Message& message);
  void trace(const Messenger::Message& message, bool received) const;

  Messenger& m_messenger;
  const Messenger::Message m_request;
  const Services& m_services;
  std::chrono::milliseconds m_stall_limit;
  bool m_cancelled = false;
};

// The C-STORE-RQ of a sub-operation; of C-MOVE with the originator's AE title and message id (PS3.7 9.1.1.1).
Command make_store_command(std::uint16_t message_id, const std::string& sop_class_uid,
                           const std::string& sop_instance_uid);

}  // namespace kuva::dimse
