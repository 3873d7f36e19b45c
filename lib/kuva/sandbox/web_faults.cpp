#include <kuva/sandbox/web_faults.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::sandbox {

namespace {

constexpr std::uint64_t k_cut_after = 1000;
constexpr std::chrono::milliseconds k_drip{50};
constexpr std::chrono::milliseconds k_clock{600'000};
// Beyond the preamble and DICM of an object.
constexpr std::uint64_t k_changed_byte = 200;

}  // namespace

const FaultRule* web_fault(const std::vector<FaultRule>& faults, FaultAction action) {
  const auto found =
      std::find_if(faults.begin(), faults.end(), [action](const FaultRule& rule) { return rule.action == action; });
  return found == faults.end() ? nullptr : &*found;
}

std::optional<WebResponse> instead_of_serving(const std::vector<FaultRule>& faults) {
  const FaultRule* const rule = web_fault(faults, FaultAction::http_status);
  if (rule == nullptr) {
    return std::nullopt;
  }
  WebResponse response;
  response.status = rule->http_status;
  response.content_type = "text/html; charset=utf-8";
  response.body = fmt::format(
      "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1>\n"
      "<p>The server is temporarily unable to service your request.</p></body></html>\n",
      rule->http_status);
  return response;
}

void apply_faults(const std::vector<FaultRule>& faults, WebResponse& response) {
  for (const FaultRule& rule : faults) {
    switch (rule.action) {
      case FaultAction::silent:
        response.is_withheld = true;
        response.delay = rule.duration.value_or(response.delay);
        break;
      case FaultAction::delay:
        response.delay = rule.duration.value_or(response.delay);
        break;
      case FaultAction::close:
        response.is_refused = true;
        break;
      case FaultAction::cut:
        response.cut_after = rule.after_bytes == 0 ? k_cut_after : rule.after_bytes;
        break;
      case FaultAction::drip:
        response.drip = rule.duration.value_or(k_drip);
        break;
      case FaultAction::clock:
        response.clock = std::chrono::duration_cast<std::chrono::seconds>(rule.duration.value_or(k_clock));
        if (rule.is_behind) {
          response.clock = -response.clock;
        }
        break;
      default:
        break;
    }
  }
}

void with_faults(const std::vector<FaultRule>& faults, const WebSink& sink,
                 const std::function<void(const WebSink&)>& write) {
  if (!has_fault(faults, FaultAction::wrong_digest)) {
    write(sink);
    return;
  }
  std::uint64_t at = 0;
  std::vector<std::byte> changed;
  write([&](std::span<const std::byte> bytes) {
    if (at <= k_changed_byte && k_changed_byte < at + bytes.size()) {
      changed.assign(bytes.begin(), bytes.end());
      changed[k_changed_byte - at] ^= std::byte{1};
      sink(changed);
    } else {
      sink(bytes);
    }
    at += bytes.size();
  });
}

}  // namespace kuva::sandbox
