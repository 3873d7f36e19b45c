#include <kuva/core/file.hpp>
#include <kuva/soap/mime.hpp>
#include <kuva/workflow/retrieve_wado.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_accept = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
constexpr std::uint64_t k_longest_token = 64U << 10U;

const WadoSettings& with_wado(const Target& target) {
  if (!target.wado || target.wado->base_url.empty()) {
    throw Error(
        kind("usage.target"),
        fmt::format("target '{}' has no base_url of WADO-RS: [target.{}.wado] in kuva.toml", target.name, target.name));
  }
  return *target.wado;
}

std::string read_token(const std::string& file) {
  std::string token = read_small_file(file, k_longest_token);
  token.erase(std::min(token.find_first_of("\r\n"), token.size()));
  return token;
}

// Without a slash at the end and without a query.
std::string_view trimmed(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  while (url.ends_with('/')) {
    url.remove_suffix(1);
  }
  return url;
}

}  // namespace

std::string wado_url(std::string_view base, const std::string& study, const std::string& series,
                     const std::string& instance) {
  std::string url(trimmed(base));
  const auto add = [&url](std::string_view part, const std::string& uid) {
    if (!uid.empty() && url.find(fmt::format("/{}/", part)) == std::string::npos) {
      url += fmt::format("/{}/{}", part, uid);
    }
  };
  add("studies", study);
  add("series", series);
  add("instances", instance);
  return url;
}

// The objects of an answer become files as they arrive.
class WadoTransport::Objects final : public soap::PartSink {
 public:
  Objects(RetrieveRun& run, StudyRetrieval& retrieval, const WantedInstance* one)
      : m_run(run), m_retrieval(retrieval), m_one(one) {}

  void begin(const soap::Part&) override { m_file.emplace(m_run.landing().begin()); }
  void write(std::span<const std::byte> bytes) override {
    m_retrieval.touch();
    m_run.came(bytes.size());
    m_file->write(bytes);
  }
  void end(bool complete) override {
    if (complete) {
      take();
    }
    m_file.reset();
  }

  const std::optional<Error>& first_failure() const { return m_failure; }

 private:
  void take() {
    const StudyOrder& order = m_retrieval.order();
    std::string uid = m_one != nullptr ? m_one->sop_instance_uid : std::string();
    try {
      Landing& landing = m_run.landing();
      dicom::Header header = landing.verify(*m_file, {{}, uid, order.study, {}});
      const dicom::InstanceAttributes& got = header.attributes;
      uid = got.sop_instance_uid;
      if (!m_retrieval.takes({got.sop_class_uid, uid, got.study_instance_uid, got.series_instance_uid})) {
        throw Error(kind("retrieve.wrong-object"), fmt::format("{} was not asked for", uid));
      }
      const std::uint64_t bytes = header.size;
      m_retrieval.arrived(landing.place(*m_file, std::move(header)), Json{{"bytes", bytes}});
    } catch (const Error& error) {
      if (&error.kind() == &kind("local.write")) {
        throw;
      }
      if (!uid.empty()) {
        m_retrieval.failed(uid, error);
      }
      m_failure = m_failure ? m_failure : error;
    }
  }

  RetrieveRun& m_run;
  StudyRetrieval& m_retrieval;
  const WantedInstance* m_one;
  std::optional<PartFile> m_file;
  std::optional<Error> m_failure;
};

namespace {

// An answer: multipart, or one object by itself.
class WadoBody final : public soap::BodySink {
 public:
  explicit WadoBody(soap::PartSink& objects) : m_objects(objects) {}

  bool begin(const soap::HttpResponse& response) override {
    if (response.status != 200 && response.status != 206) {
      return false;
    }
    m_is_partial = response.status == 206;
    const soap::ContentType type = soap::parse_content_type(response.content_type());
    if (type.type == "multipart/related") {
      m_reader.emplace(response.content_type(), m_objects);
      return true;
    }
    if (type.type != "application/dicom") {
      return false;
    }
    m_objects.begin({});
    return true;
  }
  void write(std::span<const std::byte> bytes) override {
    if (m_reader) {
      m_reader->write(bytes);
    } else {
      m_objects.write(bytes);
    }
  }
  // The body has come. Errors: mime.*.
  void finish(bool framed) {
    if (m_reader) {
      m_reader->finish(framed);
      return;
    }
    m_objects.end(framed);
    if (!framed) {
      throw Error(kind("mime.truncated"), "the answer has no length, so that nobody can tell whether it is whole");
    }
  }
  bool is_partial() const { return m_is_partial; }

 private:
  soap::PartSink& m_objects;
  std::optional<soap::MultipartReader> m_reader;
  bool m_is_partial = false;
};

}  // namespace

