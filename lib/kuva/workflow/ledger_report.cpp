#include <kuva/core/byte_count.hpp>
#include <kuva/core/digest.hpp>
#include <kuva/core/error_catalogue.hpp>
#include <kuva/core/file.hpp>
#include <kuva/core/record.hpp>
#include <kuva/core/time.hpp>
#include <kuva/core/version.hpp>
#include <kuva/workflow/ledger_records.hpp>
#include <kuva/workflow/ledger_report.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace kuva::workflow {

namespace {

using ledger::Ledger;

constexpr std::size_t k_report_page = 1000;
constexpr std::size_t k_runs_shown = 50;
constexpr std::size_t k_digest_shown = 12;  // enough to see which runs had the same

constexpr std::string_view k_head = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<style>
body{font:15px/1.45 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1b1f24}
h1{font-size:1.6em}h2{font-size:1.2em;margin-top:2em;border-bottom:1px solid #ccd}
table{border-collapse:collapse;width:100%;font-size:.92em}th,td{text-align:left;padding:.25em .6em;border-bottom:1px solid #dde;
vertical-align:top;overflow-wrap:anywhere}td.n,th.n{text-align:right;white-space:nowrap}tr.sum td{font-weight:bold}
code{font-size:.92em;overflow-wrap:anywhere}.sign td{height:4em;border-bottom:1px solid #555;width:33%}
svg{max-width:100%;height:auto}svg text{font:11px sans-serif;fill:#333}.good{fill:#2f7d4f}.warn{fill:#c98a14}.bad{fill:#b3362c}.flow{fill:#3465a4}
.key{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}
@media print{body{margin:0;max-width:none;font-size:11px}h2{break-after:avoid}tr,svg{break-inside:avoid}thead{display:table-header-group}}
</style>
)";

std::string escaped(std::string_view text) {
  // What is not UTF-8 becomes U+FFFD, controls become spaces.
  const std::string clean =
      is_utf8(text) ? std::string(text) : Json::parse(to_line(Json(std::string(text)))).get<std::string>();
  std::string html;
  for (const char c : clean) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        html += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
    }
  }
  return html;
}

// 1234567 as 1 234 567, in thin spaces.
std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), "\u2009");
  }
  return text;
}

struct Day {
  std::string name;
  std::uint64_t good = 0;
  std::uint64_t warned = 0;
  std::uint64_t failed = 0;
  std::uint64_t bytes = 0;  // of what was stored
};

std::vector<Day> days_of_report(Ledger& ledger) {
  std::vector<Day> days;
  for (const ledger::DayCount& count : ledger.days()) {
    if (days.empty() || days.back().name != count.day) {
      days.emplace_back().name = count.day;
    }
    Day& day = days.back();
    const auto state = ledger::parse_state(count.outcome);
    if (state == ledger::State::stored) {
      day.good += count.attempts;
      day.bytes += count.bytes;
    } else if (state == ledger::State::stored_with_warning) {
      day.warned += count.attempts;
      day.bytes += count.bytes;
    } else if (state == ledger::State::failed_temporary || state == ledger::State::failed_permanent ||
               state == ledger::State::indeterminate) {
      day.failed += count.attempts;
    }
  }
  return days;
}

// Bars upright, a day each, of one or several parts.
struct Part {
  const char* style;
  std::uint64_t value;
};
std::string upright_bars(const std::vector<std::pair<std::string, std::vector<Part>>>& bars, const char* title,
                         const std::function<std::string(std::uint64_t)>& show) {
  constexpr double k_width = 760;
  constexpr double k_height = 180;
  std::uint64_t highest = 1;
  for (const auto& bar : bars) {
    std::uint64_t sum = 0;
    for (const Part& part : bar.second) {
      sum += part.value;
    }
    highest = std::max(highest, sum);
  }
  std::string svg = fmt::format(
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\"><text x=\"0\" y=\"10\">{}</text>"
      "<line x1=\"0\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"#999\"/>",
      k_width, k_height + 40, title, show(highest), k_height + 15, k_width, k_height + 15);
  const double step = k_width / static_cast<double>(std::max<std::size_t>(bars.size(), 1));
  const double width = std::min(step * 0.8, 40.0);
  const std::size_t every = 1 + bars.size() / 12;  // not every day's name has room
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double x = step * static_cast<double>(i) + (step - width) / 2;
    double y = k_height + 15;
    for (const Part& part : bars[i].second) {
      const double height = k_height * static_cast<double>(part.value) / static_cast<double>(highest);
      y -= height;
      svg += fmt::format(
          "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"><title>{}: "
          "{}</title></rect>",
          part.style, x, y, width, height, escaped(bars[i].first), show(part.value));
    }
    if (i % every == 0) {
      svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x + width / 2, k_height + 32,
                         escaped(bars[i].first));
    }
  }
  return svg + "</svg>\n";
}

