#include <kuva/dicom/query_tags.hpp>
#include <kuva/dicom/transfer_syntax.hpp>
#include <kuva/dimse/find.hpp>
#include <kuva/dimse/status.hpp>
#include <kuva/workflow/retrieve_move.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace kuva::workflow {

namespace {

using dimse::Patience;
using dimse::QueryLevel;
using dimse::QueryRoot;

// For the last response to a request that was cancelled.
constexpr std::chrono::milliseconds k_cancel_patience{10'000};
// UIDs in one identifier of the IMAGE level, where nothing else was said: list matching has no limit in the standard,
// but archives build statements of them.
constexpr std::size_t k_list = 200;
constexpr dicom::Tag k_available_transfer_syntax_uid{0x0008, 0x3002};

std::vector<ul::PresentationContext> contexts() {
  const std::vector<std::string> syntaxes{std::string(dicom::k_explicit_vr_little_endian),
                                          std::string(dicom::k_implicit_vr_little_endian)};
  return {{1, std::string(dimse::move_sop_class(QueryRoot::study)), syntaxes},
          {3, std::string(dimse::find_sop_class(QueryRoot::study)), syntaxes}};
}

dicom::DataSet identifier_of(QueryLevel level, const std::string& study) {
  dicom::DataSet identifier = dimse::make_query(level, {});
  identifier.set_string(dicom::tags::study_instance_uid, study);
  return identifier;
}

// What is to be asked for, request by request: the study or series as wholes while nothing of them is there, else the
// instances.
std::vector<dicom::DataSet> identifiers(const StudyRetrieval& retrieval, std::size_t chunk, bool by_instance) {
  const StudyOrder& order = retrieval.order();
  std::vector<dicom::DataSet> list;
  if (!by_instance) {
    list.push_back(identifier_of(order.series.empty() ? QueryLevel::study : QueryLevel::series, order.study));
    if (!order.series.empty()) {
      list.back().set_string(dicom::tags::series_instance_uid, fmt::format("{}", fmt::join(order.series, "\\")));
    }
    return list;
  }
  std::map<std::string, std::vector<std::string>> by_series;
  for (const WantedInstance& instance : retrieval.outstanding()) {
    by_series[instance.series].push_back(instance.sop_instance_uid);
  }
  for (const auto& [series, uids] : by_series) {
    for (std::size_t at = 0; at < uids.size(); at += chunk) {
      dicom::DataSet identifier = identifier_of(QueryLevel::image, order.study);
      if (!series.empty()) {
        identifier.set_string(dicom::tags::series_instance_uid, series);
      }
      const auto from = uids.begin() + static_cast<std::ptrdiff_t>(at);
      const auto to = uids.begin() + static_cast<std::ptrdiff_t>(std::min(at + chunk, uids.size()));
      identifier.set_string(dicom::tags::sop_instance_uid, fmt::format("{}", fmt::join(from, to, "\\")));
      list.push_back(std::move(identifier));
    }
  }
  return list;
}

// What the target must say for C-MOVE.
const Target& with_archive(const Target& target) {
  if (target.endpoint.host.empty() || target.endpoint.port == 0 || target.called_ae.empty()) {
    throw Error(kind("usage.target"),
                fmt::format("target '{}' has no host, port or called_ae, and C-MOVE needs them", target.name));
  }
  return target;
}

}  // namespace

struct MoveTransport::Round {
  Round(StudyRetrieval& study, std::unique_ptr<ul::Association> with)
      : retrieval(study), association(std::move(with)), messenger(*association) {}

