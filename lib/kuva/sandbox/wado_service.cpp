#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dicom/uid.hpp>
#include <kuva/sandbox/object_body.hpp>
#include <kuva/sandbox/wado_service.hpp>
#include <kuva/sandbox/web_faults.hpp>
#include <kuva/soap/mime.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace kuva::sandbox {

namespace {

constexpr std::string_view k_dicom = "application/dicom";

std::vector<std::string_view> split_list(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

// At commas that are not inside quotes.
std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts(1);
  bool is_quoted = false;
  for (const char c : text) {
    is_quoted = is_quoted != (c == '"');
    if (c == ',' && !is_quoted) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

struct Resource {
  std::string study;
  std::string series;
  std::string instance;
};

// Nothing where the path names none.
std::optional<Resource> parse_path(std::string_view path) {
  path.remove_prefix(k_wado_path.size());
  const auto parts = split_list(path, '/');
  Resource resource;
  std::string* const uids[] = {&resource.study, &resource.series, &resource.instance};
  constexpr std::string_view k_words[] = {"studies", "series", "instances"};
  if (parts.size() % 2 == 0 || parts.size() < 3 || parts.size() > 7) {
    return std::nullopt;
  }
  for (std::size_t level = 0; 2 * level + 2 < parts.size(); ++level) {
    if (parts[2 * level + 1] != k_words[level] || dicom::uid_defect(parts[2 * level + 2])) {
      return std::nullopt;
    }
    *uids[level] = parts[2 * level + 2];
  }
  return resource;
}

WebResponse plain(int status, std::string text) {
  WebResponse response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(text) + "\n";
  return response;
}

bool has_token(const WebRequest& request, const std::set<std::string>& tokens) {
  constexpr std::string_view k_scheme = "Bearer ";
  const std::string given = request.header("Authorization");
  return given.starts_with(k_scheme) && tokens.contains(given.substr(k_scheme.size()));
}

// One after the other, so that memory does not grow with the study.
class Objects {
 public:
  Objects(Archive& archive, Resource resource) : m_archive(archive), m_resource(std::move(resource)) {}

  std::optional<StoredObject> next() {
    while (auto object = m_archive.look([this](Index& index) {
      return index.next_object(m_resource.study, m_last_series, m_last_instance, 0);
    })) {
      m_last_series = object->series_instance_uid;
      m_last_instance = object->sop_instance_uid;
      if ((m_resource.series.empty() || object->series_instance_uid == m_resource.series) &&
          (m_resource.instance.empty() || object->sop_instance_uid == m_resource.instance)) {
        return object;
      }
    }
    return std::nullopt;
  }

 private:
  Archive& m_archive;
  Resource m_resource;
  std::string m_last_series;
  std::string m_last_instance;
};

}  // namespace

DicomAccept parse_dicom_accept(std::string_view accept) {
  DicomAccept result;
  for (const std::string& item : split_list(accept)) {
    soap::ContentType type;
    try {
      type = soap::parse_content_type(item);
    } catch (const Error&) {
      continue;
    }
    const std::string_view quality = type.parameter("q");
    if (!quality.empty() && std::strtod(std::string(quality).c_str(), nullptr) <= 0) {
      continue;
    }
    const bool is_any = type.type == "*/*";
    const bool is_related = type.type == "multipart/related" || type.type == "multipart/*";
    const bool is_of_dicom = type.parameter("type").empty() || type.parameter("type") == k_dicom;
    const bool is_single = type.type == k_dicom || type.type == "application/*";
    if (!is_any && !(is_related && is_of_dicom) && !is_single) {
      continue;
    }
    result.multipart = result.multipart || is_any || is_related;
    result.single = result.single || is_single;
    if (const std::string_view syntax = type.parameter("transfer-syntax"); !syntax.empty()) {
      result.transfer_syntaxes.emplace_back(syntax);
    } else {
      result.transfer_syntaxes.emplace_back(dicom::k_explicit_vr_little_endian);
    }
  }
  return result;
}

WebResponse serve_wado(Archive& archive, const std::set<std::string>& tokens, const WebRequest& request,
                       const std::vector<FaultRule>& faults, Json& facts) {
  if (request.method != "GET" && request.method != "HEAD") {
    WebResponse response = plain(405, "Only GET is served here.");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return response;
  }
  if (!tokens.empty() && !has_token(request, tokens)) {
    WebResponse response = plain(401, "A bearer token is needed.");
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"kuva-sandbox\"");
    return response;
  }
  const auto resource = parse_path(request.path);
  if (!resource) {
    return plain(404, "There is no such resource.");
  }
  facts["StudyInstanceUID"] = resource->study;
  const std::string accept = request.header("Accept");
  const DicomAccept accepted = parse_dicom_accept(accept.empty() ? "*/*" : std::string_view(accept));
  if (!accepted.multipart && !(accepted.single && !resource->instance.empty())) {
    return plain(406, "The answer is multipart/related; type=\"application/dicom\".");
  }
  // First what can be had, then all of it: a status cannot be taken back.
  Objects all(archive, *resource);
  std::uint64_t matches = 0;
  std::uint64_t servable = 0;
  std::uint64_t bytes = 0;
  std::optional<StoredObject> only;
  while (const auto object = all.next()) {
    ++matches;
    if (servable_syntax(*object, accepted.transfer_syntaxes)) {
      ++servable;
      bytes += object->size;
      only = object;
    }
  }
  facts["instances"] = servable;
  if (matches == 0) {
    return plain(404, "There is no such resource.");
  }
  if (servable == 0) {
    return plain(406, "Nothing of it can be had in the transfer syntaxes that are accepted.");
  }
  facts["bytes"] = bytes;
  WebResponse response;
  response.status = servable < matches || has_fault(faults, FaultAction::partial) ? 206 : 200;
  if (!accepted.multipart) {
    const std::string syntax = *servable_syntax(*only, accepted.transfer_syntaxes);
    response.content_type = fmt::format("{}; transfer-syntax={}", k_dicom, syntax);
    response.stream = [&archive, object = *only, syntax, faults](const WebSink& sink) {
      with_faults(faults, sink, [&](const WebSink& part) { write_object(archive, object, syntax, part); });
    };
    return response;
  }
  const auto writer = std::make_shared<soap::MultipartWriter>(soap::MultipartWriter::related(k_dicom));
  response.content_type = writer->content_type();
  const bool leaves_out = has_fault(faults, FaultAction::partial) || has_fault(faults, FaultAction::missing_part);
  const auto text = [](const WebSink& sink, std::string_view bytes_of_text) {
    sink(std::as_bytes(std::span(bytes_of_text.data(), bytes_of_text.size())));
  };
  response.stream = [&archive, resource = *resource, syntaxes = accepted.transfer_syntaxes, writer, faults, text,
                     leaves_out, servable](const WebSink& sink) {
    Objects objects(archive, resource);
    std::uint64_t number = 0;
    while (const auto object = objects.next()) {
      const auto syntax = servable_syntax(*object, syntaxes);
      if (!syntax || (leaves_out && ++number == servable)) {
        continue;
      }
      text(sink, writer->part_head(fmt::format("{}; transfer-syntax={}", k_dicom, *syntax)));
      with_faults(faults, sink, [&](const WebSink& part) { write_object(archive, *object, *syntax, part); });
      text(sink, soap::MultipartWriter::part_tail());
    }
    text(sink, writer->tail());
  };
  return response;
}

}  // namespace kuva::sandbox
