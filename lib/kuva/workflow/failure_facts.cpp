#include <kuva/core/record.hpp>
#include <kuva/core/time.hpp>
#include <kuva/dicom/dictionary.hpp>
#include <kuva/dicom/part10.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/workflow/failure_facts.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::workflow {

namespace {

constexpr std::size_t k_longest_value = 64;

bool is_telling(dicom::Vr vr) {
  using dicom::Vr;
  switch (vr) {
    case Vr::UI:
    case Vr::CS:
    case Vr::IS:
    case Vr::DS:
    case Vr::US:
    case Vr::SS:
    case Vr::UL:
    case Vr::SL:
    case Vr::FL:
    case Vr::FD:
    case Vr::AT:
      return true;
    default:
      return false;
  }
}

char shape_of(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (c >= '0' && c <= '9') {
    return '9';
  }
  const bool is_mark = byte < 0x80 && byte >= 0x20 && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z');
  return is_mark ? c : 'x';
}

std::string hexadecimal(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  }
  return text;
}

bool is_plain_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::string quoted(std::string_view text) {
  std::string shown = "'";
  for (const char c : text) {
    shown += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return shown + "'";
}

}  // namespace

Json association_facts(const ul::Association& association, std::uint64_t id,
                       std::chrono::system_clock::time_point opened_at) {
  Json facts;
  facts["id"] = id;
  facts["localAddress"] = association.local_address();
  facts["openedAt"] = to_rfc3339(opened_at);
  facts["maxPDULength"] = association.accepted().max_pdu_length;
  facts["operationsWindow"] = association.operations_window();
  return facts;
}

Json negotiation_facts(const ul::Association& association, std::string_view sop_class_uid) {
  Json contexts = Json::array();
  for (const ul::PresentationContext& context : association.requested().contexts) {
    if (context.abstract_syntax != sop_class_uid) {
      continue;
    }
    Json entry{{"contextId", context.id}, {"transferSyntaxUIDs", context.transfer_syntaxes}};
    entry["result"] = ul::to_string(association.context_result(context.id));
    if (const ul::AcceptedContext* accepted = association.find_context(context.id)) {
      entry["acceptedTransferSyntaxUID"] = accepted->transfer_syntax;
    }
    contexts.push_back(std::move(entry));
  }
  return contexts;
}

Json object_facts(const std::filesystem::path& path, std::string_view sop_class_uid, std::string_view sop_instance_uid,
                  std::string_view transfer_syntax_uid) {
  Json facts = Json::object();
  if (const std::string_view name = dicom::uid_name(sop_class_uid); !name.empty()) {
    facts["sopClassName"] = name;
  }
  if (const std::string_view name = dicom::uid_name(transfer_syntax_uid); !name.empty()) {
    facts["transferSyntaxName"] = name;
  }
  try {
    const dicom::FileMeta meta = dicom::open_part10(path).meta;
    Json differs = Json::object();
    if (meta.has_meta && meta.media_storage_sop_class_uid != sop_class_uid) {
      differs["MediaStorageSOPClassUID"] = meta.media_storage_sop_class_uid;
    }
    if (meta.has_meta && meta.media_storage_sop_instance_uid != sop_instance_uid) {
      differs["MediaStorageSOPInstanceUID"] = meta.media_storage_sop_instance_uid;
    }
    if (!differs.empty()) {
      facts["fileMetaDiffers"] = std::move(differs);
    }
  } catch (const Error&) {
    // The file's own failure, if that is what happened, is the error of the record.
  }
  return facts;
}

std::string masked_value(dicom::Tag tag, dicom::Vr vr, std::string_view value) {
  std::string_view shown = value.substr(0, k_longest_value);
  while (!shown.empty() && (shown.back() == '\0' || shown.back() == ' ')) {
    shown.remove_suffix(1);
  }
  constexpr std::uint16_t k_patient_group = 0x0010;
  if (tag.group != k_patient_group && !tag.is_private() && is_telling(vr)) {
    return dicom::is_string(vr) && is_plain_text(shown) ? std::string(shown)
                                                        : hexadecimal(value.substr(0, k_longest_value));
  }
  std::string shape(shown);
  std::transform(shape.begin(), shape.end(), shape.begin(), shape_of);
  return shape;
}

Json offending_values(const std::filesystem::path& path, const std::vector<dicom::Tag>& tags) {
  std::vector<dicom::Tag> wanted = tags;
  Json values = Json::array();
  const auto entry_of = [](dicom::Tag tag) {
    Json entry{{"tag", dicom::to_string(tag)}};
    if (const dicom::DictionaryEntry* known = dicom::find_entry(tag)) {
      entry["keyword"] = known->keyword;
    }
    return entry;
  };
  try {
    dicom::Part10File file = dicom::open_part10(path);
    const dicom::TransferSyntax syntax = file.syntax;
    const std::unique_ptr<dicom::ByteSource> source = dicom::data_set_source(file);
    dicom::DataSetReader reader(*source, syntax);
    using Event = dicom::DataSetReader::Event;
    for (Event event = reader.next(); event != Event::end && !wanted.empty(); event = reader.next()) {
      if (reader.depth() != 0 || (event != Event::element && event != Event::sequence_begin)) {
        continue;
      }
      const dicom::DataSetReader::Header& header = reader.header();
      if (std::erase(wanted, header.tag) != 0) {
        Json entry = entry_of(header.tag);
        entry["vr"] = dicom::to_string(header.vr);
        if (header.length != dicom::k_undefined_length) {
          entry["length"] = header.length;
        }
        if (event == Event::element) {
          entry["value"] = masked_value(header.tag, header.vr, reader.value(k_longest_value));
        }
        values.push_back(std::move(entry));
      }
      if (event == Event::sequence_begin) {
        reader.skip_sequence();
      }
    }
  } catch (const Error&) {
    return values;  // what cannot be read is not called absent
  }
  for (const dicom::Tag tag : wanted) {
    Json entry = entry_of(tag);
    entry["absent"] = true;
    values.push_back(std::move(entry));
  }
  return values;
}

std::string command_for(std::string_view target_name, std::string_view calling_ae, bool tls, std::string_view path) {
  std::string command = fmt::format("kuva-send -v --retries 0 -t {}", quoted(target_name));
  if (target_name.find('@') != std::string_view::npos) {
    // Not from a kuva.toml: what the command line said besides.
    command += fmt::format(" --calling {} --security {}", quoted(calling_ae), tls ? "tls" : "plain");
  }
  return command + " -- " + quoted(path);
}

}  // namespace kuva::workflow
