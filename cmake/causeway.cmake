# The build of all our targets. Sources are the folder's own *.cc files, so a new file needs no edit here
# (CONFIGURE_DEPENDS re-globs at build time).

add_library(cw_flags INTERFACE)
target_include_directories(cw_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(cw_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fno-omit-frame-pointer)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_definitions(cw_flags INTERFACE _GLIBCXX_ASSERTIONS)
endif()
if(CW_SANITIZE)
  # GCC 12 loses track of std::optional under instrumentation and gives false warnings.
  target_compile_options(cw_flags INTERFACE -fsanitize=${CW_SANITIZE} -fno-sanitize-recover=all
    -Wno-maybe-uninitialized)
  target_link_options(cw_flags INTERFACE -fsanitize=${CW_SANITIZE})
endif()
if(CW_FUZZ)
  target_compile_options(cw_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined)
  target_link_options(cw_flags INTERFACE -fsanitize=address,undefined)
endif()

# Unity builds: files of a folder that are compiled together read their headers once, so a build from nothing
# takes a fraction of the time. So a name in an unnamed namespace must be unique in its folder. CW_UNITY=OFF
# compiles each file alone, which shows a missing #include; ./dev lint does so.
option(CW_UNITY "compile the files of a folder together" ON)
set(CW_UNITY_FILES 8)  # the most files of one unit
if(CW_UNITY)
  # GCC takes the unnamed namespaces of a unity file for those of a header.
  target_compile_options(cw_flags INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
endif()

# cw_together(TARGET ALONE files SOURCES files): compiles the sources of each folder in units of CW_UNITY_FILES.
# The files in ALONE are excepted: they use names that other files of the folder use, too.
function(cw_together target)
  if(NOT CW_UNITY)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "ALONE;SOURCES" ${ARGN})
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  foreach(source IN LISTS ARG_SOURCES)
    get_filename_component(file ${source} NAME)
    if(file IN_LIST ARG_ALONE)
      continue()
    endif()
    get_filename_component(folder ${source} DIRECTORY)
    file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${folder})
    string(MAKE_C_IDENTIFIER "${folder}" folder)
    if(NOT DEFINED files_of_${folder})
      set(files_of_${folder} 0)
    endif()
    math(EXPR unit "${files_of_${folder}} / ${CW_UNITY_FILES}")
    math(EXPR files_of_${folder} "${files_of_${folder}} + 1")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP "${folder}_${unit}")
  endforeach()
endfunction()

# cw_library(NAME [FOLDERS sub...] [DEPS target...] [TOGETHER]): a static library of this folder's *.cc and
# those of the named sub-folders. TOGETHER is for sources with heavy headers.
function(cw_library name)
  cmake_parse_arguments(ARG "TOGETHER" "" "FOLDERS;DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  foreach(folder ${ARG_FOLDERS})
    file(GLOB more CONFIGURE_DEPENDS ${folder}/*.cc)
    list(APPEND sources ${more})
  endforeach()
  add_library(${name} STATIC ${sources})
  if(ARG_TOGETHER)
    cw_together(${name} SOURCES ${sources})
  endif()
  target_link_libraries(${name} PUBLIC cw_flags ${ARG_DEPS})
endfunction()

# cw_daemon(BINARY DEPS target...): main.cc of this folder.
function(cw_daemon binary)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  add_executable(${binary} main.cc)
  target_link_libraries(${binary} PRIVATE ${ARG_DEPS})
endfunction()

# cw_test(NAME DEPS target... [TOGETHER] [ALONE file...]): one GoogleTest binary of tests/NAME/**/*_test.cc.
function(cw_test name)
  cmake_parse_arguments(ARG "TOGETHER" "" "DEPS;ALONE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc)
  add_executable(${name}_test ${sources})
  if(ARG_TOGETHER)
    cw_together(${name}_test ALONE ${ARG_ALONE} SOURCES ${sources})
  endif()
  target_link_libraries(${name}_test PRIVATE ${ARG_DEPS} GTest::gtest GTest::gtest_main)
  # Only where it is used: ccache cannot share between clones a file that was compiled with a path.
  foreach(source IN LISTS sources)
    file(STRINGS ${source} uses REGEX CW_SOURCE_DIR LIMIT_COUNT 1)
    if(uses)
      set_source_files_properties(${source} PROPERTIES COMPILE_DEFINITIONS
                                  CW_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    endif()
  endforeach()
  gtest_discover_tests(${name}_test DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 120)
endfunction()