WadoTransport::WadoTransport(RetrieveRun& run) : m_run(run) {
  const WadoSettings& wado = with_wado(run.target());
  m_base = wado.base_url;
  m_settings.tls = net::TlsContext::client(wado.tls);
  m_settings.connect_timeout = run.target().connect_timeout;
  m_settings.first_byte_timeout = std::min(run.settings().stall, run.target().response_timeout);
  m_settings.idle_timeout = run.settings().stall;
  m_settings.save_raw = run.settings().save_raw;
  if (!wado.token_file.empty()) {
    m_settings.bearer_token = read_token(wado.token_file);
  }
}

void WadoTransport::retrieve(const std::shared_ptr<StudyRetrieval>& retrieval) {
  retrieve_in_rounds(m_run, *retrieval, [&](bool) { return go_round(*retrieval); });
}

std::optional<Error> WadoTransport::go_round(StudyRetrieval& retrieval) {
  const StudyOrder& order = retrieval.order();
  const std::string base = order.url.empty() ? m_base : order.url;
  struct Request {
    std::string url;
    std::optional<WantedInstance> one;
  };
  std::vector<Request> requests;
  if (order.key_images && !retrieval.has_list()) {
    return Error(kind("retrieve.no-source"),
                 "--key-images needs a list of the study: its manifest, or the records of its instances");
  }
  if (retrieval.has_list()) {
    for (WantedInstance& instance : retrieval.outstanding()) {
      std::string url =
          wado_url(instance.url.empty() ? base : instance.url, order.study, instance.series, instance.sop_instance_uid);
      requests.push_back({std::move(url), std::move(instance)});
    }
  } else if (order.series.empty()) {
    requests.push_back({wado_url(base, order.study, {}, {}), {}});
  } else {
    for (const std::string& series : order.series) {
      requests.push_back({wado_url(base, order.study, series, {}), {}});
    }
  }
  std::mutex mutex;
  std::optional<Error> first;
  m_run.in_parallel(requests.size(), [&](std::size_t index) {
    if (m_run.stop().stop_requested() || retrieval.hopeless()) {
      return;
    }
    const Request& request = requests[index];
    const std::optional<Error> error = fetch(retrieval, request.url, request.one ? &*request.one : nullptr);
    const std::lock_guard lock(mutex);
    // One instance that is not there says nothing of the others.
    if (error && !first && !(request.one && error->kind().error_class != ErrorClass::temporary)) {
      first = error;
    }
  });
  return retrieval.hopeless() ? retrieval.hopeless() : first;
}

std::optional<Error> WadoTransport::fetch(StudyRetrieval& retrieval, const std::string& url,
                                          const WantedInstance* one) {
  retrieval.count_request();
  try {
    const soap::Url parsed = soap::parse_url(url);
    if (!parsed.tls && !m_run.target().wado->plain) {
      throw Error(kind("http.url"), "an address of http: in kuva.toml, wado.plain allows that");
    }
    const bool trusted = is_trusted(url);
    std::unique_ptr<soap::HttpClient> client = borrow(trusted);
    soap::HttpRequest request;
    request.method = "GET";
    request.url = url;
    request.headers.add("Accept", std::string(k_accept));
    request.label = "wado";
    Objects objects(m_run, retrieval, one);
    WadoBody body(objects);
    const soap::HttpResponse response = client->exchange(request, body, m_run.stop());
    body.finish(response.framed);
    give_back(std::move(client), trusted);
    if (objects.first_failure()) {
      return objects.first_failure();
    }
    if (body.is_partial()) {
      return Error(kind("retrieve.incomplete"), "the archive says that it does not give all (206)")
          .with_peer(response.peer);
    }
    return std::nullopt;
  } catch (const Error& error) {
    if (&error.kind() == &kind("local.write")) {
      retrieval.give_up(error);
    } else if (one != nullptr) {
      retrieval.failed(one->sop_instance_uid, error);
    }
    return error;
  }
}

bool WadoTransport::is_trusted(const std::string& url) const {
  const soap::Url given = soap::parse_url(url);
  const soap::Url own = soap::parse_url(m_base);
  return given.tls == own.tls && given.host == own.host && given.port == own.port;
}

std::unique_ptr<soap::HttpClient> WadoTransport::borrow(bool trusted) {
  if (!trusted) {
    soap::HttpSettings settings = m_settings;
    settings.bearer_token.clear();
    return std::make_unique<soap::HttpClient>(std::move(settings));
  }
  {
    const std::lock_guard lock(m_mutex);
    if (!m_idle.empty()) {
      auto client = std::move(m_idle.back());
      m_idle.pop_back();
      return client;
    }
  }
  return std::make_unique<soap::HttpClient>(m_settings);
}

void WadoTransport::give_back(std::unique_ptr<soap::HttpClient> client, bool trusted) {
  if (trusted) {
    const std::lock_guard lock(m_mutex);
    m_idle.push_back(std::move(client));
  }
}

}  // namespace kuva::workflow
