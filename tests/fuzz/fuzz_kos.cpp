// A Key Object Selection from outside: what can be read can be checked, compared with itself and written, and what was
// written says the same.

#include <kuva/core/error.hpp>
#include <kuva/kos/check.hpp>
#include <kuva/kos/compare.hpp>
#include <kuva/kos/read.hpp>
#include <kuva/kos/write.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

using namespace kuva;
using namespace kuva::kos;

namespace {

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Document document;
  try {
    document = kos::read(std::as_bytes(std::span(data, size)));
  } catch (const Error& error) {
    const std::string_view code = error.kind().code;
    require(code.starts_with("file.") || code == "kos.not-kos");
    return 0;
  }
  require(instance_count(document.evidence) <= size);
  require(check(document).size() <= document.defects.size() + 1000);
  require(compare(document, document).equal());
  std::string bytes;
  try {
    bytes = encode(document);
  } catch (const Error& error) {
    const std::string_view code = error.kind().code;
    require(code == "internal" || code == "kos.text" || code == "file.not-encodable");
    return 0;
  }
  try {
    const Document again = kos::read(std::as_bytes(std::span(bytes)));
    require(again.sop_instance_uid == document.sop_instance_uid);
    require(references(again).size() == references(document).size());
  } catch (const Error& error) {
    // A value that is no string of its VR may make sense in one encoding and not in the other.
    require(std::string_view(error.kind().code).starts_with("file."));
  }
  return 0;
}
