#include <kuva/core/base64.hpp>
#include <kuva/core/record.hpp>
#include <kuva/core/time.hpp>

namespace kuva {

namespace {

constexpr std::size_t k_usual_keys = 20;

}  // namespace

Json make_record(std::string_view type, std::string_view tool, std::string_view outcome, bool ok) {
  Json record = Json::object();
  record.get_ref<Json::object_t&>().reserve(k_usual_keys);  // growing means to copy the keys
  record["type"] = type;
  record["tool"] = tool;
  record["time"] = to_rfc3339(std::chrono::system_clock::now());
  record["outcome"] = outcome;
  record["ok"] = ok;
  return record;
}

void set_outcome(Json& record, std::string_view tool, std::string_view outcome, bool ok) {
  record["tool"] = tool;
  record["time"] = to_rfc3339(std::chrono::system_clock::now());
  record["outcome"] = outcome;
  record["ok"] = ok;
  record.erase("error");
}

void set_error(Json& record, const Error& error) { record["error"] = error.to_json(); }

std::string string_at(const Json& record, std::string_view key) {
  if (!record.is_object()) {
    return {};
  }
  const auto value = record.find(key);
  return value != record.end() && value->is_string() ? value->get<std::string>() : std::string();
}

std::string to_line(const Json& record) { return record.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json path_to_json(std::string_view path) {
  if (is_utf8(path)) {
    return Json(path);
  }
  return Json{{"bytes", base64_encode(path)}};
}

std::string path_from_json(const Json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_object()) {
    const auto bytes = value.find("bytes");
    if (bytes != value.end() && bytes->is_string()) {
      return base64_decode(bytes->get_ref<const std::string&>()).value_or(std::string());
    }
  }
  return {};
}

bool is_utf8(std::string_view bytes) {
  std::size_t i = 0;
  const auto at = [&bytes](std::size_t index) { return static_cast<unsigned char>(bytes[index]); };
  const auto continues = [&](std::size_t index) { return index < bytes.size() && (at(index) & 0xC0U) == 0x80U; };
  while (i < bytes.size()) {
    const unsigned char lead = at(i);
    if (lead < 0x80) {
      i += 1;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
      if (!continues(i + 1)) {
        return false;
      }
      i += 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      if (!continues(i + 1) || !continues(i + 2) || (lead == 0xE0 && at(i + 1) < 0xA0) ||
          (lead == 0xED && at(i + 1) > 0x9F)) {
        return false;
      }
      i += 3;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      if (!continues(i + 1) || !continues(i + 2) || !continues(i + 3) || (lead == 0xF0 && at(i + 1) < 0x90) ||
          (lead == 0xF4 && at(i + 1) > 0x8F)) {
        return false;
      }
      i += 4;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace kuva
