#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The HL7 v2 data types that stand inside metadata values (ITI TF-3 4.2.3.1.7). Components are unescaped when read
// (\F\ \S\ \R\ \T\ \E\) and escaped when written; trailing delimiters do not count.
namespace kuva::xds {

// The components of a value, split at ^; sub-components stay as they are.
std::vector<std::string> split_components(std::string_view value);

// CX, and CXi with its kind in the fifth component: id^^^name&OID&ISO^kind
struct Cx {
  std::string id;
  std::string authority;       // the authority's OID, or the name where it has no OID
  std::string authority_name;  // first sub-component
  std::string authority_type;  // "ISO" for OIDs
  std::string kind;            // CXi.5, e.g. reference_type::accession

  std::string to_string() const;
  friend bool operator==(const Cx&, const Cx&) = default;
};
Cx parse_cx(std::string_view value);
// id^^^&OID&ISO
std::string make_cx(std::string_view id, std::string_view oid);

// XCN: id^Last^First^Middle^Suffix^Prefix^Degree^^&OID&ISO
struct Xcn {
  std::string id;
  std::string family;
  std::string given;
  std::string middle;
  std::string suffix;
  std::string prefix;
  std::string degree;
  std::string authority;

  std::string to_string() const;
  // "Prefix Given Middle Family Suffix", as far as there is of it.
  std::string display() const;
  friend bool operator==(const Xcn&, const Xcn&) = default;
};
Xcn parse_xcn(std::string_view value);

// XON: name^^^^^&OID&ISO^^^^id; an OID alone may stand in the tenth component.
struct Xon {
  std::string name;
  std::string id;
  std::string authority;

  std::string to_string() const;
  friend bool operator==(const Xon&, const Xon&) = default;
};
Xon parse_xon(std::string_view value);

// DTM: YYYY[MM[DD[hh[mm[ss]]]]], always UTC (ITI TF-3 4.2.3.1.7).
struct Dtm {
  std::chrono::sys_seconds time;  // what is missing counts as the lowest: 2024 is 2024-01-01 00:00:00
  unsigned digits = 14;           // 4, 6, 8, 10, 12 or 14

  // One unit of the last digit later: the end of what the value covers, not included.
  std::chrono::sys_seconds end() const;
  friend bool operator==(const Dtm&, const Dtm&) = default;
};
// Nothing where it is no DTM. A fraction, a zone and quotes are no part of it.
std::optional<Dtm> parse_dtm(std::string_view text);
std::string format_dtm(std::chrono::sys_seconds time, unsigned digits = 14);

}  // namespace kuva::xds
