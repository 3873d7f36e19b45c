#include "support/associations.hpp"

namespace kuva::test {

OneShotServer::OneShotServer(Serve serve) : m_listener(net::Listener::open({.host = "127.0.0.1", .port = 0})) {
  m_thread = std::thread([this, serve = std::move(serve)] {
    try {
      if (const auto incoming = m_listener->accept(Deadline::after(std::chrono::seconds(10)))) {
        serve(*incoming);
      }
    } catch (const Error& error) {
      m_error = error;
    }
  });
}

OneShotServer::~OneShotServer() { join(); }

void OneShotServer::join() {
  if (m_thread.joinable()) {
    m_thread.join();
  }
}

std::unique_ptr<net::Stream> connect_plain(const net::Endpoint& endpoint) {
  net::ConnectSettings settings;
  settings.endpoint = endpoint;
  return net::connect(settings);
}

std::string read_bytes(net::Stream& stream, std::size_t count, std::chrono::milliseconds limit) {
  std::string bytes(count, '\0');
  std::size_t filled = 0;
  const auto deadline = Deadline::after(limit);
  while (filled < count) {
    const std::size_t got = stream.read_some(std::as_writable_bytes(std::span(bytes)).subspan(filled), deadline);
    if (got == 0) {
      break;
    }
    filled += got;
  }
  bytes.resize(filled);
  return bytes;
}

void write_bytes(net::Stream& stream, std::string_view bytes) {
  const auto piece = std::as_bytes(std::span(bytes));
  stream.write_all({&piece, 1}, std::chrono::seconds(5));
}

ul::AssociateRequest sample_request() {
  ul::AssociateRequest request;
  request.called_ae = "ARCHIVE";
  request.calling_ae = "KUVA";
  request.contexts = {{1, "1.2.840.10008.1.1", {"1.2.840.10008.1.2"}},
                      {3, "1.2.840.10008.5.1.4.1.1.2", {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2"}}};
  request.max_pdu_length = 131072;
  request.implementation_class_uid = "2.25.1";
  request.implementation_version_name = "TEST";
  return request;
}

ul::Association::Decision accept_all(const ul::AssociateRequest& request, std::uint32_t max_pdu_length) {
  ul::AssociateAccept accept;
  for (const auto& context : request.contexts) {
    accept.contexts.push_back({context.id, ul::ContextResult::accepted, context.transfer_syntaxes.front()});
  }
  accept.max_pdu_length = max_pdu_length;
  accept.implementation_class_uid = "2.25.2";
  return accept;
}

ul::Timeouts short_timeouts() {
  using std::chrono::milliseconds;
  return {.associate = milliseconds(400),
          .stall = milliseconds(400),
          .release = milliseconds(400),
          .abort = milliseconds(200)};
}

}  // namespace kuva::test
