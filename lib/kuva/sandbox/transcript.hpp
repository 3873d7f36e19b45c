#pragma once

#include <kuva/core/error.hpp>
#include <kuva/core/file.hpp>
#include <kuva/dimse/messenger.hpp>
#include <kuva/ul/association.hpp>

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace kuva::sandbox {

// What happened, one NDJSON line an event (share/schemas/transcript.schema.json). No patient data. Any thread may
// write: a line is one write(2) to a file opened for appending.
class Transcript {
 public:
  // An empty path: nothing is written. Errors: local.write.
  explicit Transcript(std::filesystem::path path);

  // Opens the file of that name anew, which a rotation has moved away: each line is in the one or in the other. Errors:
  // local.write, and lines go on to where they went.
  void reopen();

  // `association` 0: not of an association. A line that cannot be written is lost: serving goes on.
  void write(std::string_view event, std::uint64_t association, const Json& facts) noexcept;

 private:
  FileDescriptor open() const;

  std::filesystem::path m_path;
  FileDescriptor m_fd;
};

// The facts of a message: its name, ids, UIDs, status, and Error Comment without patient identifiers.
Json describe(const dimse::Messenger::Message& message);
// Of a request and what is answered to it.
Json describe(const ul::AssociateRequest& request);
Json describe(const ul::AssociateAccept& accept, const ul::AssociateRequest& request);
Json describe(const ul::AssociateReject& reject);

}  // namespace kuva::sandbox
