#include <kuva/mllp/client.hpp>

#include <fmt/format.h>

namespace kuva::mllp {

namespace {

constexpr std::chrono::milliseconds k_close_limit{1'000};

// What became of a message once its first byte went out is not known.
Error unanswered(const Error& cause, std::string_view what) {
  Error error(kind("mllp.no-acknowledgement"), fmt::format("{}: {}", what, cause.message()));
  error.with("cause", std::string(cause.kind().code));
  if (cause.peer()) {
    error.with_peer(*cause.peer());
  }
  return error;
}

}  // namespace

Client::~Client() { close(); }

void Client::close() noexcept {
  if (m_connection) {
    m_connection->stream().close(Deadline::after(k_close_limit));
    m_connection.reset();
  }
}

std::string Client::local_address() const { return m_connection ? m_connection->stream().local_address() : ""; }

void Client::open() {
  std::unique_ptr<net::Stream> stream = net::connect(m_settings.connect);
  if (m_settings.wrap) {
    stream = m_settings.wrap(std::move(stream));
  }
  m_connection = std::make_unique<Connection>(std::move(stream), m_settings.limit);
  ++m_connections;
}

Answer Client::exchange(std::string_view message, std::string_view control_id) {
  const std::string block = to_block(message);
  // Bytes that came without being asked for would be taken for the answer of this message.
  if (m_connection && m_connection->has_input()) {
    close();
  }
  if (!m_connection) {
    open();
  }
  const auto started = std::chrono::steady_clock::now();
  const FramingFaults before = m_connection->faults();
  std::optional<std::string> bytes;
  std::string_view doing = "while it was sent";
  try {
    m_connection->send_block(block, m_settings.stall_limit);
    doing = "no acknowledgement";
    bytes = m_connection->receive(Deadline::after(m_settings.acknowledgement_timeout));
  } catch (const Error& error) {
    m_connection->stream().reset();
    m_connection.reset();
    if (error.kind().error_class == ErrorClass::indeterminate) {
      throw;
    }
    throw unanswered(error, doing);
  }
  const Peer peer = m_connection->stream().peer();
  if (!bytes) {
    close();
    throw Error(kind("mllp.no-acknowledgement"), "the peer closed the connection without an acknowledgement")
        .with_peer(peer);
  }
  try {
    Answer answer;
    try {
      answer.acknowledgement = hl7::read_acknowledgement(hl7::Message::parse(*bytes));
    } catch (const Error& error) {
      throw Error(kind("mllp.wrong-acknowledgement"),
                  fmt::format("what came is no acknowledgement: {}", error.message()));
    }
    if (answer.acknowledgement.control_id != control_id) {
      throw Error(kind("mllp.wrong-acknowledgement"),
                  answer.acknowledgement.control_id.empty()
                      ? "the acknowledgement does not say which message it is for (MSA-2 is empty)"
                      : "the acknowledgement is for another message (MSA-2)")
          .with("messageControlId", std::string(control_id))
          .with("acknowledgedControlId", answer.acknowledgement.control_id);
    }
    answer.bytes = std::move(*bytes);
    answer.faults = m_connection->faults();
    answer.faults.bytes_between -= before.bytes_between;
    answer.faults.missing_returns -= before.missing_returns;
    answer.faults.blocks_cut -= before.blocks_cut;
    answer.waited = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
    return answer;
  } catch (Error& error) {
    m_connection->stream().reset();
    m_connection.reset();
    throw Error(error).with_peer(peer);
  }
}

}  // namespace kuva::mllp
