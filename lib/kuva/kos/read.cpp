#include <kuva/core/error.hpp>
#include <kuva/dicom/charset.hpp>
#include <kuva/dicom/reading_error.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/kos/element_reader.hpp>
#include <kuva/kos/read.hpp>
#include <kuva/kos/tags.hpp>

#include <fmt/format.h>

#include <utility>

namespace kuva::kos {

namespace {

using dicom::Tag;
using Header = ElementReader::Header;

constexpr std::size_t k_longest_identifier = 1024;

// The document's own text comes before its character set is known to hold for items; (0008,0005) stands first.
class DocumentReader {
 public:
  DocumentReader(dicom::DataSetReader& reader, Document& document) : m_elements(reader), m_document(document) {}

  std::string read() {
    m_elements.elements([this](const Header& header, bool is_sequence) {
      take(header, is_sequence);
      return true;
    });
    return std::move(m_sop_class_uid);
  }

 private:
  void take(const Header& header, bool is_sequence) {
    if (is_sequence) {
      take_sequence(header);
    } else if (header.tag == tags::sop_class_uid) {
      m_sop_class_uid = identifier(header);
    } else if (header.tag == tags::sop_instance_uid) {
      m_document.sop_instance_uid = identifier(header);
    } else if (header.tag == tags::series_instance_uid) {
      m_document.series_instance_uid = identifier(header);
    } else if (header.tag == tags::study_instance_uid) {
      m_document.study_instance_uid = identifier(header);
    } else if (header.tag == tags::value_type) {
      m_document.value_type = identifier(header);
    } else {
      m_elements.keep(m_document.attributes, header, false, k_longest_value);
      if (header.tag == tags::specific_character_set) {
        m_charset = dicom::CharacterSets(m_document.attributes.string(header.tag));
      }
    }
  }

  void take_sequence(const Header& header) {
    if (header.tag == tags::current_requested_procedure_evidence_sequence) {
      read_evidence(m_document.evidence);
    } else if (header.tag == tags::pertinent_other_evidence_sequence) {
      read_evidence(m_document.other_evidence);
    } else if (header.tag == tags::identical_documents_sequence) {
      read_evidence(m_document.identical_documents);
    } else if (header.tag == tags::predecessor_documents_sequence) {
      read_evidence(m_document.predecessors);
    } else if (header.tag == tags::concept_name_code_sequence) {
      m_document.title = read_code();
    } else if (header.tag == tags::content_template_sequence) {
      read_template();
    } else if (header.tag == tags::content_sequence) {
      m_elements.items([this] {
        ++m_root_item;
        read_content_item(false);
      });
    } else {
      m_elements.keep(m_document.attributes, header, true, k_longest_value);
    }
  }

  // Hierarchical SOP Instance Reference Macro. An item's elements may stand in any order: its UIDs after its sequences.
  void read_evidence(std::vector<SeriesReference>& evidence) {
    std::uint32_t study_item = 0;
    m_elements.items([&] {
      ++study_item;
      std::uint32_t series_item = 0;
      std::string study_instance_uid;
      const std::size_t first = evidence.size();
      m_elements.elements([&](const Header& header, bool is_sequence) {
        if (!is_sequence && header.tag == tags::study_instance_uid) {
          study_instance_uid = identifier(header);
        } else if (is_sequence && header.tag == tags::referenced_series_sequence) {
          m_elements.items([&] {
            count();
            SeriesReference& series = evidence.emplace_back();
            series.study_item = study_item;
            series.series_item = ++series_item;
            read_series(series);
          });
        }
        return true;
      });
      if (evidence.size() == first) {
        SeriesReference& none = evidence.emplace_back();  // a study item without series: check() names it
        none.study_item = study_item;
      }
      for (std::size_t i = first; i < evidence.size(); ++i) {
        evidence[i].study_instance_uid = study_instance_uid;
      }
    });
  }

  void read_series(SeriesReference& series) {
    m_elements.elements([&](const Header& header, bool is_sequence) {
      if (is_sequence) {
        if (header.tag == tags::referenced_sop_sequence) {
          m_elements.items([&] {
            count();
            read_instance(series.instances.emplace_back());
          });
        }
        return true;
      }
      if (header.tag == tags::series_instance_uid) {
        series.series_instance_uid = identifier(header);
      } else if (header.tag == tags::retrieve_ae_title) {
        series.retrieve_ae_title = identifier(header);
      } else if (header.tag == tags::retrieve_location_uid) {
        series.retrieve_location_uid = identifier(header);
      } else if (header.tag == tags::retrieve_url ||
                 (header.tag == tags::retrieve_uri && series.retrieve_url.empty())) {
        series.retrieve_url = m_elements.value(header, k_longest_value);
      }
      return true;
    });
  }

  void read_instance(InstanceReference& instance) {
    m_elements.elements([&](const Header& header, bool is_sequence) {
      if (is_sequence) {
        return true;
      }
      if (header.tag == tags::referenced_sop_class_uid) {
        instance.sop_class_uid = identifier(header);
      } else if (header.tag == tags::referenced_sop_instance_uid) {
        instance.sop_instance_uid = identifier(header);
      } else if (header.tag == tags::retrieve_url || header.tag == tags::retrieve_uri) {
        instance.retrieve_url = m_elements.value(header, k_longest_value);
      }
      return true;
    });
  }