  StudyRetrieval& retrieval;
  std::unique_ptr<ul::Association> association;
  dimse::Messenger messenger;
  std::uint64_t associations_before = 0;
  std::uint64_t arrivals_before = 0;
  std::uint64_t claimed = 0;  // sub-operations that the archive calls done
  std::uint64_t claimed_failed = 0;
  std::uint16_t last_status = 0;
  bool stalled = false;
  std::optional<Error> failure;  // of the archive's answer, or of the association
};

MoveTransport::MoveTransport(RetrieveRun& run)
    : m_run(run),
      m_destination(run.settings().destination.empty() ? run.target().calling_ae : run.settings().destination),
      m_tls(client_tls(with_archive(run.target()))),
      m_listener(run, m_destination) {}

void MoveTransport::retrieve(const std::shared_ptr<StudyRetrieval>& retrieval) {
  m_listener.add(retrieval);
  retrieve_in_rounds(m_run, *retrieval, [&](bool first) { return go_round(*retrieval, first); });
  m_listener.remove(retrieval);
}

// One association: what is there is listed, what is outstanding is asked for, and what came is judged.
std::optional<Error> MoveTransport::go_round(StudyRetrieval& retrieval, bool first) {
  try {
    ul::AssociateRequest request;
    request.contexts = contexts();
    Round round(retrieval, associate(m_run.target(), m_tls, std::move(request), m_run.observer()));
    if (m_run.stop().stop_requested()) {
      round.association->release();
      return m_run.why_stopped();
    }
    if (first) {
      list(round);
      announce(retrieval);
    }
    if (retrieval.has_list() && retrieval.outstanding_count() == 0) {
      round.association->release();
      return std::nullopt;
    }
    const unsigned chunk = m_run.settings().chunk;
    const StudyOrder& order = retrieval.order();
    if (order.key_images && !retrieval.has_list()) {
      round.association->release();
      return Error(kind("retrieve.no-source"),
                   "the archive does not say what it has of the study (C-FIND), and --key-images needs that");
    }
    const bool by_instance =
        retrieval.has_list() && (!first || order.closed || order.key_images || chunk != 0 || retrieval.has_any());
    round.associations_before = m_listener.associations();
    round.arrivals_before = retrieval.arrivals();
    for (const dicom::DataSet& identifier : identifiers(retrieval, chunk != 0 ? chunk : k_list, by_instance)) {
      this->request(round, identifier);
      if (round.failure || m_run.stop().stop_requested()) {
        break;
      }
    }
    if (round.association->is_open()) {
      try {
        round.association->release();
      } catch (const Error& error) {
        m_run.observer().message(Observer::Level::detail, error.message());
      }
    }
    return verdict(round);
  } catch (const Error& error) {
    return error;
  }
}

// Series, then the instances of each: PS3.4 C.4.1.3.1.1 wants the UIDs of the levels above.
void MoveTransport::list(Round& round) {
  StudyRetrieval& retrieval = round.retrieval;
  const StudyOrder& order = retrieval.order();
  const bool can_ask = std::any_of(
      round.association->contexts().begin(), round.association->contexts().end(),
      [](const ul::AcceptedContext& one) { return one.abstract_syntax == dimse::find_sop_class(QueryRoot::study); });
  const auto outstanding = retrieval.outstanding();
  const bool is_complete =
      order.closed && std::none_of(outstanding.begin(), outstanding.end(),
                                   [](const WantedInstance& instance) { return instance.series.empty(); });
  if (!m_run.settings().list || is_complete || !can_ask) {
    return;
  }
  try {
    std::vector<std::string> all_series = order.series;
    if (all_series.empty()) {
      dicom::DataSet query = dimse::make_query(QueryLevel::series, {dicom::tags::series_instance_uid});
      query.set_string(dicom::tags::study_instance_uid, order.study);
      dimse::find(
          round.messenger, QueryRoot::study, query,
          [&all_series](const dicom::DataSet& match) {
            all_series.push_back(match.string(dicom::tags::series_instance_uid));
            return true;
          },
          m_run.target().response_timeout);
    }
    for (const std::string& series : all_series) {
      dicom::DataSet query = dimse::make_query(
          QueryLevel::image,
          {dicom::tags::sop_instance_uid, dicom::tags::sop_class_uid, k_available_transfer_syntax_uid});
      query.set_string(dicom::tags::study_instance_uid, order.study);
      query.set_string(dicom::tags::series_instance_uid, series);
      dimse::find(
          round.messenger, QueryRoot::study, query,
          [&](const dicom::DataSet& match) {
            WantedInstance instance;
            instance.sop_instance_uid = match.string(dicom::tags::sop_instance_uid);
            instance.series = series;
            instance.sop_class_uid = match.string(dicom::tags::sop_class_uid);
            instance.transfer_syntax_uid = match.string(k_available_transfer_syntax_uid);
            retrieval.locate(instance);
            if (!order.closed && !instance.sop_instance_uid.empty()) {
              retrieval.expect(std::move(instance));
            }
            return !m_run.stop().stop_requested();
          },
          m_run.target().response_timeout);
    }
  } catch (const Error& error) {
    if (!round.association->is_open()) {
      throw;
    }
    m_run.observer().message(Observer::Level::warning,
                             fmt::format("study {}: the archive does not say what it has of it, so only its own counts "
                                         "tell whether all came: {}",
                                         order.study, error.message()));
  }
}

// Before anything is asked for. Errors: retrieve.disk-space.
void MoveTransport::announce(const StudyRetrieval& retrieval) {
  const StudyOrder& order = retrieval.order();
  const std::size_t count = retrieval.has_list() ? retrieval.outstanding_count() : order.expected.value_or(0);
  if (count != 0) {
    m_run.observer().message(Observer::Level::info,
                             fmt::format("study {}: {} instances to come{}", order.study, count,
                                         order.bytes ? fmt::format(", {} bytes", *order.bytes) : std::string()));
  }
  if (order.bytes) {
    m_run.landing().check_space(*order.bytes);
  }
}

void MoveTransport::request(Round& round, const dicom::DataSet& identifier) {
  StudyRetrieval& retrieval = round.retrieval;
  const RetrieveSettings& settings = m_run.settings();
  std::optional<Deadline> cancelled;
  dimse::SubOperations last;
  retrieval.touch();
  retrieval.count_request();
  const dimse::RetrieveWatch watch = [&](const dimse::SubOperations* pending) {
    if (pending != nullptr && (pending->completed != last.completed || pending->failed != last.failed ||
                               pending->warning != last.warning || pending->remaining != last.remaining)) {
      last = *pending;
      retrieval.touch();
    }
    if (!cancelled) {
      round.stalled = retrieval.quiet_for() > settings.stall;
      if (round.stalled || m_run.stop().stop_requested() || retrieval.hopeless()) {
        cancelled = Deadline::after(k_cancel_patience);
        return Patience::cancel;
      }
      return Patience::wait;
    }
    return cancelled->expired() ? Patience::give_up : Patience::cancel;
  };
  try {
    settle(round, dimse::move(round.messenger, QueryRoot::study, m_destination, identifier, watch));
  } catch (const Error& error) {
    round.failure = error;
    // What the last pending response said of is what came of it, as far as anybody knows.
    retrieval.claim(last.completed, last.failed, last.warning);
    round.claimed += last.completed + last.warning;
  }
}

void MoveTransport::settle(Round& round, const dimse::RetrieveResult& result) {
  const dimse::SubOperations& counts = result.counts;
  round.retrieval.claim(counts.completed, counts.failed, counts.warning);
  round.claimed += counts.completed + counts.warning;
  round.claimed_failed += counts.failed;
  round.last_status = result.status;
  for (const std::string& uid : result.failed_instances) {
    if (!uid.empty()) {
      round.retrieval.failed(
          uid, Error(kind("retrieve.not-sent"),
                     fmt::format("the archive lists it as failed, with status {} ({})", dimse::hex(result.status),
                                 dimse::status_name(dimse::Service::move, result.status)))
                   .with("status", dimse::hex(result.status)));
    }
  }
  if (result.failure) {
    round.failure = result.failure;
  }
}

// What the numbers say: expected, claimed and received.
std::optional<Error> MoveTransport::verdict(Round& round) {
  StudyRetrieval& retrieval = round.retrieval;
  const std::stop_token& stop = m_run.stop();
  const bool aborted = round.failure && !round.association->is_open() && round.last_status == 0;
  // Objects may still be on their way on an association of their own, after the last answer and after its loss.
  const auto grace = m_run.settings().grace;
  if (!stop.stop_requested() && !round.stalled && m_listener.associations() != round.associations_before) {
    if (retrieval.has_list()) {
      retrieval.wait_for_rest(grace, stop);
    } else {
      while ((retrieval.arrivals() - round.arrivals_before < round.claimed || m_listener.open() != 0) &&
             retrieval.quiet_for() < grace && m_run.pause(std::chrono::milliseconds(20))) {
      }
    }
  }
  if (const auto hopeless = retrieval.hopeless()) {
    return hopeless;
  }
  const std::uint64_t came = retrieval.arrivals() - round.arrivals_before;
  const bool nobody_called = m_listener.associations() == round.associations_before;
  const bool complete = retrieval.has_list() && retrieval.outstanding_count() == 0;
  if (complete) {
    return std::nullopt;
  }
  if (stop.stop_requested()) {
    return m_run.why_stopped();
  }
  if (round.stalled) {
    return Error(
               kind("retrieve.stalled"),
               fmt::format("nothing has come for {}, {} of {} sub-operations are done by the archive's count; {}",
                           format_duration(m_run.settings().stall), round.claimed,
                           retrieval.has_list() ? std::to_string(retrieval.outstanding_count() + came) : "unknown many",
                           m_listener.words()))
        .with_peer(m_run.target().to_peer());
  }
  const auto because = [&](Error error) {
    if (round.last_status != 0) {
      error.with("status", dimse::hex(round.last_status));
      error.with("statusName", std::string(dimse::status_name(dimse::Service::move, round.last_status)));
    }
    error.with_peer(m_run.target().to_peer());
    return error;
  };
  if (round.failure && nobody_called && (aborted || &round.failure->kind() == &kind("query.unable-to-process"))) {
    Error error(round.failure->kind(),
                fmt::format("{}; {}. Some archives answer so where they do not know the move destination {}",
                            round.failure->message(), m_listener.words(), m_destination));
    for (const auto& [key, value] : round.failure->details().items()) {
      error.with(key, value);
    }
    return error.with_peer(m_run.target().to_peer());
  }
  if (round.failure && &round.failure->kind() != &kind("retrieve.suboperations-failed")) {
    return round.failure;
  }
  if (nobody_called && (round.failure || round.claimed_failed != 0)) {
    return because(Error(kind("retrieve.no-association"), fmt::format("the archive could not send {} objects: {}",
                                                                      round.claimed_failed, m_listener.words())));
  }
  if (round.failure) {
    return round.failure;
  }
  if (came == 0 && (round.claimed != 0 || retrieval.has_list()) && round.claimed_failed == 0) {
    return because(Error(kind("retrieve.nothing-received"), fmt::format("the archive says that {} objects are sent; {}",
                                                                        round.claimed, m_listener.words())));
  }
  if (round.claimed_failed != 0) {
    return because(Error(kind("retrieve.not-sent"),
                         fmt::format("the archive could not send {} objects, {} came", round.claimed_failed, came)));
  }
  if (retrieval.has_list()) {
    return because(Error(kind("retrieve.not-received"),
                         fmt::format("the archive says that {} objects are sent, {} came, {} are missing",
                                     round.claimed, came, retrieval.outstanding_count())));
  }
  if (came < round.claimed) {
    return because(Error(kind("retrieve.incomplete"),
                         fmt::format("the archive says that {} objects are sent, {} came", round.claimed, came)));
  }
  if (came == 0) {
    return Error(kind("retrieve.no-match"), "the archive has nothing to send");
  }
  return std::nullopt;
}

}  // namespace kuva::workflow
