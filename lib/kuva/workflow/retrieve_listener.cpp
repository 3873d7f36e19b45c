#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/workflow/retrieve_listener.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::workflow {

namespace {

constexpr std::uint16_t k_out_of_resources = 0xA700;
constexpr std::uint16_t k_does_not_match = 0xA900;
constexpr std::uint16_t k_cannot_understand = 0xC000;
constexpr std::uint16_t k_not_authorized = 0x0124;
constexpr std::size_t k_longest_comment = 64;  // VR LO

dimse::Command refuse(dimse::Command response, std::uint16_t status, std::string_view comment) {
  response.status = status;
  response.error_comment = std::string(comment.substr(0, k_longest_comment));
  return response;
}

bool is_local(const Error& error) { return error.kind().side == Side::local; }

const Target& with_listener(const Target& target) {
  if (!target.listener) {
    throw Error(
        kind("usage.target"),
        fmt::format("target '{}' has no listener, and C-MOVE needs one: give it one in kuva.toml, or say --listen",
                    target.name));
  }
  return target;
}

}  // namespace

// One object that comes in.
class RetrieveListener::Reception : public dimse::StoreReception {
 public:
  Reception(RetrieveListener& listener, Landing::Identity identity, std::string syntax, std::string source_ae)
      : m_listener(listener),
        m_identity(std::move(identity)),
        m_syntax(std::move(syntax)),
        m_takers(listener.takers(m_identity)) {
    if (m_takers.empty()) {
      return;
    }
    try {
      m_file.emplace(listener.m_run.landing().begin());
      const std::string meta =
          dicom::encode_file_meta(m_identity.sop_class_uid, m_identity.sop_instance_uid, m_syntax, source_ae);
      m_file->write(std::as_bytes(std::span(meta.data(), meta.size())));
    } catch (const Error& error) {
      note(error);
      throw;
    }
  }

  void write(std::span<const std::byte> data) override {
    if (!m_file) {
      return;
    }
    for (const auto& taker : m_takers) {
      taker->touch();
    }
    m_listener.m_run.came(data.size());
    m_bytes += data.size();
    try {
      m_file->write(data);
    } catch (const Error& error) {
      note(error);
      throw;
    }
  }

  dimse::Command finish(const dimse::Command& response) override {
    if (!m_file) {
      m_listener.m_run.observer().message(
          Observer::Level::warning, fmt::format("refused {}, which nobody has asked for", m_identity.sop_instance_uid));
      return refuse(response, k_not_authorized, "not asked for");
    }
    try {
      return take(response);
    } catch (const Error& error) {
      note(error);
      return refuse(response,
                    is_local(error)                                   ? k_out_of_resources
                    : &error.kind() == &kind("retrieve.wrong-object") ? k_does_not_match
                                                                      : k_cannot_understand,
                    error.kind().code);
    }
  }

 private:
  dimse::Command take(const dimse::Command& response) {
    Landing& landing = m_listener.m_run.landing();
    dicom::Header header = landing.verify(*m_file, {m_identity.sop_class_uid, m_identity.sop_instance_uid, {}, {}});
    const dicom::InstanceAttributes& got = header.attributes;
    const Landing::Identity whole{got.sop_class_uid, got.sop_instance_uid, got.study_instance_uid,
                                  got.series_instance_uid};
    const auto takers = m_listener.takers(whole);
    if (takers.empty()) {
      m_listener.m_run.observer().message(
          Observer::Level::warning,
          fmt::format("refused {}, which is of another study or series than what was asked for",
                      m_identity.sop_instance_uid));
      return refuse(response, k_not_authorized, "not asked for");
    }
    // The study may be asked for twice at the same time.
    auto taker = std::find_if(takers.begin(), takers.end(),
                              [&got](const auto& one) { return one->is_outstanding(got.sop_instance_uid); });
    if (taker == takers.end()) {
      taker = takers.begin();
    }
    (*taker)->arrived(landing.place(*m_file, std::move(header)), Json{{"bytes", m_bytes}});
    return response;
  }

  void note(const Error& error) {
    for (const auto& taker : m_takers) {
      if (&error.kind() == &kind("local.write")) {
        taker->give_up(error);
      }
      if (m_takers.size() == 1 || taker->is_outstanding(m_identity.sop_instance_uid)) {
        taker->failed(m_identity.sop_instance_uid, error);
      }
    }
  }

  RetrieveListener& m_listener;
  Landing::Identity m_identity;
  std::string m_syntax;
  std::vector<std::shared_ptr<StudyRetrieval>> m_takers;
  std::optional<PartFile> m_file;  // none: it is read and dropped
  std::uint64_t m_bytes = 0;       // of the data set
};

