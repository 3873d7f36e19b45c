#pragma once

#include <kuva/sandbox/archive.hpp>
#include <kuva/sandbox/rejection.hpp>
#include <kuva/sandbox/sandbox.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace kuva::sandbox {

// A study is not as it was: those who asked for it are notified.
enum class StudyChange { stored, rejected };
using StudyChanged = std::function<void(const std::string& study_instance_uid, StudyChange)>;

// What a rejection note is answered when it is refused: A772-A776, as dcm4chee-arc does.
struct RejectionRefusal {
  std::uint16_t status = 0;
  std::string comment;
};
// Rejects (or restores) what the note refers to, one instance after the other: when one fails, those before it stay
// rejected. Errors: local.write.
std::optional<RejectionRefusal> apply_rejection(Archive& archive, const Settings& settings, const RejectionNote& note,
                                                const StudyChanged& study_changed);

// The rejections that an AE sees through, from their codes in its settings.
RejectionView view_of(const KnownAe& known);

}  // namespace kuva::sandbox
