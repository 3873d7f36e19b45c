#include <kuva/core/record.hpp>
#include <kuva/workflow/adt_message.hpp>
#include <kuva/workflow/merge.hpp>
#include <kuva/workflow/merge_history.hpp>

#include <fmt/format.h>

namespace kuva::workflow {

namespace {

constexpr std::string_view k_merge_tool = "kuva-merge";

using State = MergeHistory::State;

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

// What earlier merges say: the entry of this very merge, if there is one.
std::optional<MergeHistory::Entry> check_history(const Pair& pair, const MergeHistory& history) {
  const hl7::PatientIdentifier& into = pair.into.identifier;
  const auto entry = history.disappeared(pair.from);
  const bool is_this = entry && hl7::may_be_same_patient(entry->into, into);
  if (is_this && entry->state == State::applied) {
    return entry;  // whatever became of the survivor since
  }
  // Where the survivor has gone: back to the one that is to disappear, or anywhere else.
  constexpr int k_longest_chain = 1000;
  const auto gone = history.disappeared(into);
  auto step = gone;
  for (int length = 1; step && length <= k_longest_chain; ++length) {
    if (hl7::may_be_same_patient(step->into, pair.from)) {
      throw length == 1
          ? Error(kind("merge.inverse"), "the opposite merge was sent before")
          : Error(kind("merge.circle"), fmt::format("with {} merges sent before it would make a circle", length));
    }
    step = history.disappeared(step->into);
  }
  if (gone) {
    throw(gone->state == State::applied
              ? Error(kind("merge.retired"), "the patient of column 'into' was merged into another one before")
              : Error(kind("merge.unsettled"), "a merge of the patient of column 'into' was sent and not answered"))
        .with("mergeControlId", gone->control_id);
  }
  if (!entry || is_this) {
    return entry;
  }
  if (entry->state == State::applied) {
    throw Error(kind("merge.retired"), "the patient of column 'from' was merged into another one before")
        .with("mergeControlId", entry->control_id);
  }
  throw Error(kind("merge.unsettled"), "another merge of the patient of column 'from' was sent and not answered")
      .with("mergeControlId", entry->control_id);
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

// The identifier as a whole: P1 is not in P12.
bool names(std::string_view words, std::string_view id) {
  const auto is_part = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' ||
           c == '.' || c == '_' || static_cast<unsigned char>(c) >= 0x80U;
  };
  for (auto at = words.find(id); at != std::string_view::npos; at = words.find(id, at + 1)) {
    const std::size_t end = at + id.size();
    if ((at == 0 || !is_part(words[at - 1])) && (end == words.size() || !is_part(words[end]))) {
      return true;
    }
  }
  return false;
}

// The archive's "merged with" (204), of the patient that was to disappear.
enum class Merged { no, into_survivor, elsewhere };
Merged merged_before(const Delivery& delivery, const Pair& pair, bool repeated) {
  if (!delivery.answer || !delivery.error || delivery.error->kind().code != kind("adt.merged-patient").code) {
    return Merged::no;
  }
  for (const hl7::AckError& error : delivery.answer->acknowledgement.errors) {
    const std::string words = error.user_message + " " + error.diagnostic + " " + error.code_text;
    const auto at = words.find("merged with");
    if (at == std::string::npos) {
      continue;
    }
    if (error.location.starts_with("PID")) {
      return Merged::no;  // it is the survivor that has gone
    }
    const std::string rest = words.substr(at);
    if (names(rest, pair.into.identifier.id)) {
      return Merged::into_survivor;
    }
    // Without any identifier the archive confirms a repetition; with another one it has another survivor.
    return repeated && rest.find_first_of("0123456789[") == std::string::npos ? Merged::into_survivor
                                                                              : Merged::elsewhere;
  }
  return Merged::no;
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
        m_history(settings.state, settings.dry_run) {
    if (!settings.dry_run) {
      m_courier.emplace(target, settings.delivery, std::move(stop));
    }
  }

  void handle(const Row& row) {
    m_accounting.entered();
    Json record = begin(row);
    try {
      const Pair pair = read_pair(row, m_target);
      if (m_settings.show_identifiers) {
        record["from"] = pair.from.to_string();
        record["into"] = pair.into.identifier.to_string();
      }
      check_pair(pair, m_target, m_settings);
      merge(pair, record);
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

  void leave(Json& record, const Error& error) {
    set_outcome(record, k_merge_tool, outcome::unsent, false);
    set_error(record, error);
  }

  void merge(const Pair& pair, Json& record) {
    const auto before = check_history(pair, m_history);
    MergeHistory::Entry entry{pair.from, pair.into.identifier, before ? before->control_id : make_control_id(),
                              State::sent};
    const hl7::Message message =
        make_merge(m_target, pair.from, pair.into, m_settings.kind == MergeSettings::Kind::merge ? "A40" : "A47",
                   entry.control_id);
    describe(record, message);
    if (before && before->state == State::applied) {
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
      leave(record, *m_courier->unreachable());
      return;
    }
    if (m_settings.confirm && !m_settings.confirm(what)) {
      leave(record, Error(kind("merge.not-confirmed"), "the merge was not confirmed"));
      return;
    }
    m_history.save_sent(entry);
    const std::vector<std::string> secrets = secrets_of(message);
    Delivery delivery = m_courier->deliver(message, secrets);
    settle(pair, entry, before.has_value(), delivery, record, secrets);
  }

  void settle(const Pair& pair, const MergeHistory::Entry& entry, bool repeated, Delivery& delivery, Json& record,
              const std::vector<std::string>& secrets) {
    const Merged merged = merged_before(delivery, pair, repeated || delivery.attempts > 1);
    if (merged == Merged::into_survivor) {
      delivery.error.reset();
      record["already"] = "archive";
    } else if (merged == Merged::elsewhere) {
      delivery.error = Error(kind("merge.elsewhere"), delivery.error->message());
    }
    if (delivery.applied()) {
      m_history.save_applied(entry);
    } else if (!repeated && !delivery.in_doubt) {
      m_history.forget(entry);  // refused, or it never went out
    } else if (delivery.answer && delivery.error->kind().error_class == ErrorClass::permanent) {
      m_history.forget(
          entry);  // the archive refuses it for good, so it is not done; trouble of its own says nothing of it
    }
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
