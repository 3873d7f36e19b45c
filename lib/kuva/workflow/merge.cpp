#include <kuva/core/record.hpp>
#include <kuva/workflow/adt_message.hpp>
#include <kuva/workflow/merge.hpp>
#include <kuva/workflow/merge_history.hpp>

#include <fmt/format.h>

#include <set>
#include <vector>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_merge_tool = "kuva-merge";
constexpr std::string_view k_forgotten = "forgotten";  // the outcome of what somebody says was not applied

using MergeState = MergeHistory::State;

MergeHistory::Archive archive_of(const Hl7Target& target) {
  return {fmt::format("{}:{}", target.endpoint.host, target.endpoint.port),
          fmt::format("{}|{}", target.receiving_application, target.receiving_facility)};
}

struct Pair {
  hl7::PatientIdentifier from;
  PatientData into;
};

Pair read_pair(const Row& row, const Hl7Target& target) {
  Pair pair;
  hl7::AssigningAuthority authority = target.authority;
  std::string_view national = target.profile.national_authority;
  if (const auto found = row.values.find("fromAuthority"); found != row.values.end() && !found->second.empty()) {
    const auto parsed = hl7::AssigningAuthority::parse(found->second);
    if (!parsed) {
      throw Error(kind("hl7.row"), "column 'fromAuthority' is neither an OID nor NAMESPACE&OID&ISO");
    }
    authority = *parsed;
    national = "";
  }
  const auto from = row.values.find("from");
  if (from == row.values.end() || from->second.empty()) {
    throw Error(kind("hl7.row"), "column 'from' is missing or empty");
  }
  pair.from = read_identifier_text(from->second, authority, national);
  pair.into = read_patient_row(row.values, "into", target);
  return pair;
}

// What forbids the merge whatever was sent before.
void check_pair(const Pair& pair, const Hl7Target& target, const MergeSettings& settings) {
  for (const auto& [identifier, column] :
       {std::pair{&pair.from, std::string_view("from")}, std::pair{&pair.into.identifier, std::string_view("into")}}) {
    if (const auto defect = hl7::identifier_defect(*identifier, target.profile.national_authority)) {
      throw Error(kind("merge.identifier"), fmt::format("column '{}': {}", column, defect->message));
    }
  }
  if (hl7::may_be_same_patient(pair.from, pair.into.identifier)) {
    throw Error(kind("merge.same"), "from and into are the same patient for an archive");
  }
  const bool named = pair.into.name && !pair.into.name->empty();
  if (!named && !settings.keep_demographics) {
    throw Error(kind("merge.no-demographics"),
                "the row has no name of the surviving patient: an archive takes the survivor's data from this message");
  }
}

std::string_view event_of(MergeSettings::Kind kind) { return kind == MergeSettings::Kind::merge ? "A40" : "A47"; }

// Whether merges that were sent before lead from the survivor to the one that is to disappear, and over how many of
// them; every way is followed, since an archive may take one identifier for several patients of the history.
std::optional<std::size_t> length_of_way_back(const Pair& pair, const MergeHistory& history) {
  std::set<std::string> seen;
  std::vector<hl7::PatientIdentifier> reached{pair.into.identifier};
  for (std::size_t length = 1; !reached.empty(); ++length) {
    std::vector<hl7::PatientIdentifier> next;
    for (const hl7::PatientIdentifier& patient : reached) {
      for (const MergeHistory::Entry& entry : history.disappeared(patient)) {
        if (hl7::may_be_same_patient(entry.into, pair.from)) {
          return length;
        }
        if (seen.insert(entry.control_id).second) {
          next.push_back(entry.into);
        }
      }
    }
    reached = std::move(next);
  }
  return std::nullopt;
}

