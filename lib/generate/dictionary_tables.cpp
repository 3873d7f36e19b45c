// Runs while kuva is built: writes GDCM's dictionaries as tables, DIRECTORY/dictionary.inc and
// DIRECTORY/private_dictionary.inc. A program that links GDCM's dictionary library pays 20 ms at every start, since the
// library builds maps of all its entries then.
#include <gdcmDicts.h>
#include <gdcmGlobal.h>

#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>

namespace {

std::string vr_name(std::string_view text) {
  return text.size() >= 2 && text[0] != '?' ? "Vr::" + std::string(text.substr(0, 2)) : "Vr::none";
}

// "US or SS": both of them.
std::string vr_pair(std::string_view text) {
  constexpr std::string_view k_or = " or ";
  const std::size_t place = text.find(k_or);
  return vr_name(text) + ", " + (place == std::string_view::npos ? "Vr::none" : vr_name(text.substr(place + 4)));
}

void write_public(const gdcm::Dict& dict, std::ostream& out) {
  for (auto it = dict.Begin(); it != dict.End(); ++it) {
    const char* vr = gdcm::VR::GetVRString(it->second.GetVR());
    const std::string keyword = it->second.GetKeyword();
    if (vr != nullptr && vr_name(vr) != "Vr::none" && !keyword.empty()) {
      out << "{{" << it->first.GetGroup() << ", " << it->first.GetElement() << "}, " << vr_pair(vr) << ", \"" << keyword
          << "\"},\n";
    }
  }
}

// The private dictionary shows its entries only by printing them.
std::string printed(const gdcm::PrivateDict& dict) {
  std::ostringstream text;
  std::streambuf* const before = std::cout.rdbuf(text.rdbuf());
  dict.PrintXML();
  std::cout.rdbuf(before);
  return text.str();
}

std::string attribute(std::string_view line, std::string_view name) {
  const std::string key = " " + std::string(name) + "=\"";
  const std::size_t begin = line.find(key);
  if (begin == std::string_view::npos) {
    return {};
  }
  const std::size_t value = begin + key.size();
  return std::string(line.substr(value, line.find('"', value) - value));
}

void write_private(const gdcm::PrivateDict& dict, std::ostream& out) {
  std::istringstream lines(printed(dict));
  std::map<std::tuple<std::string, std::string, std::string>, std::string> entries;  // the order of the look-up
  for (std::string line; std::getline(lines, line);) {
    const std::string element = attribute(line, "element");
    const std::string vr = vr_name(attribute(line, "vr"));
    if (element.starts_with("xx") && vr != "Vr::none") {
      entries[{attribute(line, "owner"), attribute(line, "group"), element.substr(2)}] = vr;
    }
  }
  for (const auto& [key, vr] : entries) {
    const auto& [creator, group, element] = key;
    out << "{R\"(" << creator << ")\", 0x" << group << ", 0x" << element << ", " << vr << "},\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: dictionary_tables DIRECTORY\n";
    return 2;
  }
  const std::string directory = argv[1];
  const gdcm::Dicts& dicts = static_cast<const gdcm::Global&>(gdcm::Global::GetInstance()).GetDicts();
  std::ofstream public_table(directory + "/dictionary.inc");
  write_public(dicts.GetPublicDict(), public_table);
  std::ofstream private_table(directory + "/private_dictionary.inc");
  write_private(dicts.GetPrivateDict(), private_table);
  public_table.close();
  private_table.close();
  return public_table && private_table ? 0 : 1;
}
