// PDUs of a peer (PS3.8 9.3): whatever comes is decoded or refused with an Error, and what was decoded can be encoded
// and decoded again to the same.
#include <kuva/core/error.hpp>
#include <kuva/ul/pdu.hpp>

#include <cstdlib>
#include <string>

namespace {

// An Error is an answer; a decoded PDU that changes on a second pass is a fault.
template <typename Decode>
void check(std::span<const std::byte> body, Decode decode) {
  std::string first;
  try {
    first = kuva::ul::encode(decode(body));
  } catch (const kuva::Error&) {
    return;
  }
  constexpr std::size_t k_header = 6;
  const auto again = std::as_bytes(std::span(first)).subspan(k_header);
  if (kuva::ul::encode(decode(again)) != first) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const auto body = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0] % 4) {
    case 0:
      check(body, kuva::ul::decode_associate_rq);
      break;
    case 1:
      check(body, kuva::ul::decode_associate_ac);
      break;
    case 2:
      check(body, kuva::ul::decode_associate_rj);
      break;
    default:
      check(body, kuva::ul::decode_abort);
      break;
  }
  return 0;
}
