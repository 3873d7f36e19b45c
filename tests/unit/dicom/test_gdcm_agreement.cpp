#include "encoded.hpp"

#include <kuva/core/error.hpp>
#include <kuva/dicom/dictionary.hpp>

#include <doctest/doctest.h>
#include <gdcmDicts.h>
#include <gdcmGlobal.h>
#include <gdcmReader.h>
#include <gdcmSequenceOfFragments.h>
#include <gdcmSequenceOfItems.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

using namespace kuva;
using namespace kuva::dicom;
using Event = DataSetReader::Event;
using Lines = std::vector<std::string>;

namespace {

// FNV-1a, fed in pieces: both sides name a value by its length and this.
class Fingerprint {
 public:
  void add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
      m_hash = (m_hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001B3U;
    }
    m_size += bytes.size();
  }
  std::string text() const { return fmt::format("{} bytes {:016x}", m_size, m_hash); }

 private:
  std::uint64_t m_hash = 0xCBF29CE484222325U;
  std::uint64_t m_size = 0;
};

// GDCM keeps the values of a big endian file in the machine's order.
void swap_in_place(std::string& value, unsigned unit) {
  for (std::size_t i = 0; unit > 1 && i + unit <= value.size(); i += unit) {
    std::reverse(value.begin() + static_cast<std::ptrdiff_t>(i), value.begin() + static_cast<std::ptrdiff_t>(i + unit));
  }
}

std::string line_of(std::size_t depth, Tag tag, std::string_view vr, std::string_view what) {
  return fmt::format("{}:{} {} {}", depth, to_string(tag), vr, what);
}

// "depth:tag VR bytes" for every element, "depth:tag VR [" for every sequence, then its items.
Lines our_lines(const std::filesystem::path& path) {
  Part10File file = open_part10(path);
  const auto source = data_set_source(file);
  DataSetReader reader(*source, file.syntax);
  Lines lines;
  for (Event event = reader.next(); event != Event::end; event = reader.next()) {
    const DataSetReader::Header& header = reader.header();
    const std::string_view vr = header.vr_is_explicit ? to_string(header.vr) : std::string_view("--");
    if (event == Event::element || (event == Event::item_begin && reader.is_fragments())) {
      std::string value;
      for (auto piece = reader.read_some(); !piece.empty(); piece = reader.read_some()) {
        value.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      }
      if (reader.big_endian() && event == Event::element) {
        swap_in_place(value, swap_unit(header.vr));
      }
      Fingerprint fingerprint;
      fingerprint.add(test::as_bytes(value));
      lines.push_back(event == Event::element ? line_of(reader.depth(), header.tag, vr, fingerprint.text())
                                              : fmt::format("fragment {}", fingerprint.text()));
    } else if (event == Event::sequence_begin && header.length == 0) {
      // GDCM knows it as an element without a value.
      lines.push_back(line_of(reader.depth(), header.tag, vr, Fingerprint().text()));
    } else if (event == Event::sequence_begin) {
      lines.push_back(line_of(reader.depth(), header.tag, vr, reader.is_fragments() ? "fragments" : "["));
    } else if (event == Event::item_begin) {
      lines.push_back(fmt::format("{}:item", reader.depth()));
    }
  }
  if (reader.truncated() || reader.broken()) {
    lines.emplace_back(reader.truncated() ? "truncated" : "broken");
  }
  return lines;
}

void add_gdcm_fragment(Lines& lines, const gdcm::ByteValue* value) {
  Fingerprint fingerprint;
  if (value != nullptr) {
    fingerprint.add(std::as_bytes(std::span(value->GetPointer(), std::size_t{value->GetLength()})));
  }
  lines.push_back(fmt::format("fragment {}", fingerprint.text()));
}

// GDCM leaves a sequence of defined length without an explicit VR as bytes until it is asked.
gdcm::SmartPointer<gdcm::SequenceOfItems> items_of(const gdcm::DataElement& element, Tag tag, std::string_view vr) {
  const bool is_items =
      !element.IsEmpty() && dynamic_cast<const gdcm::SequenceOfItems*>(&element.GetValue()) != nullptr;
  const DictionaryEntry* entry = find_entry(tag);
  const bool should_be = vr == "--" && !element.IsEmpty() && entry != nullptr && entry->vr == Vr::SQ;
  return is_items || should_be ? element.GetValueAsSQ() : nullptr;
}

