#include <kuva/core/version.hpp>

namespace kuva {

std::string_view version() { return KUVA_VERSION; }

}  // namespace kuva
