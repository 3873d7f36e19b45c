#include <kuva/cli/limit_options.hpp>
#include <kuva/cli/options.hpp>

#include <charconv>
#include <functional>

namespace kuva::cli {

namespace {

constexpr const char* k_limit_group = "Limits";

// What does not parse is said with the option's name.
CLI::Option* add_parsed(CLI::App& app, const std::string& name, const std::function<void(const std::string&)>& parse,
                        const std::string& type, const std::string& description) {
  return app
      .add_option_function<std::string>(
          name,
          [parse, name](const std::string& text) {
            try {
              parse(text);
            } catch (const Error& error) {
              throw CLI::ValidationError(name, error.message());
            }
          },
          description)
      ->type_name(type)
      ->group(k_limit_group);
}

double parse_object_rate(const std::string& text) {
  double rate = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
  if (error != std::errc{} || end != text.data() + text.size() || !(rate >= 0.001 && rate <= 1e6)) {
    throw usage_error("'" + text + "' is not a number of objects a second such as 50 or 0.5");
  }
  return rate;
}

std::uint64_t parse_item_limit(const std::string& text) {
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count == 0) {
    throw usage_error("'" + text + "' is not a number from 1");
  }
  return count;
}

}  // namespace

void add_time_limit_options(CLI::App& app, LimitOptions& options) {
  add_parsed(
      app, "--window",
      [&options](const std::string& text) {
        options.settings.windows = workflow::parse_windows(text);
        options.settings.windows_text = text;
      },
      "WINDOWS", "Work only then: \"Mon-Fri 22:00-06:00; Sat,Sun 00:00-24:00\"");
  add_duration(app, "--max-duration", options.settings.max_duration, "Begin nothing new after this long")
      ->group(k_limit_group);
  app.add_option("--time-zone", options.time_zone, "Of windows and timetables (the target's, else Europe/Helsinki)")
      ->type_name("ZONE")
      ->group(k_limit_group);
}

void add_send_limit_options(CLI::App& app, LimitOptions& options) {
  add_time_limit_options(app, options);
  workflow::RunLimitSettings& settings = options.settings;
  add_parsed(
      app, "--max-items", [&settings](const std::string& text) { settings.max_items = parse_item_limit(text); }, "N",
      "Begin at most so many objects");
  add_size(app, "--max-bytes", settings.max_bytes, "Begin no more objects after so many bytes")->group(k_limit_group);
  add_parsed(
      app, "--max-failures",
      [&settings](const std::string& text) { settings.max_failures = workflow::FailureLimit::parse(text); }, "N[%][/M]",
      "Stop after so many failures, or as many among the last M: 20, 5%/1000");
  add_parsed(
      app, "--bwlimit",
      [&settings](const std::string& text) { settings.bandwidth = workflow::BandwidthTimetable::parse(text); },
      "SIZE|TABLE", "Bytes a second, all associations together; or \"08:00,512K 22:00,off\"");
  add_parsed(
      app, "--tpslimit", [&settings](const std::string& text) { settings.objects_a_second = parse_object_rate(text); },
      "N", "Objects a second, all associations together");
}

workflow::RunLimitSettings limits_of(const LimitOptions& options, const workflow::Target& target) {
  workflow::RunLimitSettings settings = options.settings;
  std::string zone = options.time_zone;
  if (zone.empty()) {
    zone = target.xds ? target.xds->time_zone : workflow::XdsSettings{}.time_zone;
  }
  settings.zone = TimeZone::load(zone);
  return settings;
}

}  // namespace kuva::cli