void add_gdcm_lines(Lines& lines, const gdcm::DataSet& data_set, std::size_t depth, bool explicit_vr) {
  for (const gdcm::DataElement& element : data_set.GetDES()) {
    const Tag tag{element.GetTag().GetGroup(), element.GetTag().GetElement()};
    const char* name = gdcm::VR::GetVRString(element.GetVR());
    const std::string_view vr = explicit_vr && name != nullptr ? std::string_view(name) : std::string_view("--");
    if (const auto* fragments = element.GetSequenceOfFragments()) {
      lines.push_back(line_of(depth, tag, vr, "fragments"));
      add_gdcm_fragment(lines, fragments->GetTable().GetByteValue());
      for (gdcm::SequenceOfFragments::SizeType i = 0; i < fragments->GetNumberOfFragments(); ++i) {
        add_gdcm_fragment(lines, fragments->GetFragment(i).GetByteValue());
      }
      continue;
    }
    const auto items = items_of(element, tag, vr);
    if (items != nullptr) {
      lines.push_back(line_of(depth, tag, vr, "["));
      for (auto item = items->Begin(); item != items->End(); ++item) {
        lines.push_back(fmt::format("{}:item", depth + 1));
        // Within UN of undefined length (CP-246) it is Implicit VR.
        add_gdcm_lines(lines, item->GetNestedDataSet(), depth + 1, explicit_vr && vr != "UN");
      }
      continue;
    }
    Fingerprint fingerprint;
    if (const gdcm::ByteValue* value = element.GetByteValue()) {
      fingerprint.add(std::as_bytes(std::span(value->GetPointer(), std::size_t{value->GetLength()})));
    }
    lines.push_back(line_of(depth, tag, vr, fingerprint.text()));
  }
}

std::optional<Lines> gdcm_lines(const std::filesystem::path& path) {
  gdcm::Reader reader;
  reader.SetFileName(path.c_str());
  if (!reader.Read()) {
    return std::nullopt;
  }
  Lines lines;
  add_gdcm_lines(
      lines, reader.GetFile().GetDataSet(), 0,
      reader.GetFile().GetHeader().GetDataSetTransferSyntax() != gdcm::TransferSyntax::ImplicitVRLittleEndian);
  return lines;
}

enum class Verdict { agree, differ, gdcm_cannot_read, gdcm_died };

// In a child: GDCM asserts on files that it does not like, and must not take the other tests with it.
Verdict compare(const std::filesystem::path& path) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(20);
    // Its death is expected of some: no report of the test framework, and none of GDCM's own words.
    for (const int number : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGBUS}) {
      ::signal(number, SIG_DFL);
    }
    const int console = ::dup(STDERR_FILENO);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    const Lines ours = our_lines(path);
    const auto theirs = gdcm_lines(path);
    if (!theirs) {
      ::_exit(2);
    }
    const bool same = ours == *theirs;
    if (!same) {
      const auto [a, b] = std::mismatch(ours.begin(), ours.end(), theirs->begin(), theirs->end());
      const std::string line =
          fmt::format("{}: ours {} \"{}\", GDCM {} \"{}\"\n", path.filename().string(), ours.size(),
                      a == ours.end() ? "(end)" : *a, theirs->size(), b == theirs->end() ? "(end)" : *b);
      ::dup2(console, STDERR_FILENO);
      fmt::print(stderr, "{}", line);
    }
    ::_exit(same ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (!WIFEXITED(status)) {
    return Verdict::gdcm_died;
  }
  return WEXITSTATUS(status) == 0 ? Verdict::agree
                                  : (WEXITSTATUS(status) == 1 ? Verdict::differ : Verdict::gdcm_cannot_read);
}

