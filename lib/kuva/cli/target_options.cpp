#include <kuva/cli/config.hpp>
#include <kuva/cli/options.hpp>
#include <kuva/cli/target_options.hpp>
#include <kuva/cli/toml_reader.hpp>

#include <fmt/format.h>

#include <charconv>

namespace kuva::cli {

namespace {

constexpr const char* k_group = "Target";

std::optional<workflow::Target> parse_address(const std::string& text) {
  const auto at = text.find('@');
  if (at == std::string::npos) {
    return std::nullopt;
  }
  const auto endpoint = parse_endpoint(std::string_view(text).substr(at + 1));
  if (!endpoint) {
    return std::nullopt;
  }
  workflow::Target target;
  target.name = text;
  target.called_ae = text.substr(0, at);
  target.endpoint = *endpoint;
  return target;
}

std::string known_names(const Config& config) {
  std::string names;
  for (const auto& [name, target] : config.targets) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return names.empty() ? "no targets" : names;
}

ResolvedTarget find_target(const TargetOptions& options, const std::string& config_name) {
  const auto file = find_config(config_name);
  std::optional<Config> config;
  if (file) {
    config = load_config(*file);
  }
  if (options.target.empty()) {
    if (options.host.empty() || options.port == 0 || options.called.empty()) {
      throw usage_error("which target? Name one with -t (a target of kuva.toml, or AET@host:port)");
    }
    ResolvedTarget resolved;
    resolved.target.name = fmt::format("{}@{}:{}", options.called, options.host, options.port);
    resolved.source = "the command line";
    return resolved;
  }
  if (config) {
    if (const auto found = config->targets.find(options.target); found != config->targets.end()) {
      load_secrets(found->second);
      return {found->second.target, config->file.string()};
    }
  }
  if (const auto target = parse_address(options.target)) {
    return {*target, "the command line"};
  }
  if (!config) {
    throw Error(kind("usage.target"),
                fmt::format("target '{}': there is no kuva.toml here, in the user's configuration or in /etc/kuva",
                            options.target));
  }
  throw Error(kind("usage.target"), fmt::format("there is no target '{}' in {}; it has {}", options.target,
                                                config->file.string(), known_names(*config)));
}

void check(const workflow::Target& target, const std::string& source) {
  const auto fail = [&](std::string_view what) {
    throw Error(kind("usage.target"), fmt::format("target '{}' of {} {}", target.name, source, what));
  };
  if (target.endpoint.host.empty() || target.endpoint.port == 0) {
    fail("has no host or no port");
  }
  for (const std::string& title : {target.called_ae, target.calling_ae}) {
    if (const auto defect = ae_title_defect(title)) {
      fail(title.empty() ? "has no called_ae: the archive's AE title" : "has a wrong AE title: " + *defect);
    }
  }
}

}  // namespace

void add_target_options(CLI::App& app, TargetOptions& options) {
  const auto group = [](CLI::Option* option) { return option->group(k_group); };
  group(app.add_option("-t,--target", options.target, "A target of kuva.toml, or AET@host:port"))->type_name("TARGET");
  group(app.add_option("--host", options.host, "Host of the peer"))->type_name("HOST");
  group(add_number(app, "--port", options.port, 1, 65535, "Port of the peer"));
  group(app.add_option("--called", options.called, "AE title of the peer"))->type_name("AET");
  group(app.add_option("--calling", options.calling, "Our AE title; KUVA where nothing says it"))->type_name("AET");
  add_tls_options(app, options.tls, k_group);
  group(app.add_option("--trace", options.trace, "Write every association's messages here, a file each"))
      ->type_name("DIR");
  group(app.add_option("--bundle", options.bundle, "Pack what helps to explain the run into one masked file"))
      ->type_name("FILE.tar.gz");
  group(add_duration(app, "--connect-timeout", options.connect_timeout, "For the TCP connection (10s)"));
  group(add_duration(app, "--response-timeout", options.response_timeout, "For the answer to a request (5m)"));
}

void add_listen_option(CLI::App& app, TargetOptions& options) {
  app.add_option("--listen", options.listen, "Where the peer's reports are awaited")
      ->type_name("[HOST:]PORT")
      ->group(k_group);
}

ResolvedTarget resolve_target(const TargetOptions& options, const std::string& config, TargetNeeds needs) {
  ResolvedTarget resolved = find_target(options, config);
  workflow::Target& target = resolved.target;
  const auto replace = [](std::string& value, const std::string& option) {
    if (!option.empty()) {
      value = option;
    }
  };
  replace(target.endpoint.host, options.host);
  if (options.port != 0) {
    target.endpoint.port = static_cast<std::uint16_t>(options.port);
  }
  replace(target.called_ae, options.called);
  replace(target.calling_ae, options.calling);
  if (target.calling_ae.empty()) {
    target.calling_ae = "KUVA";
  }
  target.tls = options.tls.tls.value_or(target.tls);
  if (options.tls.tls == false && target.listener) {
    target.listener->tls = false;
  }
  options.tls.apply_files(target.tls_settings);
  replace(target.tls_settings.server_name, options.tls.name);
  if (target.listener) {
    options.tls.apply_files(target.listener->tls_settings);
  }
  if (target.move && target.move->listener) {
    options.tls.apply_files(target.move->listener->tls_settings);
  }
  if (target.xds) {
    options.tls.apply_files(target.xds->tls);
  }
  if (target.wado) {
    options.tls.apply_files(target.wado->tls);
  }
  if (!options.listen.empty()) {
    if (!target.listener) {
      target.listener = workflow::ListenerSettings{{"0.0.0.0", 0}, target.tls, target.tls_settings};
    }
    if (const auto port = parse_port(options.listen)) {
      target.listener->bind.port = *port;
    } else if (const auto endpoint = parse_endpoint(options.listen)) {
      target.listener->bind = *endpoint;
    } else {
      throw usage_error(fmt::format("--listen: '{}' is neither a port nor HOST:PORT", options.listen));
    }
  }
  if (options.connect_timeout.count() > 0) {
    target.connect_timeout = options.connect_timeout;
  }
  if (options.response_timeout.count() > 0) {
    target.response_timeout = options.response_timeout;
  }
  if (needs == TargetNeeds::dicom) {
    check(target, resolved.source);
  }
  return resolved;
}

}  // namespace kuva::cli
