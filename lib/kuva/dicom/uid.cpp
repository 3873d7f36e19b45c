#include <kuva/core/error.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace kuva::dicom {

namespace {

struct UidRow {
  std::string_view uid;
  std::string_view name;
  bool is_storage;
};

constexpr auto k_registry = std::to_array<UidRow>({
#include <kuva/dicom/uid_registry.inc>
});
static_assert(std::ranges::is_sorted(k_registry, {}, &UidRow::uid));

const UidRow* find_row(std::string_view uid) {
  const auto row = std::ranges::lower_bound(k_registry, uid, {}, &UidRow::uid);
  return row != k_registry.end() && row->uid == uid ? &*row : nullptr;
}

}  // namespace

std::string_view implementation_class_uid() { return "2.25.160449689067574698858733357658448339776"; }

std::string_view implementation_version_name() { return "KUVA_" KUVA_VERSION; }

std::optional<std::string_view> uid_defect(std::string_view text) {
  if (text.empty()) {
    return "it is empty";
  }
  if (text.size() > 64) {
    return "it is longer than 64 characters";
  }
  char previous = '.';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.') {
      if (previous == '.') {
        return "it has an empty component";
      }
    } else if (c < '0' || c > '9') {
      return c == ' ' ? "it has a space in it" : "it has a character that is neither a digit nor a dot";
    } else if (c == '0' && previous == '.' && i + 1 < text.size() && text[i + 1] != '.') {
      return "a component of it starts with a zero";
    }
    previous = c;
  }
  if (previous == '.') {
    return "it has an empty component";
  }
  return std::nullopt;
}

std::string_view trim_uid(std::string_view value) {
  while (!value.empty() && (value.back() == '\0' || value.back() == ' ')) {
    value.remove_suffix(1);
  }
  return value;
}

std::string make_uid() {
  std::array<unsigned char, 16> uuid{};
  if (RAND_bytes(uuid.data(), static_cast<int>(uuid.size())) != 1) {
    throw Error(kind("internal"), "no random numbers for a new UID");
  }
  // Version 4, variant 1 (RFC 4122).
  uuid[6] = static_cast<unsigned char>((uuid[6] & 0x0FU) | 0x40U);
  uuid[8] = static_cast<unsigned char>((uuid[8] & 0x3FU) | 0x80U);
  // 128 bits to decimal by long division, byte by byte.
  std::string digits;
  while (std::ranges::any_of(uuid, [](unsigned char byte) { return byte != 0; })) {
    unsigned remainder = 0;
    for (unsigned char& byte : uuid) {
      const unsigned value = remainder << 8 | byte;
      byte = static_cast<unsigned char>(value / 10);
      remainder = value % 10;
    }
    digits.push_back(static_cast<char>('0' + remainder));
  }
  std::ranges::reverse(digits);
  return "2.25." + digits;
}

std::string_view uid_name(std::string_view uid) {
  if (const UidRow* row = find_row(uid)) {
    return row->name;
  }
  const TransferSyntax syntax = transfer_syntax(uid);
  return syntax.known ? syntax.name : std::string_view();
}

bool is_storage_sop_class(std::string_view uid) {
  const UidRow* row = find_row(uid);
  return row != nullptr && row->is_storage;
}

std::vector<std::string_view> storage_sop_classes() {
  std::vector<std::string_view> classes;
  for (const UidRow& row : k_registry) {
    if (row.is_storage) {
      classes.push_back(row.uid);
    }
  }
  return classes;
}

}  // namespace kuva::dicom
