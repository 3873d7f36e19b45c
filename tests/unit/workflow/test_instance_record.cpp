#include "../dicom/encoded.hpp"

#include <kuva/core/error.hpp>
#include <kuva/workflow/instance_record.hpp>

#include <doctest/doctest.h>

#include <fstream>

using namespace kuva;
using namespace kuva::workflow;
using dicom::test::small_ct_file;
using dicom::test::TemporaryFile;

TEST_CASE("an instance is compared with the first of its UID, as far as that can be read") {
  const TemporaryFile one(small_ct_file());
  const TemporaryFile same(small_ct_file());
  const dicom::Header header = dicom::read_header(one.path());
  const std::uint64_t size = header.size - header.data_set_offset;
  const BatchState::Known first{same.path(), "1.2.3.4.10", size};
  CHECK(is_same_data_set(header, one.path(), first));
  // Another size is another data set, and nothing is read for it.
  CHECK_FALSE(is_same_data_set(header, one.path(), {"/no/such/file", "1.2.3.4.10", size + 2}));

  const auto code = [&](const BatchState::Known& known) {
    try {
      is_same_data_set(header, one.path(), known);
    } catch (const Error& error) {
      CHECK(error.message().find(known.path) != std::string::npos);
      return std::string(error.kind().code);
    }
    return std::string();
  };
  CHECK(code({"/no/such/file", "1.2.3.4.10", size}) == "local.read");
  std::ofstream(same.path()) << "no longer an instance";
  CHECK(code(first) == "file.changed");
}
