# Language level, warnings and sanitizers of our own targets; never applied to third-party code.
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # With precompiled headers ccache must be told that their macros and times do not matter.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
endif()

add_library(kuva_settings INTERFACE)
target_compile_features(kuva_settings INTERFACE cxx_std_20)
target_compile_options(
  kuva_settings
  INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wextra-semi
            $<$<BOOL:${KUVA_DEV}>:-Werror>)
# A tool loads only what it calls: libcurl alone brings forty libraries.
target_link_options(kuva_settings INTERFACE LINKER:--as-needed)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(kuva_settings INTERFACE -fpch-preprocess)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(kuva_settings INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
endif()
if(KUVA_SANITIZE)
  target_compile_options(kuva_settings INTERFACE -fsanitize=${KUVA_SANITIZE} -fno-sanitize-recover=all
                                                 -fno-omit-frame-pointer)
  target_link_options(kuva_settings INTERFACE -fsanitize=${KUVA_SANITIZE})
endif()
if(KUVA_FUZZ)
  # The whole library is instrumented for coverage, the fuzz targets bring main().
  target_compile_options(kuva_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()

# What nearly every source includes and what costs most to read.
set(KUVA_PRECOMPILED_HEADERS <fmt/format.h> <nlohmann/json.hpp> <algorithm> <chrono> <filesystem> <functional> <map>
                             <memory> <mutex> <optional> <span> <string> <string_view> <thread> <variant> <vector>)
