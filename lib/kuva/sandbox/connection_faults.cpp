#include <kuva/sandbox/connection_faults.hpp>

namespace kuva::sandbox {

void write_fault(Transcript& transcript, std::uint64_t association, const FaultRule& rule, const Json& facts) {
  Json line;
  line["fault"] = rule.name;
  line["on"] = to_string(rule.point);
  line["action"] = to_string(rule.action);
  line.update(facts.is_object() ? facts : Json::object());
  transcript.write("fault", association, line);
}

ConnectionFaults::ConnectionFaults(FaultPlan& plan, Transcript& transcript, std::uint64_t number, bool tls)
    : m_plan(plan), m_transcript(transcript), m_number(number), m_tls(tls) {}

std::vector<FaultRule> ConnectionFaults::fire(FaultPoint point, FaultScope& scope, const FaultOccasion& occasion) {
  std::vector<FaultRule> fired = m_plan.fire(point, scope, occasion);
  for (const FaultRule& rule : fired) {
    write_fault(m_transcript, m_number, rule);
  }
  return fired;
}

std::vector<FaultRule> ConnectionFaults::at_connect() {
  if (!m_plan.has(FaultPoint::connect)) {
    return {};
  }
  FaultScope scope = m_plan.begin(FaultPoint::connect, {});
  return fire(FaultPoint::connect, scope, {{}, m_tls, {}, {}});
}

void ConnectionFaults::at_associate(const ul::AssociateRequest& request, ul::Association::Decision& decision) {
  m_calling_ae = request.calling_ae;
  m_scope = m_plan.begin(FaultPoint::associate, m_calling_ae);
  if (!m_plan.has(FaultPoint::associate)) {
    return;
  }
  FaultOccasion occasion{m_calling_ae, m_tls, {}, {}};
  for (const ul::PresentationContext& context : request.contexts) {
    occasion.sop_classes.insert(context.abstract_syntax);
  }
  for (const FaultRule& rule : fire(FaultPoint::associate, m_scope, occasion)) {
    if (rule.action == FaultAction::reject) {
      decision = rule.reject;
    }
  }
}

}  // namespace kuva::sandbox
