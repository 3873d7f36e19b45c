#include <kuva/soap/ascii.hpp>
#include <kuva/soap/http_client.hpp>
#include <kuva/xml/characters.hpp>

#include <fmt/format.h>

#include <curl/curl.h>

#include <charconv>
#include <ctime>

namespace kuva::soap {

namespace {

struct UrlDelete {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

std::string url_part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) {
    return {};
  }
  const std::unique_ptr<char, decltype(&curl_free)> owner(text, &curl_free);
  return text;
}

// One step of a page: a tag, an entity or a character.
class TextOfPage {
 public:
  explicit TextOfPage(std::string_view html) : m_html(html) {}

  std::string run(std::size_t limit) {
    while (m_at < m_html.size() && m_characters < limit) {
      const char c = m_html[m_at];
      if (c == '<') {
        tag();
      } else if (c == '&') {
        entity();
      } else if (static_cast<unsigned char>(c) <= ' ') {
        m_space = true;
        ++m_at;
      } else {
        put(m_html.substr(m_at, 1), (static_cast<unsigned char>(c) & 0xC0U) != 0x80);
        ++m_at;
      }
    }
    const bool is_cut = m_at < m_html.size();
    while (!m_out.empty() && xml::find_bad_character(m_out) != std::string_view::npos) {
      m_out[xml::find_bad_character(m_out)] = '?';
    }
    return is_cut && m_characters >= limit ? m_out + "..." : m_out;
  }

 private:
  void put(std::string_view text, bool is_begin) {
    if (m_space && !m_out.empty()) {
      m_out += ' ';
      ++m_characters;
    }
    m_space = false;
    m_out += text;
    m_characters += is_begin ? 1 : 0;
  }

  void skip_past(std::string_view end, std::size_t from) {
    const std::size_t found = m_html.find(end, from);
    m_at = found == std::string_view::npos ? m_html.size() : found + end.size();
  }

  void tag() {
    const std::string_view rest = m_html.substr(m_at);
    if (rest.starts_with("<!--")) {
      skip_past("-->", m_at + 4);
    } else if (rest.size() > 1 && (rest[1] == '/' || rest[1] == '!' || rest[1] == '?' ||
                                   (lower_of(rest[1]) >= 'a' && lower_of(rest[1]) <= 'z'))) {
      const std::string name = to_lower(rest.substr(1, 6));
      skip_past(">", m_at);
      if (name.starts_with("script") || name.starts_with("style")) {
        skip_past("</", m_at);
        skip_past(">", m_at);
      }
    } else {
      put("<", true);
      ++m_at;
      return;
    }
    m_space = true;
  }

  void entity() {
    const std::string_view rest = m_html.substr(m_at, 10);
    const auto end = rest.find(';');
    const std::string_view name = end == std::string_view::npos ? std::string_view() : rest.substr(1, end - 1);
    std::string_view text = "&";
    if (name == "lt") {
      text = "<";
    } else if (name == "gt") {
      text = ">";
    } else if (name == "quot") {
      text = "\"";
    } else if (name == "#39" || name == "apos") {
      text = "'";
    } else if (name == "nbsp") {
      m_space = true;
      m_at += end + 1;
      return;
    } else if (name != "amp") {
      put(text, true);
      ++m_at;
      return;
    }
    put(text, true);
    m_at += end + 1;
  }

  std::string_view m_html;
  std::size_t m_at = 0;
  std::string m_out;
  std::size_t m_characters = 0;
  bool m_space = false;
};

const ErrorKind& status_kind(int status) {
  switch (status) {
    case 401:
    case 403:
    case 407:
      return kind("http.unauthorised");
    case 404:
    case 410:
      return kind("http.not-found");
    case 429:
    case 502:
    case 503:
    case 504:
      return kind("http.unavailable");
    default:
      return status >= 200 && status < 300 ? kind("http.protocol") : kind("http.status");
  }
}

// Retry-After in seconds; a date is told from ours.
std::optional<std::int64_t> retry_after(const HttpResponse& response) {
  const auto value = response.headers.get("Retry-After");
  if (!value) {
    return std::nullopt;
  }
  std::int64_t seconds = 0;
  const auto result = std::from_chars(value->data(), value->data() + value->size(), seconds);
  if (result.ec == std::errc() && result.ptr == value->data() + value->size()) {
    return seconds >= 0 && seconds <= 86'400 ? std::optional(seconds) : std::nullopt;
  }
  const auto date = parse_http_date(*value);
  if (!date) {
    return std::nullopt;
  }
  const auto wait = std::chrono::duration_cast<std::chrono::seconds>(
      *date - response.date.value_or(std::chrono::system_clock::now()));
  return wait.count() >= 0 && wait.count() <= 86'400 ? std::optional<std::int64_t>(wait.count()) : std::nullopt;
}

}  // namespace

