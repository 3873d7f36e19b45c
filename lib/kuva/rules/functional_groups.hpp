#pragma once

#include <kuva/rules/finding.hpp>
#include <kuva/rules/object.hpp>
#include <kuva/rules/standard.hpp>

#include <vector>

namespace kuva::rules {

// The functional groups of a multi-frame object against its IOD (PS3.3 C.7.6.16, tables of A.36 and on): each macro in
// the shared groups or in those of every frame, never in both; those that are mandatory, or whose condition holds, are
// there; as many items as frames; dimensions that are declared, pointed at and indexed (C.7.6.17). Nothing where the
// object has no functional groups: that they are absent is said of their module. One finding a macro, for the first
// frame.
void check_functional_groups(const StandardTables& tables, const StandardTables::Iod& iod, const Object& object,
                             std::vector<Finding>& findings);

}  // namespace kuva::rules