std::string lying_bars(const std::vector<ledger::FailureGroup>& groups) {
  constexpr double k_width = 760;
  constexpr double k_row = 24;
  constexpr double k_left = 260;
  std::uint64_t highest = 1;
  for (const ledger::FailureGroup& group : groups) {
    highest = std::max(highest, group.instances);
  }
  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"failures by cause\">", k_width,
                                k_row * static_cast<double>(groups.size()) + 4);
  double y = 2;
  for (const ledger::FailureGroup& group : groups) {
    const double width = (k_width - k_left - 90) * static_cast<double>(group.instances) / static_cast<double>(highest);
    svg += fmt::format(
        "<text x=\"0\" y=\"{:.1f}\">{}</text><rect class=\"{}\" x=\"{}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"16\"/>"
        "<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>",
        y + 14, escaped(group.error_code), group.state == ledger::State::failed_temporary ? "warn" : "bad", k_left,
        y + 2, std::max(width, 1.0), k_left + width + 6, y + 14, grouped(group.instances));
    y += k_row;
  }
  return svg + "</svg>\n";
}

void write_counts(AtomicFile& page, const Json& status) {
  static const std::vector<std::pair<const char*, const char*>> k_parts{
      {"committed", "committed: the archive has taken responsibility"},
      {"stored", "stored, not committed yet"},
      {"failed", "failed: see below"},
      {"inDoubt", "in doubt: settled by the next run"},
      {"underWay", "under way"},
      {"waiting", "waiting to be sent"},
      {"skipped", "skipped: no objects, or copies of other files"}};
  page.write("<h2>Instances</h2>\n<table>");
  for (const auto& part : k_parts) {
    page.write(fmt::format("<tr><td>{}</td><td class=\"n\">{}</td></tr>\n", part.second,
                           grouped(status["progress"][part.first].get<std::uint64_t>())));
  }
  page.write(fmt::format(
      "<tr class=\"sum\"><td>files found, the sum of these</td><td class=\"n\">{}</td></tr>\n"
      "<tr><td>their bytes</td><td class=\"n\">{}</td></tr></table>\n",
      grouped(status["instances"].get<std::uint64_t>()), format_bytes(status["bytes"].get<std::uint64_t>())));
  const Json& studies = status["studies"];
  page.write(fmt::format("<p>{} studies: {} with nothing left to do, {} with failed instances.</p>\n",
                         grouped(studies["total"].get<std::uint64_t>()), grouped(studies["done"].get<std::uint64_t>()),
                         grouped(studies["failed"].get<std::uint64_t>())));
}

void write_charts(AtomicFile& page, Ledger& ledger) {
  const std::vector<Day> days = days_of_report(ledger);
  if (!days.empty()) {
    std::vector<std::pair<std::string, std::vector<Part>>> progress;
    std::vector<std::pair<std::string, std::vector<Part>>> throughput;
    for (const Day& day : days) {
      progress.emplace_back(day.name, std::vector<Part>{{"good", day.good}, {"warn", day.warned}, {"bad", day.failed}});
      throughput.emplace_back(day.name, std::vector<Part>{{"flow", day.bytes}});
    }
    page.write(
        "<h2>Progress by day</h2>\n<p>Attempts that ended on a day (UTC):<svg class=\"key\"><rect class=\"good\" "
        "width=\"99\" height=\"99\"/></svg>stored<svg class=\"key\"><rect class=\"warn\" width=\"99\" "
        "height=\"99\"/></svg>"
        "with a warning<svg class=\"key\"><rect class=\"bad\" width=\"99\" height=\"99\"/></svg>failed</p>\n");
    page.write(upright_bars(progress, "progress by day", grouped));
    page.write("<h2>Throughput</h2>\n<p>Bytes stored on a day.</p>\n");
    page.write(upright_bars(throughput, "bytes by day", format_bytes));
  }
  const auto failures = ledger.failures();
  page.write("<h2>Failures by cause</h2>\n");
  if (failures.empty()) {
    page.write("<p>None.</p>\n");
    return;
  }
  page.write(lying_bars(failures));
  page.write(
      "<table><thead><tr><th>cause</th><th class=\"n\">instances</th><th class=\"n\">studies</th><th>what to "
      "do</th></tr></thead>");
  for (const ledger::FailureGroup& group : failures) {
    const ErrorKind* const known = find_kind(group.error_code);
    page.write(fmt::format(
        "<tr><td><code>{}</code><br>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>\n",
        escaped(group.error_code), known == nullptr ? "" : escaped(known->meaning), grouped(group.instances),
        grouped(group.studies), known == nullptr ? "" : escaped(known->hint)));
  }
  page.write("</table>\n");
}