std::string Url::to_string() const {
  const bool is_default = port == (tls ? 443 : 80);
  return fmt::format("{}://{}{}{}", tls ? "https" : "http",
                     host.find(':') == std::string::npos ? host : fmt::format("[{}]", host),
                     is_default ? std::string() : fmt::format(":{}", port), path);
}

Url parse_url(std::string_view text) {
  const auto fail = [text](std::string_view why) -> Error {
    return Error(kind("http.url"), fmt::format("\"{}\" cannot be used: {}", printable(text, 300), why));
  };
  if (text.find_first_of(" \t\r\n") != std::string_view::npos) {
    throw fail("it holds a blank");
  }
  const std::unique_ptr<CURLU, UrlDelete> url(curl_url());
  if (url == nullptr) {
    throw std::bad_alloc();
  }
  if (curl_url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
    throw fail("it is no URL");
  }
  const std::string scheme = to_lower(url_part(url.get(), CURLUPART_SCHEME));
  if (scheme != "http" && scheme != "https") {
    throw fail("it is neither http nor https");
  }
  // Before they could reach a message.
  if (!url_part(url.get(), CURLUPART_USER).empty() || !url_part(url.get(), CURLUPART_PASSWORD).empty()) {
    throw Error(kind("http.url"), "a URL holds a user name: secrets are read from files");
  }
  if (!url_part(url.get(), CURLUPART_FRAGMENT).empty()) {
    throw fail("it has a fragment");
  }
  Url result;
  result.tls = scheme == "https";
  result.host = url_part(url.get(), CURLUPART_HOST);
  if (result.host.starts_with('[') && result.host.ends_with(']')) {
    result.host = result.host.substr(1, result.host.size() - 2);
  }
  const std::string port = url_part(url.get(), CURLUPART_PORT);
  unsigned number = 0;
  if (std::from_chars(port.data(), port.data() + port.size(), number).ec != std::errc() || number == 0 ||
      number > 65535) {
    throw fail("its port is none");
  }
  result.port = static_cast<std::uint16_t>(number);
  result.path = url_part(url.get(), CURLUPART_PATH);
  if (const std::string query = url_part(url.get(), CURLUPART_QUERY); !query.empty()) {
    result.path += "?" + query;
  }
  return result;
}

std::optional<std::string_view> HttpHeaders::get(std::string_view name) const {
  for (const auto& [key, value] : m_fields) {
    if (equals_ignoring_case(key, name)) {
      return value;
    }
  }
  return std::nullopt;
}

std::string_view HttpResponse::content_type() const { return headers.get("Content-Type").value_or(std::string_view()); }

bool BodySink::begin(const HttpResponse& response) { return response.status >= 200 && response.status < 300; }

void StringSink::write(std::span<const std::byte> bytes) {
  if (bytes.size() > m_limit - m_text.size()) {
    throw Error(kind("http.limit"), fmt::format("the answer has more than {} bytes", m_limit));
  }
  m_text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::string text_of_html(std::string_view html, std::size_t limit) { return TextOfPage(html).run(limit); }

Error http_error(const HttpResponse& response, std::string_view body_start) {
  const std::string_view type = response.content_type();
  const std::string text = text_of_html(body_start);
  std::string message = fmt::format("HTTP status {}{}{}", response.status, response.reason.empty() ? "" : " ",
                                    printable(response.reason, 100));
  if (response.status >= 200 && response.status < 300) {
    message += " with an answer that is not what was asked for";
  }
  if (type.empty()) {
    message += text.empty() ? ", without a body" : ", without a Content-Type";
  } else {
    message += fmt::format(", a body of the type {}", printable(type, 100));
  }
  if (!text.empty()) {
    message += fmt::format(": {}", text);
  }
  Error error(status_kind(response.status), std::move(message));
  error.with("httpStatus", response.status);
  if (!type.empty()) {
    error.with("contentType", printable(type, 200));
  }
  if (!text.empty()) {
    error.with("answerText", text);
  }
  if (const auto seconds = retry_after(response)) {
    error.with("retryAfter", *seconds);
  }
  if (response.clock_skew) {
    error.with("clockSkew", response.clock_skew->count());
  }
  return std::move(error.with_peer(response.peer));
}

std::optional<std::chrono::system_clock::time_point> parse_http_date(std::string_view text) {
  if (text.size() > 100) {
    return std::nullopt;
  }
  const std::time_t time = curl_getdate(std::string(text).c_str(), nullptr);
  return time == -1 ? std::nullopt : std::optional(std::chrono::system_clock::from_time_t(time));
}

}  // namespace kuva::soap
