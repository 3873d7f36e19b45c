#include "cli/temp_directory.hpp"

#include <kuva/core/error.hpp>
#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/workflow/retrieve_landing.hpp>

#include <doctest/doctest.h>

#include <span>
#include <string>

using namespace kuva;
using workflow::Landing;

namespace {

constexpr std::string_view k_ct = "1.2.840.10008.5.1.4.1.1.2";

std::string object(const std::string& instance, const std::string& comment = "same") {
  dicom::DataSet data;
  data.set_string(dicom::tags::sop_class_uid, k_ct);
  data.set_string(dicom::tags::sop_instance_uid, instance);
  data.set_string(dicom::tags::study_instance_uid, "1.2.1");
  data.set_string(dicom::tags::series_instance_uid, "1.2.2");
  data.set_string({0x0020, 0x4000}, comment);
  return dicom::encode_file_meta(k_ct, instance, dicom::k_explicit_vr_little_endian) +
         data.encode(dicom::transfer_syntax(dicom::k_explicit_vr_little_endian));
}

PartFile part(const Landing& landing, std::string_view bytes) {
  PartFile file = landing.begin();
  file.write(std::as_bytes(std::span(bytes.data(), bytes.size())));
  return file;
}

Landing::Landed land(Landing& landing, std::string_view bytes, const Landing::Identity& identity = {}) {
  PartFile file = part(landing, bytes);
  return landing.place(file, landing.verify(file, identity));
}

std::string code_of(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    return std::string(error.kind().code);
  }
  return "none";
}

}  // namespace

TEST_CASE("an object lands under its name, once") {
  const TempDirectory directory;
  Landing landing({directory.path() / "out", workflow::NameTemplate(), Landing::Sync::study});
  landing.prepare();
  const auto first = land(landing, object("1.2.3"), {std::string(k_ct), "1.2.3", "1.2.1", "1.2.2"});
  CHECK(first.path == directory.path() / "out/1.2.1/1.2.2/1.2.3.dcm");
  CHECK_FALSE(first.was_there);
  CHECK(land(landing, object("1.2.3")).was_there);
  CHECK(code_of([&] { land(landing, object("1.2.3", "else")); }) == "retrieve.name-taken");
  landing.sync();
  dicom::InstanceAttributes uids;
  uids.study_instance_uid = "1.2.1";
  uids.series_instance_uid = "1.2.2";
  uids.sop_instance_uid = "1.2.3";
  CHECK(landing.find(uids).has_value());
  uids.sop_instance_uid = "1.2.4";
  CHECK_FALSE(landing.find(uids).has_value());
}

TEST_CASE("what is damaged or another object does not land, and a damaged file is no obstacle") {
  const TempDirectory directory;
  Landing landing({directory.path(), workflow::NameTemplate("{SOPInstanceUID}"), Landing::Sync::file});
  landing.prepare();
  const std::string whole = object("1.2.3");
  CHECK(code_of([&] { land(landing, std::string_view(whole).substr(0, whole.size() - 2)); }) == "retrieve.damaged");
  CHECK(code_of([&] { land(landing, "no DICOM"); }) == "retrieve.damaged");
  CHECK(code_of([&] { land(landing, whole, {{}, "1.2.9", {}, {}}); }) == "retrieve.wrong-object");
  CHECK(code_of([&] { land(landing, whole, {{}, {}, "1.2.9", {}}); }) == "retrieve.wrong-object");
  directory.write("1.2.3", whole.substr(0, whole.size() / 2));
  dicom::InstanceAttributes uids;
  uids.sop_instance_uid = "1.2.3";
  CHECK_FALSE(landing.find(uids).has_value());
  CHECK_FALSE(land(landing, whole).was_there);
  CHECK(directory.read("1.2.3") == whole);
  directory.write("1.2.4", whole);
  CHECK(code_of([&] { land(landing, object("1.2.4")); }) == "retrieve.name-taken");
  CHECK(directory.read("1.2.4") == whole);
}

TEST_CASE("space that is not there") {
  const TempDirectory directory;
  const Landing landing({directory.path(), workflow::NameTemplate(), Landing::Sync::none});
  landing.check_space(0);
  CHECK(code_of([&] { landing.check_space(~std::uint64_t{0}); }) == "retrieve.disk-space");
}
