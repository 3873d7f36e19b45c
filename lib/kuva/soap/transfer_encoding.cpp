#include <kuva/core/error.hpp>
#include <kuva/soap/ascii.hpp>
#include <kuva/soap/transfer_encoding.hpp>

#include <fmt/format.h>

#include <array>
#include <cstdint>

namespace kuva::soap {

namespace {

class Base64Decoder final : public TransferDecoder {
 public:
  std::span<const std::byte> decode(std::span<const std::byte> bytes) override {
    m_out.clear();
    for (const std::byte byte : bytes) {
      const auto c = static_cast<unsigned char>(byte);
      if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        continue;
      }
      if (c == '=') {
        ++m_padding;
        continue;
      }
      const std::uint8_t value = k_values[c];
      if (value == k_none || m_padding != 0) {
        throw Error(kind("mime.encoding"), "a part in base64 holds a character that base64 does not have there");
      }
      m_bits = m_bits << 6U | value;
      if (++m_count == 4) {
        for (const unsigned shift : {16U, 8U, 0U}) {
          m_out.push_back(static_cast<std::byte>(m_bits >> shift & 0xFFU));
        }
        m_bits = 0;
        m_count = 0;
      }
    }
    return m_out;
  }

  std::span<const std::byte> finish() override {
    m_out.clear();
    // Padding may be left out; one character alone is no byte.
    if (m_count == 1 || (m_padding != 0 && m_count + m_padding != 4)) {
      throw Error(kind("mime.encoding"), "a part in base64 ends within a group");
    }
    if (m_count >= 2) {
      m_bits <<= 6U * (4 - m_count);
      m_out.push_back(static_cast<std::byte>(m_bits >> 16U & 0xFFU));
      if (m_count == 3) {
        m_out.push_back(static_cast<std::byte>(m_bits >> 8U & 0xFFU));
      }
    }
    return m_out;
  }

 private:
  static constexpr std::uint8_t k_none = 0xFF;
  static constexpr auto k_values = [] {
    std::array<std::uint8_t, 256> values{};
    values.fill(k_none);
    constexpr std::string_view k_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t i = 0; i < k_alphabet.size(); ++i) {
      values[static_cast<unsigned char>(k_alphabet[i])] = static_cast<std::uint8_t>(i);
    }
    return values;
  }();

  std::vector<std::byte> m_out;
  std::uint32_t m_bits = 0;
  unsigned m_count = 0;
  unsigned m_padding = 0;
};

class QuotedPrintableDecoder final : public TransferDecoder {
 public:
  std::span<const std::byte> decode(std::span<const std::byte> bytes) override {
    m_out.clear();
    for (const std::byte byte : bytes) {
      take(static_cast<char>(byte));
    }
    return m_out;
  }

  std::span<const std::byte> finish() override {
    m_out.clear();
    // "=" as the last character is a soft line break whose line end the delimiter took.
    if (m_state == State::first_digit) {
      throw Error(kind("mime.encoding"), "a part in quoted-printable ends within an escape");
    }
    return m_out;
  }

 private:
  enum class State { text, blanks, equals, first_digit, soft_break, soft_break_cr };

  void put(char c) { m_out.push_back(static_cast<std::byte>(c)); }

  void take(char c) {
    switch (m_state) {
      case State::blanks:
        if (c == ' ' || c == '\t') {
          // Blanks at the end of a line are not of the data (RFC 2045 6.7 (3)); more of them than a line has are.
          if (m_blanks.size() < 128) {
            m_blanks += c;
            return;
          }
        }
        if (c != '\r' && c != '\n') {
          for (const char blank : m_blanks) {
            put(blank);
          }
        }
        m_blanks.clear();
        m_state = State::text;
        [[fallthrough]];
      case State::text:
        if (c == '=') {
          m_state = State::equals;
        } else if (c == ' ' || c == '\t') {
          m_blanks += c;
          m_state = State::blanks;
        } else {
          put(c);
        }
        return;
      case State::equals:
        if (c == '\n') {
          m_state = State::text;
        } else if (c == '\r') {
          m_state = State::soft_break_cr;
        } else if (c == ' ' || c == '\t') {
          m_state = State::soft_break;
        } else {
          m_first = digit(c);
          m_state = State::first_digit;
        }
        return;
      case State::first_digit:
        put(static_cast<char>(m_first * 16 + digit(c)));
        m_state = State::text;
        return;
      case State::soft_break:
        if (c == '\r') {
          m_state = State::soft_break_cr;
        } else if (c == '\n') {
          m_state = State::text;
        } else if (c != ' ' && c != '\t') {
          fail();
        }
        return;
      case State::soft_break_cr:
        m_state = State::text;
        if (c != '\n') {
          fail();
        }
        return;
    }
  }

  static int digit(char c) {
    if (c >= '0' && c <= '9') {
      return c - '0';
    }
    const char lower = lower_of(c);
    if (lower < 'a' || lower > 'f') {
      fail();
    }
    return lower - 'a' + 10;
  }

  [[noreturn]] static void fail() {
    throw Error(kind("mime.encoding"), "a part in quoted-printable has an escape that is none");
  }

  std::vector<std::byte> m_out;
  std::string m_blanks;
  State m_state = State::text;
  int m_first = 0;
};

}  // namespace

std::unique_ptr<TransferDecoder> TransferDecoder::make(std::string_view encoding) {
  const std::string name = to_lower(encoding);
  if (name.empty() || name == "binary" || name == "8bit" || name == "7bit") {
    return nullptr;
  }
  if (name == "base64") {
    return std::make_unique<Base64Decoder>();
  }
  if (name == "quoted-printable") {
    return std::make_unique<QuotedPrintableDecoder>();
  }
  throw Error(kind("mime.encoding"), fmt::format("a part has the Content-Transfer-Encoding \"{}\", which is not known",
                                                 printable(encoding, 40)));
}

}  // namespace kuva::soap
