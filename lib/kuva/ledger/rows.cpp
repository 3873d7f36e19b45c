#include <kuva/core/base64.hpp>
#include <kuva/core/record.hpp>
#include <kuva/ledger/rows.hpp>

#include <fmt/format.h>

namespace kuva::ledger {

namespace {

constexpr std::string_view k_bytes_prefix = "bytes:";

}  // namespace

State state_of(std::string_view text) {
  const auto state = parse_state(text);
  if (!state) {
    throw Error(kind("ledger.damaged"), fmt::format("an instance has the state '{}', which there is not", text));
  }
  return *state;
}

Instance instance_of(const Row& row) {
  Instance instance;
  instance.id = row.number(0);
  instance.file.path = path_of(row.text(1));
  instance.file.size = static_cast<std::uint64_t>(row.number(2));
  instance.file.mtime_ns = row.number(3);
  instance.digest = row.text(4);
  instance.sop_instance_uid = row.text(5);
  instance.sop_class_uid = row.text(6);
  instance.transfer_syntax_uid = row.text(7);
  instance.series_instance_uid = row.text(8);
  instance.study_instance_uid = row.text(9);
  instance.study_date = row.text(10);
  instance.patient_key = row.text(11);
  instance.accession_number = row.text(12);
  instance.modality = row.text(13);
  instance.state = state_of(row.text(14));
  instance.error_code = row.text(15);
  instance.error_class = row.text(16);
  instance.error_message = row.text(17);
  instance.attempts = static_cast<unsigned>(row.number(18));
  instance.updated = row.text(19);
  instance.transaction_uid = row.text(20);
  instance.record = row.text(21);
  instance.run = row.text(22);
  return instance;
}

int rank_of(State state) {
  switch (state) {
    case State::superseded:
      return 9;
    case State::registered:
      return 4;
    case State::committed:
      return 3;
    case State::stored:
    case State::stored_with_warning:
      return 2;
    default:
      return 1;
  }
}

std::string stored_path(std::string_view path) {
  if (is_utf8(path) && path.find('\0') == std::string_view::npos && !path.starts_with(k_bytes_prefix)) {
    return std::string(path);
  }
  return std::string(k_bytes_prefix) + base64_encode(path);
}

std::string path_of(std::string_view stored) {
  if (stored.starts_with(k_bytes_prefix)) {
    if (auto bytes = base64_decode(stored.substr(k_bytes_prefix.size()))) {
      return *std::move(bytes);
    }
  }
  return std::string(stored);
}

std::string stored_text(std::string_view text) {
  std::string stored(text);
  if (!is_utf8(text)) {
    for (char& c : stored) {
      c = static_cast<unsigned char>(c) >= 0x80 ? '?' : c;
    }
  }
  std::replace(stored.begin(), stored.end(), '\0', '?');
  return stored;
}

void check_code(std::string_view code) {
  if (code.empty() || code.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") != std::string_view::npos) {
    throw Error(kind("usage.argument"), fmt::format("'{}' is not the code of an error", code));
  }
}

std::string code_condition(const std::vector<std::string>& codes) {
  std::string condition;
  for (const std::string& code : codes) {
    check_code(code);
    condition +=
        fmt::format("{}i.error_code = '{}' OR i.error_code LIKE '{}.%'", condition.empty() ? "(" : " OR ", code, code);
  }
  return condition.empty() ? "1 = 1" : condition + ")";
}

}  // namespace kuva::ledger
