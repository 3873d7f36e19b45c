#include <kuva/cli/bundle.hpp>
#include <kuva/core/record.hpp>
#include <kuva/core/tar_gz.hpp>
#include <kuva/core/time.hpp>
#include <kuva/core/version.hpp>
#include <kuva/dicom/header_dump.hpp>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <zlib.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace kuva::cli {

namespace {

constexpr std::string_view k_read_me =
    "One run of a kuva tool, for whoever helps with it.\n"
    "\n"
    "records.ndjson  the records of the run, the summary last (kuva-records(5))\n"
    "failures.txt    what failed, by kind\n"
    "target.json     the peer as configured; of keys and passphrases the paths alone\n"
    "versions.txt    kuva, its libraries, the system\n"
    "trace/          what passed over the associations, where --trace was given\n"
    "headers/        the elements of objects that failed\n"
    "\n"
    "Names and identifiers of patients are left out: records and traces are masked as they are written, and of a "
    "header\n"
    "only UIDs, code strings and numbers are shown, nothing of group 0010 and of private elements, and of all other\n"
    "values the length. UIDs, paths, host names and AE titles are in here: look whether your paths name anybody.\n";

// A file without a name beside the one to come: it vanishes with the process.
FileDescriptor unnamed_file(const std::filesystem::path& beside) {
  std::string name = beside.string() + ".records-XXXXXX";
  FileDescriptor fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd) {
    throw write_error(beside, errno);
  }
  ::unlink(name.c_str());
  return fd;
}

Json to_json(const net::TlsSettings& settings) {
  Json json = Json::object();
  json["caFile"] = settings.ca_file;
  json["certificateFile"] = settings.certificate_file;
  json["keyFile"] = settings.key_file;
  json["pkcs12File"] = settings.pkcs12_file;
  json["passphraseFile"] = settings.passphrase_file;
  json["verifyHost"] = settings.verify_host;
  json["serverName"] = settings.server_name;
  json["requireClientCertificate"] = settings.require_client_certificate;
  json["minimumVersion"] = settings.minimum_version;
  json["maximumVersion"] = settings.maximum_version;
  json["cipherSuites"] = settings.cipher_suites;
  return json;
}

Json to_json(const workflow::Target& target) {
  Json json = Json::object();
  json["name"] = target.name;
  json["peer"] = target.to_peer().to_json();
  json["security"] = target.tls ? "tls" : "plain";
  if (target.tls) {
    json["tls"] = to_json(target.tls_settings);
  }
  if (target.listener) {
    json["listener"] = {{"host", target.listener->bind.host},
                        {"port", target.listener->bind.port},
                        {"security", target.listener->tls ? "tls" : "plain"}};
    if (target.listener->tls) {
      json["listener"]["tls"] = to_json(target.listener->tls_settings);
    }
  }
  json["userIdentity"] = target.user_identity ? "yes, left out" : "none";
  json["connectTimeout"] = format_duration(target.connect_timeout);
  json["tlsTimeout"] = format_duration(target.tls_timeout);
  json["responseTimeout"] = format_duration(target.response_timeout);
  json["idleTimeout"] = format_duration(target.idle_timeout);
  json["associations"] = target.associations;
  json["asyncWindow"] = target.async_window;
  json["maxPdu"] = target.max_pdu;
  json["instancesPerAssociation"] = target.instances_per_association;
  json["commitChunk"] = target.commit_chunk;
  return json;
}

std::string versions(std::string_view tool) {
  utsname system{};
  const bool known = ::uname(&system) == 0;
  return fmt::format("{} (kuva) {}\n{}\nzlib {}\n{} {} {}\n{}\n", tool, version(), OpenSSL_version(OPENSSL_VERSION),
                     zlibVersion(), known ? system.sysname : "?", known ? system.release : "?",
                     known ? system.machine : "?", to_rfc3339(std::chrono::system_clock::now()));
}

}  // namespace

Bundle::Bundle(std::filesystem::path path, std::string_view tool, const workflow::Target& target)
    : m_path(std::move(path)), m_tool(tool), m_target(to_json(target)), m_records(unnamed_file(m_path)) {
  if (target.trace) {
    m_trace_directory = target.trace->directory();
  }
}

void Bundle::note(const Json& record) {
  const std::string line = to_line(record) + "\n";
  const auto ok = record.find("ok");
  const auto path = record.find("path");
  const std::lock_guard lock(m_mutex);
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t count = ::write(m_records.get(), rest.data(), rest.size());
    if (count < 0 && errno != EINTR) {
      throw write_error(m_path, errno);
    }
    rest.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
  }
  const bool failed = ok != record.end() && ok->is_boolean() && !ok->get<bool>() && path != record.end();
  if (failed && m_failed.size() < k_most_headers) {
    m_failed.insert(path_from_json(*path));
  } else if (failed) {
    ++m_failed_left_out;
  }
}

void Bundle::write(const std::vector<std::string>& told) {
  const std::lock_guard lock(m_mutex);
  TarGzWriter archive(m_path);
  archive.add("kuva-bundle/README.txt", k_read_me);
  archive.add_file("kuva-bundle/records.ndjson", m_records.get());
  std::string failures;
  for (const std::string& line : told) {
    failures += line + "\n";
  }
  archive.add("kuva-bundle/failures.txt", failures);
  archive.add("kuva-bundle/target.json", m_target.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  archive.add("kuva-bundle/versions.txt", versions(m_tool));
  unsigned number = 0;
  for (const std::string& path : m_failed) {
    archive.add(fmt::format("kuva-bundle/headers/{:04}.txt", ++number),
                fmt::format("{}\n{}", path, dicom::masked_header_dump(path)));
  }
  if (m_failed_left_out != 0) {
    archive.add("kuva-bundle/headers/left-out.txt", fmt::format("{} more objects failed.\n", m_failed_left_out));
  }
  if (!m_trace_directory.empty()) {
    const std::string ours = fmt::format("-{}-", ::getpid());
    std::set<std::filesystem::path> traces;
    for (const auto& entry : std::filesystem::directory_iterator(m_trace_directory)) {
      if (entry.path().filename().string().find(ours) != std::string::npos) {
        traces.insert(entry.path());
      }
    }
    for (const auto& trace : traces) {
      const FileDescriptor fd(::open(trace.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
      if (!fd) {
        throw read_error(trace, errno);
      }
      archive.add_file(fmt::format("kuva-bundle/trace/{}", trace.filename().string()), fd.get());
    }
  }
  archive.commit();
}

}  // namespace kuva::cli
