# Language level, warnings and sanitizers of our own targets; never applied to third-party code.
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(kuva_settings INTERFACE)
target_compile_features(kuva_settings INTERFACE cxx_std_20)
target_compile_options(
  kuva_settings
  INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wextra-semi
            $<$<BOOL:${KUVA_DEV}>:-Werror>)
if(KUVA_SANITIZE)
  target_compile_options(kuva_settings INTERFACE -fsanitize=${KUVA_SANITIZE} -fno-sanitize-recover=all
                                                 -fno-omit-frame-pointer)
  target_link_options(kuva_settings INTERFACE -fsanitize=${KUVA_SANITIZE})
endif()
if(KUVA_FUZZ)
  # The whole library is instrumented for coverage, the fuzz targets bring main().
  target_compile_options(kuva_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()
