#pragma once

#include <kuva/dicom/tag.hpp>
#include <kuva/ul/pdu.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kuva::sandbox {

// Where in an exchange a rule is looked up, and what its counters count: TCP connections, association requests,
// C-STORE, N-ACTION and C-ECHO requests, A-RELEASE-RQ, storage commitment reports that are due.
enum class FaultPoint {
  connect,
  associate,
  store,
  commit,
  echo,
  release,
  report,
  // Of HTTP: a connection; ITI-18 and ITI-38; ITI-43 and ITI-39; RAD-69 and RAD-75; WADO-RS.
  web_connect,
  query,
  documents,
  images,
  wado,
  // Of HL7: a connection; a message.
  hl7_connect,
  hl7
};
std::string_view to_string(FaultPoint point);
std::optional<FaultPoint> fault_point(std::string_view word);

// What a rule does, kuva-faults(5). Which go with which point: is_implemented().
enum class FaultAction {
  // Anywhere: says nothing; says it late; ends the connection.
  silent,
  delay,
  close,
  reset,
  abort,
  bad_pdu,
  // Of a connection.
  tls,
  // Of an association.
  reject,
  contexts,
  max_pdu,
  async_window,
  drip,
  two_pdvs,
  // Of a request and its response.
  status,
  twice,
  wrong_message_id,
  other_instance,
  other_message,
  no_status,
  out_of_order,
  early,
  stop_reading,
  disk_full,
  release,
  // Of a release.
  collision,
  // Of a storage commitment report.
  same_association,
  other_association,
  before_response,
  partial,
  both_lists,
  stranger,
  no_role,
  // Of an answer over HTTP.
  soap_fault,
  http_status,
  registry_error,
  missing_part,
  wrong_cid,
  cut,
  wrong_digest,
  clock,
  bare_response,
  wrong_relates_to,
  wrong_action,
  // Of an HL7 acknowledgement.
  acknowledgement,
  wrong_control_id,
  noise
};
std::string_view to_string(FaultAction action);
std::optional<FaultAction> fault_action(std::string_view word);
// False: the sandbox cannot do that there (yet), and a configuration that asks for it is refused.
bool is_implemented(FaultPoint point, FaultAction action);

// Faults of a TLS connection.
enum class TlsFault {
  expired,
  not_yet_valid,
  self_signed,
  wrong_name,
  missing_intermediate,
  old_version,
  weak_suites,
  client_refused,       // early: in the handshake, or where TLS 1.3 tells
  client_refused_late,  // after the handshake, as TLS 1.3 does
  plain,                // plain DICOM where TLS is expected
  tls_on_plain,         // TLS where plain DICOM is expected
  no_close_notify
};

// How the presentation contexts of a request are answered.
enum class ContextFault {
  first_only,     // the others are not accepted
  implicit_only,  // those that hold Implicit VR Little Endian, in it
  none,           // all are refused: result 4
  omitted,        // the others than the first are left out of the answer
  reversed,       // sound, but last to first
  last_syntax,    // the last syntax that is offered, where it is usually the first
  not_offered     // accepted with a transfer syntax that was not offered
};

enum class BadPdu {
  unrecognised,  // type 42H
  too_long,      // a P-DATA-TF of 4 GiB less one
  unexpected,    // A-ASSOCIATE-AC in the middle of an association, A-RELEASE-RP before it
  bad_pdv,       // a PDV that is longer than its PDU
  not_dicom      // a page of HTTP
};

// When, in the course of a request, an action that ends the association comes.
enum class FaultMoment {
  request,  // its command set has come
  object,   // all of it has come (and an object is stored); nothing is answered
  response  // it has been answered
};

