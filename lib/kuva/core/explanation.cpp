#include <kuva/core/explanation.hpp>

#include <algorithm>

namespace kuva {

namespace {

constexpr auto k_explanations = std::to_array<Explanation>({
#include <kuva/core/error_causes.inc>
});

}  // namespace

std::string_view to_string(Retry retry) {
  switch (retry) {
    case Retry::no:
      return "Not retried: it stays until somebody changes something.";
    case Retry::tool:
      return "Retried within the run, with growing pauses (kuva-send --retries); then the same command continues.";
    case Retry::once:
      return "Tried once more within the run, since it may be a passing fault; then not.";
    case Retry::rerun:
      return "Not retried within the run; the same command continues once the cause is gone.";
    case Retry::resume:
      return "Not retried within the run; kuva-commit --resume asks again.";
    case Retry::settle:
      return "Never sent again blindly, since it may be done: kuva-commit settles it.";
  }
  return {};
}

std::span<const std::string_view> Explanation::given_causes() const {
  const auto end = std::find(causes.begin(), causes.end(), std::string_view());
  return {causes.begin(), end};
}

std::span<const Explanation> explanations() { return k_explanations; }

const Explanation* find_explanation(std::string_view code) {
  const auto found = std::find_if(k_explanations.begin(), k_explanations.end(),
                                  [code](const Explanation& explanation) { return explanation.code == code; });
  return found == k_explanations.end() ? nullptr : &*found;
}

}  // namespace kuva
