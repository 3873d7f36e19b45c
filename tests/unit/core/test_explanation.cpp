#include <kuva/core/explanation.hpp>

#include <doctest/doctest.h>

#include <string>

TEST_CASE("every error code has its causes, and none besides") {
  const auto kinds = kuva::error_catalogue();
  const auto explanations = kuva::explanations();
  REQUIRE(kinds.size() == explanations.size());
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    CAPTURE(std::string(kinds[i].code));
    CHECK(kinds[i].code == explanations[i].code);
    CHECK_FALSE(explanations[i].given_causes().empty());
    for (const auto cause : explanations[i].given_causes()) {
      CHECK((cause.ends_with('.') || cause.ends_with("--check-inbound")));
    }
    CHECK(kuva::find_explanation(kinds[i].code) == &explanations[i]);
  }
  CHECK(kuva::find_explanation("no.such-code") == nullptr);
}

TEST_CASE("what is said of retries fits the class that a retry looks at") {
  for (const auto& kind : kuva::error_catalogue()) {
    CAPTURE(std::string(kind.code));
    const kuva::Retry retry = kuva::find_explanation(kind.code)->retry;
    switch (kind.error_class) {
      case kuva::ErrorClass::temporary:
        CHECK(retry != kuva::Retry::no);
        CHECK(retry != kuva::Retry::settle);
        break;
      case kuva::ErrorClass::indeterminate:
        CHECK(retry == kuva::Retry::settle);
        break;
      case kuva::ErrorClass::permanent:
      case kuva::ErrorClass::usage:
        // A local fault is permanent for the run; the same command continues after somebody has mended it.
        CHECK((retry == kuva::Retry::no || kind.code == "local.write"));
        break;
    }
  }
}