// Which occasions a rule is for; what is not set is not looked at.
struct FaultMatch {
  std::string calling_ae;
  std::string sop_class;  // of the request; at associate: it is proposed
  std::string study;      // Study Instance UID of the object; known once the object has come
  std::optional<bool> tls;
  // The how manieth association (connection, at connect) of this run, of that calling AE title where one is said.
  std::optional<std::uint64_t> association;
  // The how manieth occasion that all of the above let pass.
  std::optional<std::uint64_t> nth;
  bool nth_in_association = false;  // counted anew in each association
  std::optional<std::uint64_t> first;
  std::optional<std::uint64_t> every;
  std::optional<std::uint64_t> times;  // fires this often at most
  double probability = 1.0;
};

struct FaultRule {
  std::string name;  // of the transcript
  FaultPoint point = FaultPoint::store;
  FaultAction action = FaultAction::silent;
  FaultMatch match;

  // What the action needs.
  std::uint16_t status = 0xA700;
  std::string error_comment;
  std::vector<dicom::Tag> offending_elements;
  std::optional<std::uint16_t> error_id;
  // delay: how late; drip: between bytes; silent and stop_reading: for how long, the idle timeout where nothing is
  // said.
  std::optional<std::chrono::milliseconds> duration;
  ul::AssociateReject reject;
  ul::Abort abort;
  FaultMoment moment = FaultMoment::object;
  std::optional<std::uint32_t> after_pdvs;  // instead of the moment: once so many PDVs of the data set have come
  std::uint64_t after_bytes = 0;            // disk_full
  ContextFault contexts = ContextFault::first_only;
  std::uint32_t max_pdu = 0;
  std::uint16_t window = 0;
  std::uint16_t hold = 2;  // out_of_order: so many answers are sent last to first
  BadPdu pdu = BadPdu::unrecognised;
  TlsFault tls = TlsFault::expired;
  // Of HTTP.
  int http_status = 503;
  std::string code;     // of a SOAP fault: Sender or Receiver; of a registry error; of an acknowledgement: MSA-1
  std::string subcode;  // local name, in the namespace of WS-Security; of an acknowledgement: ERR-3
  std::string reason;   // of a SOAP fault, codeContext of a registry error; of an acknowledgement: MSA-3 and ERR-8
  bool is_warning = false;
  bool is_behind = false;  // clock: in the past
};

struct FaultSettings {
  std::uint64_t seed = 1;
  std::vector<FaultRule> rules;
};

// What one association has counted; made by FaultPlan::begin.
struct FaultScope {
  std::uint64_t of_all = 0;
  std::uint64_t of_calling_ae = 0;
  std::map<std::size_t, std::uint64_t> counts;  // by rule
};

struct FaultOccasion {
  std::string_view calling_ae;
  std::optional<bool> tls;
  std::set<std::string> sop_classes;
  std::string_view study;  // empty: not known, rules about a study are not looked at; otherwise only those are
};

// Which faults are due. Any thread may ask. The same occasions in the same order with the same seed give the same
// faults.
class FaultPlan {
 public:
  explicit FaultPlan(FaultSettings settings) : m_settings(std::move(settings)) {}

  // Whether any rule is for this point: nothing need be asked where there is none.
  bool has(FaultPoint point) const;
  bool is_empty() const { return m_settings.rules.empty(); }
  // Counts a connection (without a calling AE title) or an association.
  FaultScope begin(FaultPoint point, std::string_view calling_ae);
  // The rules that fire, in their order; they count as fired.
  std::vector<FaultRule> fire(FaultPoint point, FaultScope& scope, const FaultOccasion& occasion);

 private:
  bool is_chosen(std::size_t rule, std::uint64_t occasion) const;

  const FaultSettings m_settings;
  std::mutex m_mutex;
  std::map<std::size_t, std::uint64_t> m_counts;
  std::map<std::size_t, std::uint64_t> m_fired;
  std::uint64_t m_connections = 0;
  std::uint64_t m_web_connections = 0;
  std::uint64_t m_hl7_connections = 0;
  std::uint64_t m_associations = 0;
  std::map<std::string, std::uint64_t, std::less<>> m_associations_of;
};

}  // namespace kuva::sandbox
