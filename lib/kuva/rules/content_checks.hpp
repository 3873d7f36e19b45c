#pragma once

#include <kuva/rules/finding.hpp>
#include <kuva/rules/object.hpp>

#include <string_view>
#include <vector>

namespace kuva::rules {

// The content tree of a structured report against its SOP class (PS3.3 A.35: value types, relationships, references
// within the tree), and of a Key Object Selection also that its references and its evidence agree (A.35.4, C.17.6,
// PS3.16 TID 2010). Nothing for other SOP classes.
void check_content(std::string_view sop_class, const Object& object, std::vector<Finding>& findings);

}  // namespace kuva::rules