RetrieveListener::RetrieveListener(RetrieveRun& run, std::string ae_title)
    : m_run(run),
      m_ae_title(std::move(ae_title)),
      m_listener(with_listener(run.target()),
                 {[this](const ul::AssociateRequest& request) { return decide(request); },
                  [this](ul::Association& association) { serve(association); }},
                 run.observer()) {}

void RetrieveListener::add(const std::shared_ptr<StudyRetrieval>& retrieval) {
  const std::lock_guard lock(m_mutex);
  m_retrievals.push_back(retrieval);
}

void RetrieveListener::remove(const std::shared_ptr<StudyRetrieval>& retrieval) {
  const std::lock_guard lock(m_mutex);
  std::erase(m_retrievals, retrieval);
}

std::string RetrieveListener::words() const {
  const std::string here = fmt::format("port {} ({}), which listens for AE title {}", m_listener.port(),
                                       m_run.target().listener->tls ? "TLS" : "plain text", m_ae_title);
  if (m_listener.connections() == 0) {
    return "no connection has come to " + here;
  }
  std::string text = fmt::format("{} connections have come to {}, {} of them became associations",
                                 m_listener.connections(), here, m_listener.associations());
  if (const auto failure = m_listener.last_failure()) {
    text += fmt::format("; the last that failed: {} ({})", failure->message(), failure->kind().code);
  }
  return text;
}

std::vector<std::shared_ptr<StudyRetrieval>> RetrieveListener::takers(const Landing::Identity& identity) const {
  std::vector<std::shared_ptr<StudyRetrieval>> found;
  const std::lock_guard lock(m_mutex);
  std::copy_if(m_retrievals.begin(), m_retrievals.end(), std::back_inserter(found),
               [&identity](const auto& retrieval) { return retrieval->takes(identity); });
  return found;
}

// The syntax that the wanted objects of this class are stored in; else the one that the archive names first.
std::string RetrieveListener::choose_syntax(const ul::PresentationContext& context) const {
  const std::lock_guard lock(m_mutex);
  for (const auto& retrieval : m_retrievals) {
    const auto stored = retrieval->stored_syntaxes(context.abstract_syntax);
    for (const std::string& syntax : context.transfer_syntaxes) {
      if (stored.contains(syntax)) {
        return syntax;
      }
    }
  }
  return context.transfer_syntaxes.empty() ? std::string() : context.transfer_syntaxes.front();
}

ul::Association::Decision RetrieveListener::decide(const ul::AssociateRequest& request) const {
  if (request.application_context != dicom::uids::application_context) {
    return ul::AssociateReject{1, 1, 2};
  }
  if (request.called_ae != m_ae_title) {
    return ul::AssociateReject{1, 1, 7};
  }
  ul::AssociateAccept accept;
  accept.called_ae = request.called_ae;
  accept.calling_ae = request.calling_ae;
  accept.application_context = request.application_context;
  accept.max_pdu_length = m_run.target().max_pdu;
  accept.implementation_class_uid = dicom::implementation_class_uid();
  accept.implementation_version_name = dicom::implementation_version_name();
  for (const ul::PresentationContext& context : request.contexts) {
    ul::PresentationContextReply reply;
    reply.id = context.id;
    // A class that PS3.6 does not have is an archive's own, or newer than this program.
    const bool known = dicom::is_storage_sop_class(context.abstract_syntax) ||
                       context.abstract_syntax == dicom::uids::verification ||
                       dicom::uid_name(context.abstract_syntax).empty();
    reply.transfer_syntax = choose_syntax(context);
    reply.result = !known                          ? ul::ContextResult::abstract_syntax_not_supported
                   : reply.transfer_syntax.empty() ? ul::ContextResult::transfer_syntaxes_not_supported
                                                   : ul::ContextResult::accepted;
    accept.contexts.push_back(std::move(reply));
  }
  return accept;
}

void RetrieveListener::serve(ul::Association& association) {
  const std::string source_ae = association.requested().calling_ae;
  dimse::Services services;
  services.store = [this, &source_ae](const dimse::Messenger::Message& message, const ul::AcceptedContext& context) {
    const dimse::Command& command = message.command;
    return std::make_unique<Reception>(
        *this,
        Landing::Identity{
            command.affected_sop_class_uid.value_or(""), command.affected_sop_instance_uid.value_or(""), {}, {}},
        context.transfer_syntax, source_ae);
  };
  dimse::Messenger messenger(association);
  const Target& target = m_run.target();
  dimse::serve(messenger, services, m_run.settings().stall, target.association_timeouts.stall);
}

}  // namespace kuva::workflow
