#include <kuva/dimse/status.hpp>
#include <kuva/workflow/store_policy.hpp>

#include <limits>

namespace kuva::workflow {

namespace {

constexpr unsigned k_no_limit = std::numeric_limits<unsigned>::max();
// An archive that is full or overloaded this often will be so the next time too.
constexpr unsigned k_overload_retries = 5;
// One refusal for want of authority may be about the object (its department, its patient), not about us.
constexpr unsigned k_not_authorised_limit = 3;

}  // namespace

StorePolicy policy_of_status(std::uint16_t status, bool class_worked) {
  using Action = StorePolicy::Action;
  switch (status) {
    case 0x0000:
      return {.action = Action::stored};
    case 0x0001:
    case 0x0107:
    case 0x0116:
      return {.action = Action::stored_with_warning};
    case 0x0110:
      // Anything, a passing fault included: once more, and not where the fault may be stuck.
      return {.action = Action::retry_elsewhere, .retries = 1};
    case 0x0111:
      return {.action = Action::settle};
    case 0x0122:
      return {.action = Action::fail, .stops_class_after = 1};
    case 0x0124:
      return {.action = Action::fail, .stops_class_after = k_not_authorised_limit};
    case 0x0213:
      return {.action = Action::retry, .retries = k_overload_retries, .is_overload = true};
    case 0xA77A:  // the archive is deleting the study: over after a while
      return {.action = Action::retry, .retries = k_overload_retries};
    default:
      break;
  }
  if (status >> 12U == 0xB) {
    return {.action = Action::stored_with_warning};
  }
  if (status >= 0xA770 && status <= 0xA77F) {
    return {.action = Action::fail};  // rules of dcm4chee-arc: rejected before, another patient, ...
  }
  if (status >> 8U == 0xA7) {
    return {.action = Action::retry, .retries = k_overload_retries, .is_overload = true};
  }
  if (status >> 12U == 0xC && class_worked) {
    return {.action = Action::retry, .retries = 1};
  }
  return {.action = Action::fail};
}

StorePolicy policy_of_error(const Error& error, bool sent_whole) {
  using Action = StorePolicy::Action;
  if (sent_whole) {
    return {.action = Action::settle};
  }
  if (error.kind().error_class == ErrorClass::temporary || error.kind().error_class == ErrorClass::indeterminate) {
    return {.action = Action::retry_elsewhere, .retries = k_no_limit};
  }
  return {.action = Action::fail};
}

}  // namespace kuva::workflow
