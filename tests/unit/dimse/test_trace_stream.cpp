#include <kuva/dimse/command.hpp>
#include <kuva/dimse/trace_stream.hpp>
#include <kuva/ul/pdu.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

using namespace kuva;

namespace {

// Gives out what it was made with, in pieces; takes everything.
class MemoryStream final : public net::Stream {
 public:
  MemoryStream(std::string bytes, std::size_t piece) : m_bytes(std::move(bytes)), m_piece(piece) {}

  std::optional<std::size_t> try_read(std::span<std::byte> buffer, Deadline) override {
    const std::size_t count = std::min({buffer.size(), m_piece, m_bytes.size() - m_at});
    std::transform(m_bytes.begin() + static_cast<std::ptrdiff_t>(m_at),
                   m_bytes.begin() + static_cast<std::ptrdiff_t>(m_at + count), buffer.begin(),
                   [](char c) { return static_cast<std::byte>(c); });
    m_at += count;
    return count;
  }
  void write_all(std::span<const std::span<const std::byte>>, std::chrono::milliseconds) override {
    throw Error(kind("connection.lost"), "the peer has gone");
  }
  bool wait_readable(Deadline) override { return true; }
  void close(Deadline) noexcept override {}
  void reset() noexcept override {}
  void shutdown() noexcept override {}
  const Peer& peer() const override { return m_peer; }
  std::string local_address() const override { return "127.0.0.1:1"; }

 private:
  std::string m_bytes;
  std::size_t m_piece;
  std::size_t m_at = 0;
  Peer m_peer;
};

std::string p_data(char context, char control, const std::string& content) {
  std::string pdu{"\x04\0", 2};
  const auto put = [&pdu](std::size_t value) {
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
      pdu += static_cast<char>(value >> shift & 0xffU);
    }
  };
  put(content.size() + 6);
  put(content.size() + 2);
  return pdu + context + control + content;
}

std::string conversation() {
  ul::AssociateRequest request;
  request.called_ae = "ARCHIVE";
  request.calling_ae = "KUVA";
  request.application_context = "1.2.840.10008.3.1.1.1";
  request.contexts.push_back({1, "1.2.840.10008.5.1.4.1.1.2", {"1.2.840.10008.1.2"}});
  request.implementation_class_uid = "1.2.3";
  request.user_identity = ul::UserIdentity{ul::UserIdentity::Type::username_passcode, false, "someone", "sesame"};
  dimse::Command response;
  response.field = dimse::CommandField::c_store_rsp;
  response.message_id_responded_to = 7;
  response.status = 0xA778;
  response.error_comment = "Patient ID 010181-900C differs from Patient ID 010182-901X";
  const std::string command = dimse::encode(response);
  return ul::encode(request) + p_data(1, 1, command.substr(0, 20)) + p_data(1, 3, command.substr(20)) +
         p_data(1, 0, std::string(1000, 'x')) + p_data(1, 2, "QZXNAME") + ul::encode_release_rq() +
         ul::encode(ul::Abort{2, 6});
}

std::string trace_of(const std::string& bytes, std::size_t piece, bool phi_plain = false) {
  std::string text;
  const auto stream = dimse::traced(
      std::make_unique<MemoryStream>(bytes, piece),
      [&text](std::string_view line) { text += std::string(line.size() > 26 ? line.substr(26) : line) + "\n"; },
      phi_plain);
  std::vector<std::byte> buffer(4096);
  while (stream->try_read(buffer, Deadline::never()) != std::optional<std::size_t>(0)) {
  }
  return text;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a trace is the same however the bytes come") {
  const std::string whole = trace_of(conversation(), 4096);
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 64U}) {
    CHECK(trace_of(conversation(), piece) == whole);
  }
  CHECK(has(whole, "< A-ASSOCIATE-RQ length"));
  CHECK(has(whole, "called AE \"ARCHIVE\", calling AE \"KUVA\""));
  CHECK(has(whole, "context 1: 1.2.840.10008.5.1.4.1.1.2 (CT Image Storage)"));
  CHECK(has(whole, "PDV context 1, command, more to come, 20 bytes"));
  CHECK(has(whole, "C-STORE-RSP, MessageIDBeingRespondedTo 7, Status A778"));
  CHECK(has(whole, "data set of 1007 bytes"));
  CHECK(has(whole, "A-RELEASE-RQ length 4"));
  CHECK(has(whole, "invalid PDU parameter value"));
  CHECK(has(whole, "the peer closed the connection"));
}

TEST_CASE("what identifies a patient or opens a door is not in a trace") {
  const std::string masked = trace_of(conversation(), 4096);
  for (const char* secret : {"010181", "010182", "someone", "sesame", "QZXNAME"}) {
    CAPTURE(secret);
    CHECK_FALSE(has(masked, secret));
  }
  const std::string plain = trace_of(conversation(), 4096, true);
  CHECK(has(plain, "010181-900C"));
  CHECK(has(plain, "someone"));
  CHECK_FALSE(has(plain, "sesame"));
  CHECK_FALSE(has(plain, "QZXNAME"));
}

TEST_CASE("bytes that are no PDUs end the decoding and nothing else") {
  CHECK(has(trace_of("HTTP/1.1 400 Bad Request\r\n\r\n", 4096),
            "is no PDU: what follows in this direction is not decoded"));
  const std::string sound = conversation();
  std::mt19937 random(20261122);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = sound;
    for (int i = 0; i < 4; ++i) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    bytes.resize(random() % (bytes.size() + 1));
    CHECK(trace_of(bytes, 1 + random() % 100).size() < 100'000);
  }
}

TEST_CASE("an error of the stream is told and passed on") {
  std::string text;
  const auto stream = dimse::traced(
      std::make_unique<MemoryStream>("", 1), [&text](std::string_view line) { text += line; }, false);
  const std::string pdu = ul::encode_release_rq();
  const std::span<const std::byte> piece = std::as_bytes(std::span(pdu));
  CHECK_THROWS_AS(stream->write_all({&piece, 1}, std::chrono::milliseconds(1)), Error);
  CHECK(has(text, "> A-RELEASE-RQ length 4"));
  CHECK(has(text, "! connection.lost: the peer has gone"));
}