// What earlier merges say: the entry of this very merge, if there is one. An entry that may only be of the same
// patients forbids, and confirms nothing.
std::optional<MergeHistory::Entry> check_history(const Pair& pair, std::string_view event,
                                                 const MergeHistory& history) {
  const hl7::PatientIdentifier& into = pair.into.identifier;
  const auto same = history.find(pair.from, into, event);
  if (same && same->state == MergeState::applied) {
    return same;  // whatever became of the survivor since
  }
  if (const auto length = length_of_way_back(pair, history)) {
    throw *length == 1
        ? Error(kind("merge.inverse"), "the opposite merge was sent before")
        : Error(kind("merge.circle"), fmt::format("with {} merges sent before it would make a circle", *length));
  }
  if (same) {
    return same;  // only its repetition settles it
  }
  const auto forbid = [](const MergeHistory::Entry& entry, std::string_view who) {
    throw(entry.state == MergeState::applied
              ? Error(kind("merge.retired"), fmt::format("the patient of column '{}' was merged before", who))
              : Error(kind("merge.unsettled"),
                      fmt::format("a merge of the patient of column '{}' was sent and not answered", who)))
        .with("mergeControlId", entry.control_id);
  };
  if (const auto gone = history.disappeared(into); !gone.empty()) {
    forbid(gone.front(), "into");
  }
  if (const auto gone = history.disappeared(pair.from); !gone.empty()) {
    forbid(gone.front(), "from");
  }
  // Were this one applied first, the repetition that settles the other would meet a survivor that has gone.
  if (const auto awaited = history.awaited(pair.from); !awaited.empty()) {
    throw Error(kind("merge.unsettled"), "a merge into the patient of column 'from' was sent and not answered")
        .with("mergeControlId", awaited.front().control_id);
  }
  return std::nullopt;
}

std::string sentence(const Pair& pair, const MergeSettings& settings) {
  const std::string from = pair.from.to_string();
  const std::string into = pair.into.identifier.to_string();
  if (settings.kind == MergeSettings::Kind::change_id) {
    return fmt::format("The identifier {} is replaced by {}: all studies of {} are then found under {}.", from, into,
                       from, into);
  }
  return fmt::format(
      "Patient {} disappears into {}: all studies of {} belong to {} afterwards{}.", from, into, from, into,
      pair.into.name && !pair.into.name->empty() ? ", and the archive takes that patient's data from this message"
                                                 : "");
}

// The patient that the archive names right after "merged with": Patient[id=P1^^^&1.2.3&ISO, name=...] or the bare
// identifier. Nothing when it is neither: what cannot be read confirms nothing.
std::optional<hl7::PatientIdentifier> survivor_in(std::string_view words) {
  constexpr std::string_view k_merged = "merged with ";
  constexpr std::string_view k_key = "id=";
  const auto at = words.find(k_merged);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view rest = words.substr(at + k_merged.size());
  bool is_named = false;
  if (constexpr std::string_view k_patient = "Patient["; rest.starts_with(k_patient)) {
    rest.remove_prefix(k_patient.size());
    if (!rest.starts_with(k_key)) {
      return std::nullopt;
    }
    rest.remove_prefix(k_key.size());
    if (rest.find(']') == std::string_view::npos) {
      return std::nullopt;
    }
    is_named = true;
  }
  const std::string_view cx = rest.substr(0, std::min(rest.find_first_of(",] "), rest.size()));
  const bool is_cx = is_named || cx.find("^^^") != std::string_view::npos;
  return is_cx && cx.find_first_of("[](){}<>\"'=:;") == std::string_view::npos ? hl7::PatientIdentifier::parse(cx)
                                                                               : std::nullopt;
}

// Whether the archive says that the patient of `from` was merged before (204), and into whom. Only an identifier with
// the authority of the survivor says that it was this merge.
enum class Merged { not_said, into_survivor, elsewhere };
Merged merged_before(const Delivery& delivery, const Pair& pair) {
  if (!delivery.answer || !delivery.error || delivery.error->kind().code != kind("adt.merged-patient").code) {
    return Merged::not_said;
  }
  const hl7::PatientIdentifier& into = pair.into.identifier;
  for (const hl7::AckError& error : delivery.answer->acknowledgement.errors) {
    if (error.location.starts_with("PID")) {
      return Merged::not_said;  // it is the survivor that has gone
    }
    for (const std::string& words : {error.user_message, error.diagnostic, error.code_text}) {
      const auto named = survivor_in(words);
      if (!named) {
        continue;
      }
      if (!hl7::may_be_same_patient(*named, into)) {
        return Merged::elsewhere;
      }
      const bool same_oid =
          !into.authority.universal_id.empty() && named->authority.universal_id == into.authority.universal_id;
      return same_oid || named->authority == into.authority ? Merged::into_survivor : Merged::not_said;
    }
  }
  return Merged::not_said;
}

