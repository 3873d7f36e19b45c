#include <kuva/dicom/transfer_syntax.hpp>

#include <algorithm>
#include <array>

namespace kuva::dicom {

namespace {

enum class Form { implicit_little, explicit_little, explicit_big, deflated, encapsulated };

struct Row {
  std::string_view uid;
  Form form;
  std::string_view name;
};

// PS3.6 table A-1, retired ones included, in the order of their text.
constexpr auto k_rows = std::to_array<Row>({
    {"1.2.840.10008.1.2", Form::implicit_little, "Implicit VR Little Endian"},
    {"1.2.840.10008.1.2.1", Form::explicit_little, "Explicit VR Little Endian"},
    {"1.2.840.10008.1.2.1.98", Form::encapsulated, "Encapsulated Uncompressed Explicit VR Little Endian"},
    {"1.2.840.10008.1.2.1.99", Form::deflated, "Deflated Explicit VR Little Endian"},
    {"1.2.840.10008.1.2.2", Form::explicit_big, "Explicit VR Big Endian"},
    {"1.2.840.10008.1.2.4.100", Form::encapsulated, "MPEG2 Main Profile / Main Level"},
    {"1.2.840.10008.1.2.4.100.1", Form::encapsulated, "Fragmentable MPEG2 Main Profile / Main Level"},
    {"1.2.840.10008.1.2.4.101", Form::encapsulated, "MPEG2 Main Profile / High Level"},
    {"1.2.840.10008.1.2.4.101.1", Form::encapsulated, "Fragmentable MPEG2 Main Profile / High Level"},
    {"1.2.840.10008.1.2.4.102", Form::encapsulated, "MPEG-4 AVC/H.264 High Profile / Level 4.1"},
    {"1.2.840.10008.1.2.4.102.1", Form::encapsulated, "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1"},
    {"1.2.840.10008.1.2.4.103", Form::encapsulated, "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"},
    {"1.2.840.10008.1.2.4.103.1", Form::encapsulated,
     "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"},
    {"1.2.840.10008.1.2.4.104", Form::encapsulated, "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"},
    {"1.2.840.10008.1.2.4.104.1", Form::encapsulated,
     "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"},
    {"1.2.840.10008.1.2.4.105", Form::encapsulated, "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"},
    {"1.2.840.10008.1.2.4.105.1", Form::encapsulated,
     "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"},
    {"1.2.840.10008.1.2.4.106", Form::encapsulated, "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"},
    {"1.2.840.10008.1.2.4.106.1", Form::encapsulated, "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"},
    {"1.2.840.10008.1.2.4.107", Form::encapsulated, "HEVC/H.265 Main Profile / Level 5.1"},
    {"1.2.840.10008.1.2.4.108", Form::encapsulated, "HEVC/H.265 Main 10 Profile / Level 5.1"},
    {"1.2.840.10008.1.2.4.110", Form::encapsulated, "JPEG XL Lossless"},
    {"1.2.840.10008.1.2.4.111", Form::encapsulated, "JPEG XL JPEG Recompression"},
    {"1.2.840.10008.1.2.4.112", Form::encapsulated, "JPEG XL"},
    {"1.2.840.10008.1.2.4.201", Form::encapsulated, "High-Throughput JPEG 2000 Image Compression (Lossless Only)"},
    {"1.2.840.10008.1.2.4.202", Form::encapsulated,
     "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)"},
    {"1.2.840.10008.1.2.4.203", Form::encapsulated, "High-Throughput JPEG 2000 Image Compression"},
    {"1.2.840.10008.1.2.4.204", Form::explicit_little, "JPIP HTJ2K Referenced"},
    {"1.2.840.10008.1.2.4.205", Form::deflated, "JPIP HTJ2K Referenced Deflate"},
    {"1.2.840.10008.1.2.4.50", Form::encapsulated, "JPEG Baseline (Process 1)"},
    {"1.2.840.10008.1.2.4.51", Form::encapsulated, "JPEG Extended (Process 2 and 4)"},
    {"1.2.840.10008.1.2.4.52", Form::encapsulated, "JPEG Extended (Process 3 and 5)"},
    {"1.2.840.10008.1.2.4.53", Form::encapsulated, "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)"},
    {"1.2.840.10008.1.2.4.54", Form::encapsulated, "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)"},
    {"1.2.840.10008.1.2.4.55", Form::encapsulated, "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)"},
    {"1.2.840.10008.1.2.4.56", Form::encapsulated, "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)"},
    {"1.2.840.10008.1.2.4.57", Form::encapsulated, "JPEG Lossless, Non-Hierarchical (Process 14)"},
    {"1.2.840.10008.1.2.4.58", Form::encapsulated, "JPEG Lossless, Non-Hierarchical (Process 15)"},
    {"1.2.840.10008.1.2.4.59", Form::encapsulated, "JPEG Extended, Hierarchical (Process 16 and 18)"},
    {"1.2.840.10008.1.2.4.60", Form::encapsulated, "JPEG Extended, Hierarchical (Process 17 and 19)"},
    {"1.2.840.10008.1.2.4.61", Form::encapsulated, "JPEG Spectral Selection, Hierarchical (Process 20 and 22)"},
    {"1.2.840.10008.1.2.4.62", Form::encapsulated, "JPEG Spectral Selection, Hierarchical (Process 21 and 23)"},
    {"1.2.840.10008.1.2.4.63", Form::encapsulated, "JPEG Full Progression, Hierarchical (Process 24 and 26)"},
    {"1.2.840.10008.1.2.4.64", Form::encapsulated, "JPEG Full Progression, Hierarchical (Process 25 and 27)"},
    {"1.2.840.10008.1.2.4.65", Form::encapsulated, "JPEG Lossless, Hierarchical (Process 28)"},
    {"1.2.840.10008.1.2.4.66", Form::encapsulated, "JPEG Lossless, Hierarchical (Process 29)"},
    {"1.2.840.10008.1.2.4.70", Form::encapsulated,
     "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])"},
    {"1.2.840.10008.1.2.4.80", Form::encapsulated, "JPEG-LS Lossless Image Compression"},
    {"1.2.840.10008.1.2.4.81", Form::encapsulated, "JPEG-LS Lossy (Near-Lossless) Image Compression"},
    {"1.2.840.10008.1.2.4.90", Form::encapsulated, "JPEG 2000 Image Compression (Lossless Only)"},
    {"1.2.840.10008.1.2.4.91", Form::encapsulated, "JPEG 2000 Image Compression"},
    {"1.2.840.10008.1.2.4.92", Form::encapsulated,
     "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)"},
    {"1.2.840.10008.1.2.4.93", Form::encapsulated, "JPEG 2000 Part 2 Multi-component Image Compression"},
    {"1.2.840.10008.1.2.4.94", Form::explicit_little, "JPIP Referenced"},
    {"1.2.840.10008.1.2.4.95", Form::deflated, "JPIP Referenced Deflate"},
    {"1.2.840.10008.1.2.5", Form::encapsulated, "RLE Lossless"},
    {"1.2.840.10008.1.2.6.1", Form::explicit_little, "RFC 2557 MIME encapsulation"},
    {"1.2.840.10008.1.2.6.2", Form::explicit_little, "XML Encoding"},
    {"1.2.840.10008.1.2.7.1", Form::explicit_little, "SMPTE ST 2110-20 Uncompressed Progressive Active Video"},
    {"1.2.840.10008.1.2.7.2", Form::explicit_little, "SMPTE ST 2110-20 Uncompressed Interlaced Active Video"},
    {"1.2.840.10008.1.2.7.3", Form::explicit_little, "SMPTE ST 2110-30 PCM Digital Audio"},
    {"1.2.840.10008.1.2.8.1", Form::encapsulated, "Deflated Image Frame Compression"},
    {"1.2.840.10008.1.20", Form::implicit_little, "Papyrus 3 Implicit VR Little Endian"},
});
static_assert(std::ranges::is_sorted(k_rows, {}, &Row::uid));

}  // namespace

TransferSyntax transfer_syntax(std::string_view uid) {
  TransferSyntax syntax;
  syntax.uid = uid;
  const auto row = std::ranges::lower_bound(k_rows, uid, {}, &Row::uid);
  if (row == k_rows.end() || row->uid != uid) {
    syntax.name = "unknown transfer syntax";
    syntax.encapsulated = true;
    return syntax;
  }
  syntax.name = row->name;
  syntax.known = true;
  syntax.explicit_vr = row->form != Form::implicit_little;
  syntax.big_endian = row->form == Form::explicit_big;
  syntax.deflated = row->form == Form::deflated;
  syntax.encapsulated = row->form == Form::encapsulated;
  return syntax;
}

}  // namespace kuva::dicom
