# How every target of ours is built. Sources are the folder's own *.cc files, so that adding a file
# needs no edit here (CONFIGURE_DEPENDS re-globs at build time).

add_library(cw_flags INTERFACE)
target_include_directories(cw_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(cw_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fno-omit-frame-pointer)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_definitions(cw_flags INTERFACE _GLIBCXX_ASSERTIONS)
endif()
if(CW_SANITIZE)
  # GCC 12 loses track of std::optional under instrumentation and warns of what is not so.
  target_compile_options(cw_flags INTERFACE -fsanitize=${CW_SANITIZE} -fno-sanitize-recover=all
    -Wno-maybe-uninitialized)
  target_link_options(cw_flags INTERFACE -fsanitize=${CW_SANITIZE})
endif()
if(CW_FUZZ)
  target_compile_options(cw_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined)
  target_link_options(cw_flags INTERFACE -fsanitize=address,undefined)
endif()

# cw_library(NAME [FOLDERS sub...] [DEPS target...]): a static library of this folder's *.cc and
# those of the named sub-folders.
function(cw_library name)
  cmake_parse_arguments(ARG "" "" "FOLDERS;DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  foreach(folder ${ARG_FOLDERS})
    file(GLOB more CONFIGURE_DEPENDS ${folder}/*.cc)
    list(APPEND sources ${more})
  endforeach()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC cw_flags ${ARG_DEPS})
endfunction()

# cw_daemon(BINARY DEPS target...): main.cc of this folder.
function(cw_daemon binary)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  add_executable(${binary} main.cc)
  target_link_libraries(${binary} PRIVATE ${ARG_DEPS})
endfunction()

# cw_test(NAME DEPS target...): one GoogleTest binary of tests/NAME/**/*_test.cc.
function(cw_test name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc)
  add_executable(${name}_test ${sources})
  target_link_libraries(${name}_test PRIVATE ${ARG_DEPS} GTest::gtest GTest::gtest_main)
  # Only where it is used: ccache cannot share between clones what was compiled with a path.
  foreach(source IN LISTS sources)
    file(STRINGS ${source} uses REGEX CW_SOURCE_DIR LIMIT_COUNT 1)
    if(uses)
      set_source_files_properties(${source} PROPERTIES COMPILE_DEFINITIONS
                                  CW_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    endif()
  endforeach()
  gtest_discover_tests(${name}_test DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 120)
endfunction()
