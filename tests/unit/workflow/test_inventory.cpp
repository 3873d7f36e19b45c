#include "support/temporary_directory.hpp"

#include <kuva/core/record.hpp>
#include <kuva/workflow/inventory.hpp>

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <deque>
#include <fstream>

using namespace kuva;
using namespace kuva::workflow;

namespace {

class Inputs : public InputSource {
 public:
  explicit Inputs(std::deque<Input> inputs) : m_inputs(std::move(inputs)) {}
  std::optional<Input> next() override {
    if (m_inputs.empty()) {
      return std::nullopt;
    }
    Input input = std::move(m_inputs.front());
    m_inputs.pop_front();
    if (!input.record && input.path == "THROW") {
      throw Error(kind("stream.record"), "line 3 is not a record");
    }
    return input;
  }

 private:
  std::deque<Input> m_inputs;
};

std::vector<InventoryItem> all_of(std::deque<Input> inputs) {
  Inputs source(std::move(inputs));
  Inventory inventory(source);
  std::vector<InventoryItem> items;
  while (std::optional<InventoryItem> item = inventory.next()) {
    items.push_back(std::move(*item));
  }
  return items;
}

void touch(const std::filesystem::path& path) { std::ofstream(path) << "x"; }

}  // namespace

TEST_CASE("directories are walked in order of names, hidden files included") {
  const test::TemporaryDirectory directory;
  const auto root = directory.path();
  std::filesystem::create_directories(root / "b" / "deep");
  touch(root / "c");
  touch(root / ".a");
  touch(root / "b" / "2");
  touch(root / "b" / "deep" / "1");
  std::vector<std::string> seen;
  for (const InventoryItem& item : all_of({{root.string(), {}}})) {
    CHECK_FALSE(item.error);
    seen.push_back(item.path.substr(root.string().size()));
  }
  CHECK(seen == std::vector<std::string>{"/.a", "/b/2", "/b/deep/1", "/c"});
}

TEST_CASE("links to files are followed, links to directories and special files are told, and a loop ends") {
  const test::TemporaryDirectory directory;
  const auto root = directory.path() / "in";
  std::filesystem::create_directories(root);
  touch(directory.path() / "target");
  std::filesystem::create_symlink(directory.path() / "target", root / "1-link");
  std::filesystem::create_directory_symlink(root, root / "2-loop");
  REQUIRE(::mkfifo((root / "3-fifo").c_str(), 0600) == 0);
  std::filesystem::create_symlink("nowhere", root / "4-dangling");
  const auto items = all_of({{root.string(), {}}});
  REQUIRE(items.size() == 4);
  CHECK(items[0].skip_reason.empty());
  CHECK(items[1].skip_reason == "symbolic link to a directory");
  CHECK(items[2].skip_reason == "not a regular file");
  CHECK(items[3].error);
}

TEST_CASE("a missing path and a bad line are items, and what follows is not lost") {
  const test::TemporaryDirectory directory;
  touch(directory.path() / "f");
  const auto items =
      all_of({{(directory.path() / "none").string(), {}}, {"THROW", {}}, {(directory.path() / "f").string(), {}}});
  REQUIRE(items.size() == 3);
  REQUIRE(items[0].error);
  CHECK(items[0].error->kind().code == "local.read");
  REQUIRE(items[1].error);
  CHECK(items[1].error->kind().code == "stream.record");
  const auto record = record_of_passing_item(items[0], "t");
  REQUIRE(record);
  CHECK((*record)["ok"] == false);
  CHECK((*record)["outcome"] == "failed");
  CHECK_FALSE(record_of_passing_item(items[2], "t"));
}

TEST_CASE("records: instances that are acted on become files, the others pass unchanged") {
  Json valid = make_record("instance", "kuva-validate", outcome::valid, true);
  valid["path"] = "a.dcm";
  Json failed = make_record("instance", "kuva-validate", outcome::invalid, false);
  failed["path"] = "b.dcm";
  const Json study = make_record("study", "kuva-validate", outcome::valid, true);
  const auto items = all_of({{{}, valid}, {{}, failed}, {{}, study}});
  REQUIRE(items.size() == 3);
  CHECK(items[0].path == "a.dcm");
  CHECK(start_record(items[0], "t") == valid);
  CHECK(record_of_passing_item(items[1], "t") == failed);
  CHECK(record_of_passing_item(items[2], "t") == study);
  CHECK(counts_as_item(items[1]));
  CHECK_FALSE(counts_as_item(items[2]));
}
