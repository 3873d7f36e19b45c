#include <kuva/dicom/charset.hpp>
#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/sandbox/sandbox.hpp>

#include <doctest/doctest.h>

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <support/temporary_directory.hpp>

using namespace kuva::dicom;

namespace {

DataSet read_object(const std::filesystem::path& path) {
  Part10File file = open_part10(path);
  CHECK(file.defects.empty());
  CHECK(file.syntax.uid == k_explicit_vr_little_endian);
  DataSetReader reader(*file.source, file.syntax);
  DataSet data = DataSet::read(reader, std::size_t{16} << 20U);
  CHECK(reader.defects().empty());
  CHECK(file.meta.media_storage_sop_class_uid == data.string(tags::sop_class_uid));
  CHECK(file.meta.media_storage_sop_instance_uid == data.string(tags::sop_instance_uid));
  return data;
}

// Standard output and error of a command, and whether it could be run.
struct Outcome {
  bool ran = false;
  std::string output;
};

Outcome run(const std::string& command) {
  Outcome outcome;
  std::FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer;
  for (std::size_t count = 1; count > 0;) {
    count = std::fread(buffer.data(), 1, buffer.size(), pipe);
    outcome.output.append(buffer.data(), count);
  }
  const int status = ::pclose(pipe);
  outcome.ran = WIFEXITED(status) && WEXITSTATUS(status) != 127;
  return outcome;
}

}  // namespace

TEST_CASE("the sample study is one study of five different objects") {
  const kuva::test::TemporaryDirectory directory;
  const auto files = kuva::sandbox::write_sample_study(directory.path() / "made" / "by-it");
  REQUIRE(files.size() == 5);

  std::set<std::string> classes;
  std::set<std::string> instances;
  std::set<std::string> series;
  std::set<std::string> studies;
  for (const auto& path : files) {
    CAPTURE(path.filename().string());
    const DataSet data = read_object(path);
    classes.insert(data.string(tags::sop_class_uid));
    instances.insert(data.string(tags::sop_instance_uid));
    series.insert(data.string(tags::series_instance_uid));
    studies.insert(data.string(tags::study_instance_uid));
    const CharacterSets sets(data.string(tags::specific_character_set));
    CHECK(sets.decode(data.string(tags::patient_name), Vr::PN).text == "Åkerblom^Väinämö Öystein");
    CHECK(data.string(tags::patient_id) == "010181-900C");
    CHECK(data.items(tags::issuer_of_patient_id_qualifiers_sequence)->at(0).string(tags::universal_entity_id) ==
          "1.2.246.21");
    CHECK(data.string(tags::study_description).substr(0, 5) == "XX0AA");
    CHECK(data.string(tags::accession_number) == "KUVA0001");
  }
  CHECK(classes == std::set<std::string>{"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.1.1",
                                         "1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.9.1.1",
                                         "1.2.840.10008.5.1.4.1.1.104.1"});
  CHECK(instances.size() == 5);
  CHECK(series.size() == 5);
  CHECK(studies.size() == 1);

  const auto again = kuva::sandbox::write_sample_study(directory.path() / "again");
  CHECK(read_object(again.front()).string(tags::study_instance_uid) != *studies.begin());
}

TEST_CASE("pixel data and waveform are as long as they must be") {
  const kuva::test::TemporaryDirectory directory;
  for (const auto& path : kuva::sandbox::write_sample_study(directory.path())) {
    CAPTURE(path.filename().string());
    const DataSet data = read_object(path);
    if (const auto* const pixels = data.find(tags::pixel_data)) {
      const std::string frames = data.string(tags::number_of_frames);
      CHECK(pixels->value.size() == std::size_t{data.us(tags::rows).value()} * data.us(tags::columns).value() *
                                        data.us(tags::bits_allocated).value() / 8 *
                                        (frames.empty() ? 1U : std::stoul(frames)));
    }
    if (const auto* const groups = data.items({0x5400, 0x0100})) {
      CHECK(groups->at(0).us({0x003A, 0x0005}) == 12);
      CHECK(groups->at(0).items({0x003A, 0x0200})->size() == 12);
      CHECK(groups->at(0).find({0x5400, 0x1010})->value.size() == 12U * 5000 * 2);
    }
  }
}

TEST_CASE("dciodvfy finds no errors in the sample study") {
  if (!run("command -v dciodvfy").output.ends_with("dciodvfy\n")) {
    MESSAGE("skipped: dciodvfy (dicom3tools) is not installed");
    return;
  }
  const kuva::test::TemporaryDirectory directory;
  for (const auto& path : kuva::sandbox::write_sample_study(directory.path())) {
    CAPTURE(path.filename().string());
    const Outcome outcome = run("dciodvfy '" + path.string() + "'");
    CHECK(outcome.ran);
    CHECK(outcome.output != "");  // it names the IOD
    CHECK(outcome.output.find("Error") == std::string::npos);
    CHECK(outcome.output.find("Warning") == std::string::npos);
  }
}