// Files that GDCM 3.0.21 cannot be asked about, and why.
struct Exception {
  std::string_view name;
  Verdict verdict;
  std::string_view reason;
};
constexpr std::string_view k_htj2k = "GDCM does not know High-Throughput JPEG 2000";
constexpr auto k_exceptions = std::to_array<Exception>({
    {"ivmartel_dwv__bbmri.dcmdir", Verdict::gdcm_died, "GDCM asserts"},
    {"DICOMDIR-nooffset", Verdict::gdcm_died, "the file is cut, GDCM asserts"},
    {"chafey_DICOMHTJ2K__CT1_JPH", Verdict::gdcm_cannot_read, k_htj2k},
    {"chafey_DICOMHTJ2K__MR3_JPH", Verdict::gdcm_cannot_read, k_htj2k},
    {"chafey_DICOMHTJ2K__NM1_JPH", Verdict::gdcm_cannot_read, k_htj2k},
    {"chafey_DICOMHTJ2K__US1_JPH", Verdict::gdcm_cannot_read, k_htj2k},
    {"chafey_DICOMHTJ2K__VL1_JPH", Verdict::gdcm_cannot_read, k_htj2k},
    {"pydicom_pydicom-data__HTJ2KLossless_08_RGB.dcm", Verdict::gdcm_cannot_read, k_htj2k},
    {"pydicom_pydicom-data__HTJ2K_08_RGB.dcm", Verdict::gdcm_cannot_read, k_htj2k},
    {"dcm4che_dcm4che__will-jxl.dcm", Verdict::gdcm_cannot_read, "GDCM does not know JPEG XL"},
    {"pydicom_pydicom-data__liver_deflate.dcm", Verdict::gdcm_cannot_read,
     "GDCM does not know Deflated Image Frame Compression"},
});

}  // namespace

TEST_CASE("every sound file of the corpus is to GDCM what it is to this reader") {
  std::size_t agree = 0;
  std::size_t excepted = 0;
  const auto files = test::corpus_files(false);
  for (const auto& path : files) {
    const std::string name = path.filename().string();
    const auto exception = std::ranges::find(k_exceptions, name, &Exception::name);
    const bool is_exception = exception != k_exceptions.end();
    const Verdict verdict = compare(path);
    CAPTURE(name);
    CHECK(verdict == (is_exception ? exception->verdict : Verdict::agree));
    agree += verdict == Verdict::agree ? 1 : 0;
    if (is_exception) {
      ++excepted;
      MESSAGE(name << ": " << exception->reason);
    }
  }
  CHECK(agree + excepted == files.size());
  MESSAGE(agree << " of " << files.size() << " files agree, " << excepted << " cannot be asked about");
}

TEST_CASE("the tables that were made of GDCM's dictionaries say what GDCM says") {
  const gdcm::Dicts& dicts = static_cast<const gdcm::Global&>(gdcm::Global::GetInstance()).GetDicts();
  std::size_t entries = 0;
  for (auto it = dicts.GetPublicDict().Begin(); it != dicts.GetPublicDict().End(); ++it) {
    const std::string keyword = it->second.GetKeyword();
    if (const DictionaryEntry* entry = find_entry(keyword); entry != nullptr && !keyword.empty()) {
      ++entries;
    }
  }
  CHECK(entries > 4000);
  const struct {
    const char* creator;
    Tag tag;
  } samples[] = {{"ELSCINT1", {0x0003, 0x1001}},
                 {"GEMS_PETD_01", {0x0009, 0x1001}},
                 {"MEDIS_IS&C 1.0", {0x0003, 0x1003}},
                 {"SIEMENS MR HEADER", {0x0019, 0x100C}},
                 {"Philips Imaging DD 001", {0x2001, 0x1003}},
                 {"NOBODY", {0x0019, 0x100C}}};
  for (const auto& sample : samples) {
    const char* const creator = sample.creator;
    const Tag tag = sample.tag;
    CAPTURE(creator);
    const gdcm::PrivateTag key(tag.group, static_cast<std::uint16_t>(tag.element & 0xFFU), creator);
    const char* const vr = gdcm::VR::GetVRString(dicts.GetPrivateDict().GetDictEntry(key).GetVR());
    const bool known = dicts.GetPrivateDict().FindDictEntry(key);
    CHECK(private_vr(creator, tag) == (known ? vr_from_chars(vr[0], vr[1]) : Vr::none));
  }
}
