#include "cli/temp_directory.hpp"

#include <kuva/cli/row_reader.hpp>

#include <doctest/doctest.h>

using kuva::Error;
using kuva::cli::RowReader;

namespace {

// "2 id=1 name=Doe" of each row; "!" and what is wrong with a line.
std::vector<std::string> rows_of(const std::string& text) {
  const TempDirectory directory;
  RowReader reader({directory.write("rows", text)}, {});
  std::vector<std::string> rows;
  for (;;) {
    try {
      const auto row = reader.next();
      if (!row) {
        return rows;
      }
      std::string line = std::to_string(row->line);
      for (const auto& [key, value] : row->values) {
        line.append(" ").append(key).append("=").append(value);
      }
      rows.push_back(line);
    } catch (const Error& error) {
      CHECK(error.kind().code == "hl7.row");
      const std::string message = error.message();
      rows.push_back("!" + message.substr(message.find("line ")));
    }
  }
}

using Rows = std::vector<std::string>;

}  // namespace

TEST_CASE("CSV: quotation marks, lines of DOS, a byte order mark, empty lines, the other separator") {
  CHECK(rows_of("id,name\r\n1,\"Doe, \"\"J\"\"^Jane\"\r\n\r\n2,\r\n") ==
        Rows{"2 id=1 name=Doe, \"J\"^Jane", "4 id=2 name="});
  CHECK(rows_of("\xEF\xBB\xBFid;name\n1;\xC3\x84iti") == Rows{"2 id=1 name=\xC3\x84iti"});
  CHECK(rows_of("id,name\n1,\"two\nlines\"\n2,x\n") == Rows{"2 id=1 name=two\nlines", "4 id=2 name=x"});
  CHECK(rows_of("").empty());
  CHECK(rows_of("id,name\n").empty());
}

TEST_CASE("a line that is no row does not stop the others") {
  CHECK(rows_of("id,name\n1\n2,x\n") == Rows{"!line 2 has 1 fields, and the first line names 2", "3 id=2 name=x"});
  CHECK(rows_of("id,name\n1,\xFF\n2,x\n") == Rows{"!line 2 is not UTF-8", "3 id=2 name=x"});
  CHECK(rows_of("id,name\n1,\"open\n") == Rows{"!line 2 ends inside of quotation marks"});
}

TEST_CASE("a column that is there twice makes the whole file useless: which of the two is meant?") {
  CHECK(rows_of("from,into,from\n1,2,3\n") == Rows{"!line 1 names a column twice: nothing of the file is used"});
}

TEST_CASE("NDJSON: null deletes, and values are texts") {
  CHECK(rows_of("{\"id\":\"1\",\"sex\":null}\n{\"id\":2}\n[]\n{\"id\":\"3\"") ==
        Rows{"1 id=1 sex=\"\"", "!line 2 has a value that is neither text nor null", "!line 3 is no JSON object",
             "!line 4 is no JSON object"});
}