  // The first item's; a second one breaks the rules and says nothing.
  Code read_code() {
    Code code;
    bool first = true;
    m_elements.items([&] {
      Code here;
      m_elements.elements([&](const Header& header, bool is_sequence) {
        if (is_sequence) {
          return true;
        }
        if (header.tag == tags::code_value || header.tag == tags::long_code_value ||
            header.tag == tags::urn_code_value) {
          here.value = text(header);
        } else if (header.tag == tags::coding_scheme_designator) {
          here.scheme = text(header);
        } else if (header.tag == tags::coding_scheme_version) {
          here.scheme_version = text(header);
        } else if (header.tag == tags::code_meaning) {
          here.meaning = text(header);
        }
        return true;
      });
      if (std::exchange(first, false)) {
        code = std::move(here);
      }
    });
    return code;
  }

  void read_template() {
    m_elements.items([this] {
      m_elements.elements([this](const Header& header, bool is_sequence) {
        if (!is_sequence && header.tag == tags::template_identifier) {
          m_document.template_identifier = identifier(header);
        }
        return true;
      });
    });
  }

  // An item of the content tree and those below it; all references go to one list, with the item of the root they are
  // in.
  void read_content_item(bool nested) {
    count();
    ContentItem item;
    std::vector<ContentReference> references;
    item.item = m_root_item;
    m_elements.elements([&](const Header& header, bool is_sequence) {
      if (is_sequence) {
        if (header.tag == tags::content_sequence) {
          m_elements.items([this] { read_content_item(true); });
        } else if (header.tag == tags::concept_name_code_sequence) {
          item.name = read_code();
        } else if (header.tag == tags::concept_code_sequence) {
          item.code = read_code();
        } else if (header.tag == tags::referenced_sop_sequence) {
          m_elements.items([&] { read_reference(references.emplace_back()); });
        }
        return true;
      }
      if (header.tag == tags::relationship_type) {
        item.relationship_type = identifier(header);
      } else if (header.tag == tags::value_type) {
        item.value_type = identifier(header);
      } else if (header.tag == tags::text_value || header.tag == tags::person_name || header.tag == tags::uid ||
                 header.tag == tags::date || header.tag == tags::time || header.tag == tags::date_time) {
        item.text = text(header);
      }
      return true;
    });
    for (ContentReference& reference : references) {
      reference.value_type = item.value_type;
      reference.item = m_root_item;
      m_document.references.push_back(std::move(reference));
    }
    if (references.empty() || nested) {
      m_document.content.push_back(std::move(item));
    }
  }

  void read_reference(ContentReference& reference) {
    m_elements.elements([&](const Header& header, bool is_sequence) {
      if (is_sequence) {
        return true;
      }
      if (header.tag == tags::referenced_sop_class_uid) {
        reference.sop_class_uid = identifier(header);
      } else if (header.tag == tags::referenced_sop_instance_uid) {
        reference.sop_instance_uid = identifier(header);
      } else if (header.tag == tags::referenced_frame_number) {
        reference.frames = m_elements.value(header, k_longest_value);
      } else if (header.tag == tags::referenced_waveform_channels && header.length <= k_longest_value) {
        const std::string bytes = m_elements.bytes(header, k_longest_value);
        for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
          const auto low = static_cast<unsigned char>(bytes[i]);
          const auto high = static_cast<unsigned char>(bytes[i + 1]);
          reference.channels += fmt::format("{}{}", reference.channels.empty() ? "" : ",", low | high << 8U);
        }
      }
      return true;
    });
  }

  std::string identifier(const Header& header) { return m_elements.value(header, k_longest_identifier); }

  // Items hardly ever have a character set of their own; here they are those of SR content, whose text is the root's.
  std::string text(const Header& header) {
    const std::string value = m_elements.value(header, k_longest_value);
    return dicom::uses_character_set(header.vr) ? m_charset.decode(value, header.vr).text : value;
  }

  void count() {
    if (++m_count > 2 * k_most_references) {
      throw Error(kuva::kind("file.malformed"),
                  fmt::format("the document has more than {} references", 2 * k_most_references));
    }
  }

  ElementReader m_elements;
  Document& m_document;
  dicom::CharacterSets m_charset;
  std::string m_sop_class_uid;
  std::uint32_t m_root_item = 0;
  std::size_t m_count = 0;
};

}  // namespace

Document read(dicom::Part10File file) {
  Document document;
  document.transfer_syntax_uid = file.syntax.uid;
  document.defects = std::move(file.defects);
  const std::string meta_sop_class_uid = file.meta.media_storage_sop_class_uid;
  const dicom::TransferSyntax syntax = file.syntax;
  const auto source = dicom::data_set_source(file);
  dicom::DataSetReader reader(*source, syntax);
  std::string sop_class_uid = DocumentReader(reader, document).read();
  if (sop_class_uid.empty()) {
    sop_class_uid = meta_sop_class_uid;
  }
  if (sop_class_uid != k_key_object_selection) {
    const std::string_view name = dicom::uid_name(sop_class_uid);
    throw Error(kuva::kind("kos.not-kos"), sop_class_uid.empty()
                                               ? std::string("the object has no SOP class")
                                               : fmt::format("the object is {}{}", name.empty() ? "of SOP class " : "",
                                                             name.empty() ? std::string_view(sop_class_uid) : name));
  }
  if (const auto error = dicom::reading_error(reader)) {
    throw *error;
  }
  document.defects.insert(document.defects.end(), reader.defects().begin(), reader.defects().end());
  return document;
}

Document read(const std::filesystem::path& path) { return read(dicom::open_part10(path)); }

Document read(std::span<const std::byte> bytes) { return read(dicom::open_part10(dicom::make_memory_source(bytes))); }

}  // namespace kuva::kos
