// MLLP framing: the messages do not hang on how the bytes were cut, and a message without framing bytes comes back from
// its own block.
#include <kuva/core/error.hpp>
#include <kuva/mllp/frame.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t k_limit = 4096;

std::vector<std::string> parse(std::string_view bytes, std::size_t step) {
  kuva::mllp::BlockParser parser(k_limit);
  std::vector<std::string> messages;
  const auto take = [&] {
    while (auto message = parser.next()) {
      messages.push_back(std::move(*message));
    }
  };
  while (!bytes.empty()) {
    const std::size_t count = std::min(step, bytes.size());
    parser.write(bytes.substr(0, count));
    bytes.remove_prefix(count);
    take();
  }
  parser.finish();
  take();
  return messages;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (bytes.size() <= k_limit && parse(bytes, bytes.size() + 1) != parse(bytes, 1U + data[0])) {
    std::abort();
  }
  try {
    static_cast<void>(parse(bytes, 1U + data[0]));
  } catch (const kuva::Error&) {
    // Longer than is taken.
  }
  if (bytes.size() <= k_limit && bytes.find_first_of("\x0B\x1C") == std::string_view::npos &&
      parse(kuva::mllp::to_block(bytes), 7) != std::vector<std::string>{std::string(bytes)}) {
    std::abort();
  }
  return 0;
}
