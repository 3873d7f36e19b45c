#pragma once

#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/reader.hpp>

#include <cstddef>
#include <string>

namespace kuva::kos {

// Walks a data set by its elements, one call a level; what nobody takes is passed over. Nesting is that of the reader,
// which is capped.
class ElementReader {
 public:
  using Header = dicom::DataSetReader::Header;

  explicit ElementReader(dicom::DataSetReader& reader) : m_reader(reader) {}

  // Calls element(header, is_sequence) for each element up to the end of the data set or item, in their order; when
  // that returns false the walk ends there. Pixel data in fragments are left out.
  template <class Function>
  void elements(const Function& element) {
    using Event = dicom::DataSetReader::Event;
    while (!m_ended) {
      const Event event = m_reader.next();
      if (event == Event::item_end) {
        return;
      }
      if (event == Event::end) {
        m_ended = true;
      } else if (event == Event::sequence_begin && m_reader.is_fragments()) {
        m_reader.skip_sequence();
      } else if (event == Event::element || event == Event::sequence_begin) {
        const bool is_sequence = event == Event::sequence_begin;
        const Header header = m_reader.header();
        m_taken = !is_sequence;
        if (!element(header, is_sequence)) {
          m_ended = true;
          return;
        }
        if (!m_taken) {
          m_reader.skip_sequence();
        }
      }
    }
  }

  // Of the sequence that has just begun: calls item() for each item, which takes its elements with elements().
  template <class Function>
  void items(const Function& item) {
    using Event = dicom::DataSetReader::Event;
    while (!m_ended) {
      const Event event = m_reader.next();
      if (event == Event::item_begin) {
        item();
      } else if (event == Event::sequence_end) {
        break;
      } else if (event == Event::end) {
        m_ended = true;
      }
    }
    m_taken = true;
  }

  // The value of the element at hand without padding. Errors: file.malformed when it is longer than `limit` bytes.
  std::string value(const Header& header, std::size_t limit);
  // The same as it stands, in little endian.
  std::string bytes(const Header& header, std::size_t limit);
  // Puts the element or sequence at hand into `data`. A value of more than `limit` bytes is left out.
  // Errors: file.malformed for more than k_most_kept elements and items in all.
  void keep(dicom::DataSet& data, const Header& header, bool is_sequence, std::size_t limit);

  static constexpr std::size_t k_most_kept = 100'000;

 private:
  void count_kept();

  dicom::DataSetReader& m_reader;
  std::size_t m_kept = 0;
  bool m_taken = true;
  bool m_ended = false;  // nothing more is wanted, or can be read
};

}  // namespace kuva::kos