class Merger {
 public:
  Merger(RecordSink& sink, Observer& observer, Accounting& accounting, const Hl7Target& target,
         const MergeSettings& settings, std::stop_token stop)
      : m_sink(sink),
        m_observer(observer),
        m_accounting(accounting),
        m_target(target),
        m_settings(settings),
        m_history(settings.state, archive_of(target), {settings.dry_run, settings.same_archive}) {
    if (!settings.dry_run) {
      m_courier.emplace(target, settings.delivery, std::move(stop));
    }
  }

  void handle(const Row& row) {
    m_accounting.entered();
    Json record = begin(row);
    try {
      if (row.defect) {
        throw Error(*row.defect);
      }
      const Pair pair = read_pair(row, m_target);
      if (m_settings.show_identifiers) {
        record["from"] = pair.from.to_string();
        record["into"] = pair.into.identifier.to_string();
      }
      if (m_settings.settle != MergeSettings::Settle::none) {
        settle_by_hand(pair, record);
      } else {
        check_pair(pair, m_target, m_settings);
        merge(pair, record);
      }
    } catch (const Error& error) {
      if (error.kind().exit_code == ExitCode::local_io) {
        fail(record, error);
        m_sink.emit(record);
        throw;
      }
      fail(record, error);
    }
    m_sink.emit(record);
    ++m_done;
    m_observer.progress({m_done, m_done, m_failed, 0, "merging"});
  }

  void handle_defect(const Error& error) {
    m_accounting.entered();
    Json record = begin({});
    fail(record, error);
    m_sink.emit(record);
  }

 private:
  static Json begin(const Row& row) {
    Json record = make_record("message", k_merge_tool, outcome::failed, false);
    if (!row.source.empty()) {
      record["path"] = path_to_json(row.source);
    }
    if (row.line != 0) {
      record["line"] = row.line;
    }
    return record;
  }

  void fail(Json& record, const Error& error) {
    ++m_failed;
    const bool doubtful = error.kind().error_class == ErrorClass::indeterminate && record.contains("attempts");
    set_outcome(record, k_merge_tool, doubtful ? outcome::indeterminate : outcome::failed, false);
    set_error(record, error);
  }

  // Not sent in this run; of an earlier one it may have been applied.
  static void leave(Json& record, const Error& error, bool doubtful) {
    set_outcome(record, k_merge_tool, doubtful ? outcome::indeterminate : outcome::unsent, false);
    set_error(record, doubtful ? in_doubt(error) : error);
  }

  // Somebody has looked at the archive.
  void settle_by_hand(const Pair& pair, Json& record) {
    const bool is_applied = m_settings.settle == MergeSettings::Settle::applied;
    std::optional<MergeHistory::Entry> entry;
    for (MergeHistory::Entry& found : m_history.disappeared(pair.from)) {
      const bool is_settled = found.state == MergeState::applied && !found.event.empty();
      if (!is_settled && is_equal_patient(found.from, pair.from) &&
          is_equal_patient(found.into, pair.into.identifier)) {
        entry = std::move(found);
        break;
      }
    }
    if (!entry) {
      throw Error(kind("usage.argument"), "the history has no merge of these two patients that is in doubt");
    }
    record["messageControlId"] = entry->control_id;
    const std::string what =
        fmt::format("The history will say that the merge of {} into {} {}; nothing is sent.", pair.from.to_string(),
                    pair.into.identifier.to_string(), is_applied ? "was applied" : "was not applied");
    if (m_settings.dry_run) {
      record["sentence"] = what;
      set_outcome(record, k_merge_tool, outcome::planned, true);
      return;
    }
    if (m_settings.confirm && !m_settings.confirm(what)) {
      leave(record, Error(kind("merge.not-confirmed"), "it was not confirmed"), true);
      return;
    }
    if (is_applied) {
      if (entry->event.empty()) {
        entry->event = event_of(m_settings.kind);
      }
      m_history.save_applied(*entry);
      record["already"] = "operator";
      set_outcome(record, k_merge_tool, k_applied, true);
    } else {
      m_history.forget(*entry);
      set_outcome(record, k_merge_tool, k_forgotten, true);
    }
  }

