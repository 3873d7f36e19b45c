#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/query_tags.hpp>
#include <kuva/dicom/transcoder.hpp>
#include <kuva/dimse/response.hpp>
#include <kuva/dimse/retrieve.hpp>
#include <kuva/dimse/status.hpp>
#include <kuva/sandbox/identifier.hpp>
#include <kuva/sandbox/negotiation.hpp>
#include <kuva/sandbox/outgoing.hpp>
#include <kuva/sandbox/query_statuses.hpp>
#include <kuva/sandbox/rejection_rules.hpp>
#include <kuva/sandbox/retrieve_service.hpp>
#include <kuva/sandbox/selection.hpp>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

namespace kuva::sandbox {

namespace {

constexpr std::uint16_t k_some_failed = 0xB000;
constexpr std::uint16_t k_all_failed = 0xA702;
constexpr std::uint16_t k_destination_unknown = 0xA801;
constexpr std::chrono::milliseconds k_suboperation_response{60'000};
// An association has room for 128; a pair of native syntaxes may need one more.
constexpr std::size_t k_most_contexts = 126;

const std::vector<std::string>& native_syntaxes() {
  static const std::vector<std::string> k_syntaxes{std::string(dicom::k_explicit_vr_little_endian),
                                                   std::string(dicom::k_implicit_vr_little_endian)};
  return k_syntaxes;
}

// The context in which an object can be sent: its own transfer syntax, else one that it can be written in.
const ul::AcceptedContext* context_for(const std::vector<ul::AcceptedContext>& contexts, const StoredObject& object) {
  const dicom::TransferSyntax from = dicom::transfer_syntax(object.transfer_syntax_uid);
  const ul::AcceptedContext* other = nullptr;
  for (const ul::AcceptedContext& context : contexts) {
    if (!context.scu || context.abstract_syntax != object.sop_class_uid) {
      continue;
    }
    if (context.transfer_syntax == object.transfer_syntax_uid) {
      return &context;
    }
    if (other == nullptr && dicom::can_encode(from, dicom::transfer_syntax(context.transfer_syntax))) {
      other = &context;
    }
  }
  return other;
}

using SopClassAndSyntax = std::pair<std::string, std::string>;

// Sends one object; the class of its status.
class Sender {
 public:
  virtual ~Sender() = default;
  // Errors: whatever ends the operation.
  virtual dimse::StatusClass send(const StoredObject& object) = 0;
};

// The C-STORE sub-operations of C-GET: on the association that asked.
class SameAssociation : public Sender {
 public:
  SameAssociation(Archive& archive, dimse::Operation& operation) : m_archive(archive), m_operation(operation) {}

  dimse::StatusClass send(const StoredObject& object) override {
    const ul::AcceptedContext* const context = context_for(m_operation.contexts(), object);
    if (context == nullptr) {
      return dimse::StatusClass::failure;
    }
    std::unique_ptr<dicom::DataSetStream> data;
    try {
      data = open_coerced(m_archive.path_of(object), context->transfer_syntax, m_archive.identity_of(object));
    } catch (const Error&) {
      return dimse::StatusClass::failure;  // gone or damaged; the others go on
    }
    const dimse::Command response = m_operation.store(
        context->id, object.sop_class_uid, object.sop_instance_uid,
        [&data](std::span<std::byte> buffer) { return data->read(buffer); }, k_suboperation_response);
    return dimse::status_class(*response.status);
  }

 private:
  Archive& m_archive;
  dimse::Operation& m_operation;
};

// Those of C-MOVE: on an association to the destination, opened when first needed, and once more after a loss.
class Destination : public Sender {
 public:
  Destination(const RetrieveSource& source, const KnownAe& known, const dimse::Operation& operation,
              std::string originator_ae, std::set<SopClassAndSyntax> wanted)
      : m_source(source),
        m_known(known),
        m_originator_ae(std::move(originator_ae)),
        m_originator_id(operation.request().message_id),
        m_wanted(std::move(wanted)) {}
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;
  ~Destination() override { close(); }

  dimse::StatusClass send(const StoredObject& object) override {
    if (m_given_up) {
      return dimse::StatusClass::failure;
    }
    try {
      if (!m_association || !m_proposed.contains({object.sop_class_uid, object.transfer_syntax_uid})) {
        open({object.sop_class_uid, object.transfer_syntax_uid});
      }
      return send_now(object);
    } catch (const Error& error) {
      const bool was_open = m_association != nullptr;
      m_messenger.reset();
      m_stopper.reset();
      m_association.reset();
      m_given_up = !was_open;  // it could not be opened: neither for what follows
      return dimse::StatusClass::failure;
    }
  }

  // Released in good order.
  void close() {
    if (!m_association || !m_association->is_open()) {
      return;
    }
    try {
      m_association->release();
    } catch (const Error&) {
      // All that was sent has been answered.
    }
    m_messenger.reset();
    m_stopper.reset();
    m_association.reset();
  }

 private:
  using Stopper = std::stop_callback<std::function<void()>>;

  // Proposes what is wanted, this one first.
  void open(const SopClassAndSyntax& first) {
    close();
    m_proposed.clear();
    std::vector<ul::PresentationContext> contexts;
    const auto propose = [&](const SopClassAndSyntax& pair) {
      if (contexts.size() >= k_most_contexts || !m_proposed.insert(pair).second) {
        return;
      }
      const auto next_id = [&contexts] { return static_cast<std::uint8_t>(2 * contexts.size() + 1); };
      contexts.push_back({next_id(), pair.first, {pair.second}});
      const auto& native = native_syntaxes();
      if (!dicom::transfer_syntax(pair.second).encapsulated) {
        for (const std::string& syntax : native) {
          if (syntax != pair.second) {
            contexts.back().transfer_syntaxes.push_back(syntax);
          }
        }
      }
    };
    propose(first);
    for (const SopClassAndSyntax& pair : m_wanted) {
      propose(pair);
    }
    m_association = open_association(m_source.settings, m_known, m_source.client_tls, std::move(contexts));
    m_stopper =
        std::make_unique<Stopper>(m_source.stop, [association = m_association.get()] { association->shutdown(); });
    m_messenger = std::make_unique<dimse::Messenger>(*m_association);
  }

  dimse::StatusClass send_now(const StoredObject& object) {
    const ul::AcceptedContext* const context = context_for(m_association->contexts(), object);
    if (context == nullptr) {
      return dimse::StatusClass::failure;
    }
    std::unique_ptr<dicom::DataSetStream> data;
    try {
      data = open_coerced(m_source.archive.path_of(object), context->transfer_syntax,
                          m_source.archive.identity_of(object));
    } catch (const Error&) {
      return dimse::StatusClass::failure;
    }
    dimse::Command command =
        dimse::make_store_command(m_messenger->next_message_id(), object.sop_class_uid, object.sop_instance_uid);
    command.move_originator_ae = m_originator_ae;
    command.move_originator_message_id = m_originator_id;
    m_messenger->send(context->id, command, [&data](std::span<std::byte> buffer) { return data->read(buffer); });
    const auto response = dimse::await_response(*m_messenger, command, k_suboperation_response);
    m_messenger->receive_data([](std::span<const std::byte>) {}, m_source.settings.timeouts.stall);
    return dimse::status_class(*response.command.status);
  }

  const RetrieveSource& m_source;
  const KnownAe& m_known;
  std::string m_originator_ae;
  std::optional<std::uint16_t> m_originator_id;
  std::set<SopClassAndSyntax> m_wanted;
  std::set<SopClassAndSyntax> m_proposed;
  std::unique_ptr<ul::Association> m_association;
  std::unique_ptr<Stopper> m_stopper;
  std::unique_ptr<dimse::Messenger> m_messenger;
  bool m_given_up = false;
};

void refuse(dimse::Operation& operation, std::uint16_t status, std::string comment,
            std::optional<dicom::Tag> element = {}) {
  dimse::Command response = dimse::make_response(operation.request(), status);
  if (!comment.empty()) {
    response.error_comment = std::move(comment);
  }
  if (element) {
    response.offending_elements = {*element};
  }
  operation.respond(response);
}

// The counters are 16 bits wide (PS3.7 9.1.4.1): more is said as the most.
std::uint16_t counter(std::uint64_t count) {
  return static_cast<std::uint16_t>(std::min<std::uint64_t>(count, std::numeric_limits<std::uint16_t>::max()));
}

// The sub-operations and their responses.
class Retrieval {
 public:
  Retrieval(dimse::Operation& operation, std::uint64_t matches) : m_operation(operation), m_remaining(matches) {}

  void run(Selection& selection, Sender& sender) {
    bool is_cancelled = false;
    // What came after the matches were counted is not sent.
    while (m_remaining > 0) {
      const auto object = selection.next();
      is_cancelled = m_operation.is_cancelled();
      if (!object || is_cancelled) {
        break;
      }
      note(*object, sender.send(*object));
      if (m_remaining > 0) {
        m_operation.respond(response(k_pending));
      }
    }
    finish(is_cancelled);
  }

 private:
  void note(const StoredObject& object, dimse::StatusClass outcome) {
    --m_remaining;
    if (outcome == dimse::StatusClass::success) {
      ++m_completed;
    } else if (outcome == dimse::StatusClass::warning) {
      ++m_warning;
    } else {
      ++m_failed;
      m_failed_instances += (m_failed_instances.empty() ? "" : "\\") + object.sop_instance_uid;
    }
  }

  dimse::Command response(std::uint16_t status) const {
    dimse::Command response = dimse::make_response(m_operation.request(), status);
    dimse::put_suboperations(response,
                             {counter(m_remaining), counter(m_completed), counter(m_failed), counter(m_warning)});
    return response;
  }

  void finish(bool is_cancelled) {
    std::uint16_t status = 0;
    if (is_cancelled) {
      status = k_cancelled;
    } else if (m_failed != 0) {
      status = m_completed + m_warning == 0 ? k_all_failed : k_some_failed;
    } else if (m_warning != 0) {
      status = k_some_failed;
    }
    if (m_failed_instances.empty()) {
      m_operation.respond(response(status));
      return;
    }
    dicom::DataSet data;
    data.set_string(dicom::tags::failed_sop_instance_uid_list, m_failed_instances);
    m_operation.respond(response(status), data);
  }

  dimse::Operation& m_operation;
  std::uint64_t m_remaining;
  std::uint64_t m_completed = 0;
  std::uint64_t m_failed = 0;
  std::uint64_t m_warning = 0;
  std::string m_failed_instances;
};

// Nothing when the request was refused.
std::optional<UniqueKeys> read_keys(const KnownAe& known, dimse::Operation& operation, dimse::QueryRoot root,
                                    const dicom::DataSet& identifier) {
  if (!known.may_query) {
    refuse(operation, k_not_authorised, {});
    return std::nullopt;
  }
  auto read = read_identifier(identifier, root, IdentifierUse::retrieval);
  if (const auto* const defect = std::get_if<IdentifierDefect>(&read)) {
    refuse(operation, k_identifier_does_not_match, defect->comment, defect->element);
    return std::nullopt;
  }
  return std::move(std::get<UniqueKeys>(read));
}

// What is selected: how many, and of which kinds.
struct Overview {
  std::uint64_t matches = 0;
  std::set<SopClassAndSyntax> kinds;
};
Overview survey(Selection selection) {
  Overview overview;
  while (const auto object = selection.next()) {
    ++overview.matches;
    overview.kinds.emplace(object->sop_class_uid, object->transfer_syntax_uid);
  }
  return overview;
}

}  // namespace

void serve_move(const RetrieveSource& source, const KnownAe& known, dimse::Operation& operation, dimse::QueryRoot root,
                const dicom::DataSet& identifier) {
  const auto keys = read_keys(known, operation, root, identifier);
  if (!keys) {
    return;
  }
  const KnownAe* const destination = find_ae(source.settings, operation.request().move_destination.value_or(""));
  if (destination == nullptr || !destination->endpoint) {
    refuse(operation, k_destination_unknown, "Move destination unknown.");
    return;
  }
  Selection selection(source.archive, *keys, root, view_of(known));
  Overview overview = survey(selection);
  Destination sender(source, *destination, operation, known.ae_title, std::move(overview.kinds));
  Retrieval(operation, overview.matches).run(selection, sender);
}

void serve_get(const RetrieveSource& source, const KnownAe& known, dimse::Operation& operation, dimse::QueryRoot root,
               const dicom::DataSet& identifier) {
  const auto keys = read_keys(known, operation, root, identifier);
  if (!keys) {
    return;
  }
  Selection selection(source.archive, *keys, root, view_of(known));
  const Overview overview = survey(selection);
  SameAssociation sender(source.archive, operation);
  Retrieval(operation, overview.matches).run(selection, sender);
}

}  // namespace kuva::sandbox