void write_runs(AtomicFile& page, Ledger& ledger) {
  const auto runs = ledger.runs(k_runs_shown);
  page.write(
      fmt::format("<h2>Runs</h2>\n<p>The latest {}.</p><table><thead><tr><th>tool</th><th>from</th><th>to</th>"
                  "<th>configuration</th><th class=\"n\">exit</th></tr></thead>",
                  runs.size()));
  for (const ledger::Run& run : runs) {
    page.write(
        fmt::format("<tr><td>{} {}</td><td>{}</td><td>{}</td><td><code>{}</code></td><td class=\"n\">{}</td></tr>\n",
                    escaped(run.tool), escaped(run.version), escaped(run.started),
                    run.ended.empty() ? "not ended" : escaped(run.ended),
                    escaped(run.configuration_digest.substr(0, k_digest_shown)),
                    run.exit_code ? std::to_string(*run.exit_code) : ""));
  }
  page.write("</table>\n");
}

}  // namespace

bool write_ledger_report(Ledger& ledger, const std::string& name, const std::filesystem::path& file,
                         const std::stop_token& stop) {
  const Json status = ledger_status_record(ledger, name);
  AtomicFile page(file, 0600);
  page.write(k_head);
  const std::string target = ledger.target_identity();
  page.write(fmt::format(
      "<title>{}</title></head><body><h1>Protocol of a transfer</h1>\n<table>"
      "<tr><td>ledger</td><td>{}</td></tr><tr><td>archive</td><td>{}</td></tr>"
      "<tr><td>written</td><td>{} by kuva {}</td></tr></table>\n",
      escaped(name), escaped(name), escaped(target), to_rfc3339(std::chrono::system_clock::now()), escaped(version())));
  write_counts(page, status);
  write_charts(page, ledger);
  page.write("<h2>What failed</h2>\n<table><thead><tr><th>file and object</th><th>cause</th></tr></thead>\n");
  Digest digest(DigestAlgorithm::sha256);  // of what export --csv writes
  digest.add(csv_header());
  std::uint64_t with_digest = 0;
  Ledger::Position position;
  for (;;) {
    if (stop.stop_requested()) {
      return false;
    }
    const auto rows = ledger.next_instances(position, k_report_page, {});
    if (rows.empty()) {
      break;
    }
    for (const ledger::Instance& row : rows) {
      digest.add(csv_line(row));
      with_digest += row.digest.empty() ? 0 : 1;
      if (row.state == ledger::State::failed_temporary || row.state == ledger::State::failed_permanent) {
        page.write(fmt::format(
            "<tr><td>{}<br><code>{}</code><br>study <code>{}</code>{}</td><td><code>{}</code> ({})<br>{}</td></tr>\n",
            escaped(row.file.path), escaped(row.sop_instance_uid), escaped(row.study_instance_uid),
            row.digest.empty() ? "" : fmt::format("<br>SHA-256 <code>{}</code>", escaped(row.digest)),
            escaped(row.error_code), ledger::to_string(row.state), escaped(row.error_message)));
      }
    }
  }
  page.write("</table>\n");
  write_runs(page, ledger);
  page.write(fmt::format(
      "<h2>Digests</h2>\n<p>SHA-256 of the table of all instances, as <code>kuva-ledger export --csv</code> "
      "writes it from this state:<br><code>{}</code></p>\n<p>{} of the instances have the digest of their data "
      "set in it.</p>\n<h2>Acceptance</h2>\n<table class=\"sign\"><tr><td>date</td><td>for the sender</td>"
      "<td>for the owner of the data</td></tr></table>\n</body></html>\n",
      to_hex(digest.finish()), grouped(with_digest)));
  page.commit();
  return true;
}

}  // namespace kuva::workflow
