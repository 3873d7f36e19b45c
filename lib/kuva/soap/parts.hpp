#pragma once

#include <kuva/soap/mime.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace kuva::soap {

// A part that has arrived whole, and what was learnt of it while it did.
struct StoredPart {
  Part part;
  std::uint64_t size = 0;
  bool is_dicom = false;       // "DICM" stands at offset 128
  std::filesystem::path path;  // where a store of files keeps it; empty elsewhere
};

// Where the parts of an answer go while they arrive; all but the root part.
class PartStore {
 public:
  class Output {
   public:
    virtual ~Output() = default;
    virtual void write(std::span<const std::byte> bytes) = 0;
    // The part is whole. Fills in what the store knows of it (path). Without a call of this the part is void.
    virtual void finish(StoredPart& stored) = 0;
  };

  virtual ~PartStore() = default;
  virtual std::unique_ptr<Output> open(const Part& part) = 0;
  // The attempt failed and a new one begins: what has come counts no more.
  virtual void discard() noexcept = 0;
};

// A file for each part, "part-<process>-<number>.part" in one directory, mode 0600. A file that is not taken is removed
// with the store or by discard().
class FileParts final : public PartStore {
 public:
  // The directory exists. minimum_free: bytes that stay free on its file system. Errors later on: local.write.
  explicit FileParts(std::filesystem::path directory, std::uint64_t minimum_free = 0);
  FileParts(const FileParts&) = delete;
  ~FileParts() override;

  std::unique_ptr<Output> open(const Part& part) override;
  void discard() noexcept override;

  // Gives the file its final name, on the same file system; with `durable` bytes and name are on disk afterwards. An
  // existing file of that name is replaced. Errors: local.write.
  void take(const StoredPart& stored, const std::filesystem::path& name, bool durable = true);

 private:
  class File;
  std::filesystem::path m_directory;
  std::uint64_t m_minimum_free;
  std::vector<std::filesystem::path> m_files;
};

// Keeps parts in memory, for small documents and tests. Errors: mime.limit.
class MemoryParts final : public PartStore {
 public:
  explicit MemoryParts(std::size_t limit = 64U << 20U) : m_limit(limit) {}

  std::unique_ptr<Output> open(const Part& part) override;
  void discard() noexcept override;

  // In the order in which they were opened: MessageParts::parts() has the same.
  const std::vector<std::string>& bytes() const { return m_bytes; }
  // The bytes of the part with this Content-ID.
  const std::string* find(std::string_view content_id) const;

 private:
  class Buffer;
  std::size_t m_limit;
  std::size_t m_used = 0;
  std::vector<std::string> m_ids;
  std::vector<std::string> m_bytes;
};

// For messages that should have no parts: they are read past.
class NoParts final : public PartStore {
 public:
  std::unique_ptr<Output> open(const Part& part) override;
  void discard() noexcept override {}
};

// The part that an href of xop:Include names: "cid:" taken off and percent escapes undone, and where that finds none,
// as it stands. Null where there is none: an error for that document only.
const StoredPart* find_part(const std::vector<StoredPart>& parts, std::string_view href);

}  // namespace kuva::soap
