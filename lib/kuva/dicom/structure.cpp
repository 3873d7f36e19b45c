#include <kuva/dicom/data_set.hpp>
#include <kuva/dicom/structure.hpp>
#include <kuva/dicom/uid.hpp>

namespace kuva::dicom {

std::optional<StructureDamage> find_structure_damage(const std::filesystem::path& path,
                                                     const std::function<void(DataSetReader&)>& on_element) {
  Part10File file = open_part10(path);
  const std::unique_ptr<ByteSource> source = data_set_source(file);
  DataSetReader reader(*source, file.syntax);
  Tag last;
  for (;;) {
    const auto event = reader.next();
    if (event == DataSetReader::Event::end) {
      break;
    }
    if (event == DataSetReader::Event::element || event == DataSetReader::Event::sequence_begin) {
      last = reader.header().tag;
    }
    if (event == DataSetReader::Event::element && on_element) {
      on_element(reader);
    }
  }
  if (!reader.truncated() && !reader.broken()) {
    return std::nullopt;
  }
  // Unless it is an item or fragment of the one before.
  if (const Tag tag = reader.header().tag; tag != Tag() && tag.group != tags::item.group) {
    last = tag;
  }
  return StructureDamage{
      reader.truncated(), last,
      reader.truncated() ? "The data set ends in the middle of an element." : "The data set cannot be parsed."};
}

}  // namespace kuva::dicom