  void merge(const Pair& pair, Json& record) {
    const std::string_view event = event_of(m_settings.kind);
    const auto before = check_history(pair, event, m_history);
    const MergeHistory::Entry entry{pair.from, pair.into.identifier, std::string(event),
                                    before ? before->control_id : make_control_id(), MergeState::sent};
    const hl7::Message message = make_merge(m_target, pair.from, pair.into, event, entry.control_id);
    describe(record, message);
    if (before && before->state == MergeState::applied) {
      record["already"] = "history";
      set_outcome(record, k_merge_tool, k_applied, true);
      return;
    }
    const auto findings = hl7::check(message, m_target.profile);
    const bool nameless = m_settings.keep_demographics && !(pair.into.name && !pair.into.name->empty());
    for (const hl7::Finding& finding : findings) {
      if (finding.severity == hl7::Severity::error && !(nameless && finding.position == "PID-5")) {
        record["findings"] = workflow::to_json(findings);
        throw Error(kind("hl7.invalid"), fmt::format("{} ({})", finding.message, finding.rule));
      }
    }
    const std::string what = sentence(pair, m_settings);
    if (m_settings.dry_run) {
      m_history.save_sent(entry);
      m_history.save_applied(entry);
      record["sentence"] = what;
      record["message"] = hl7::CharacterSet::find(m_target.character_set)->to_utf8(message.wire_bytes()).text;
      set_outcome(record, k_merge_tool, outcome::planned, true);
      return;
    }
    if (m_courier->unreachable()) {
      leave(record, *m_courier->unreachable(), before.has_value());
      return;
    }
    if (m_settings.confirm && !m_settings.confirm(what)) {
      leave(record, Error(kind("merge.not-confirmed"), "the merge was not confirmed"), before.has_value());
      return;
    }
    m_history.save_sent(entry);
    const std::vector<std::string> secrets = secrets_of(message);
    Delivery delivery = m_courier->deliver(message, secrets);
    delivery.in_doubt = delivery.in_doubt || before.has_value();
    settle(pair, entry, delivery, record, secrets);
  }

  void settle(const Pair& pair, const MergeHistory::Entry& entry, Delivery& delivery, Json& record,
              const std::vector<std::string>& secrets) {
    const Merged merged = merged_before(delivery, pair);
    if (merged == Merged::into_survivor) {
      delivery.error.reset();
      record["already"] = "archive";
    } else if (merged == Merged::elsewhere) {
      delivery.error = Error(kind("merge.elsewhere"), delivery.error->message());
    }
    if (delivery.applied()) {
      m_history.save_applied(entry);
    } else if (!delivery.in_doubt) {
      m_history.forget(entry);  // refused, or it never went out
    }
    // Else it stays: an archive that applied the first attempt may refuse its repetition in any words.
    conclude(record, k_merge_tool, delivery, secrets);
    m_failed += delivery.applied() ? 0 : 1;
  }

  RecordSink& m_sink;
  Observer& m_observer;
  Accounting& m_accounting;
  const Hl7Target& m_target;
  const MergeSettings& m_settings;
  MergeHistory m_history;
  std::optional<Courier> m_courier;
  std::uint64_t m_done = 0;
  std::uint64_t m_failed = 0;
};

}  // namespace

void merge(RowSource& rows, RecordSink& sink, Observer& observer, Accounting& accounting, const Hl7Target& target,
           const MergeSettings& settings, std::stop_token stop) {
  Merger merger(sink, observer, accounting, target, settings, stop);
  while (!stop.stop_requested()) {
    try {
      const auto row = rows.next();
      if (!row) {
        break;
      }
      merger.handle(*row);
    } catch (const Error& error) {
      if (error.kind().code != kind("hl7.row").code) {
        throw;
      }
      merger.handle_defect(error);
    }
  }
}

}  // namespace kuva::workflow
