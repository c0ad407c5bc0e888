# How a module and its tests are declared: plumbline_module(), plumbline_test(). A module's call is its dependency statement.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE OFF)
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

find_program(PLUMBLINE_CCACHE ccache)
if(PLUMBLINE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${PLUMBLINE_CCACHE})
endif()
find_program(PLUMBLINE_MOLD mold)
if(PLUMBLINE_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

set(PLUMBLINE_SANITIZE "" CACHE STRING "sanitizers for every module, as -fsanitize takes them")

add_library(plumbline_options INTERFACE)
target_include_directories(plumbline_options INTERFACE ${CMAKE_SOURCE_DIR})
# -ffp-contract=off: Kahan sums and bit-exact codecs must not depend on fused multiply-add.
target_compile_options(plumbline_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough
  -Werror -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # clang 19 reports libstdc++ 12's own std::stable_sort as deprecated (std::get_temporary_buffer).
  target_compile_options(plumbline_options INTERFACE
    -Wthread-safety -Wno-missing-field-initializers -Wno-deprecated-declarations)
else()
  # g++ 12 raises false positives of these two inside libstdc++ when inlining std::string and std::variant.
  target_compile_options(plumbline_options INTERFACE
    -Wno-restrict -Wno-maybe-uninitialized -Wno-missing-field-initializers -Wno-dangling-pointer
    -Wno-stringop-overflow -Wno-array-bounds -Wno-stringop-overread)
endif()
if(PLUMBLINE_SANITIZE)
  add_compile_options(-fsanitize=${PLUMBLINE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PLUMBLINE_SANITIZE})
  if(PLUMBLINE_SANITIZE MATCHES "thread")
    # g++ warns of every fence, which the sanitizer does not model; Asio's are inside its own locks.
    add_compile_options(-Wno-tsan)
  endif()
  # At -O0 the instrumented code spills every access: the journal's damage test took minutes instead of seconds. At -O1 g++ needs
  # 1.5 to 2 times the CPU seconds of -Og for it.
  set(CMAKE_CXX_FLAGS_DEBUG "-Og -g1")
endif()

# What every test runs with: one list of suppressions for the thread sanitizer, each with its reason, and the longest history, so
# that a report has both stacks.
set(PLUMBLINE_TEST_ENVIRONMENT "TSAN_OPTIONS=history_size=7:suppressions=${CMAKE_SOURCE_DIR}/tests/sanitizer/tsan_suppressions.txt")

option(PLUMBLINE_FUZZ "coverage counters for libFuzzer in every module (clang), and tests/fuzz/plumbline_fuzz" OFF)
if(PLUMBLINE_FUZZ)
  # Assertions: an index past the end of a container is a finding even where the memory happens to be ours.
  add_compile_options(-fsanitize=fuzzer-no-link -D_GLIBCXX_ASSERTIONS)
endif()

# Most of a build's time goes into parsing the same headers again. In batches of eight sources g++ needs about half the CPU
# seconds (storage/events under the sanitizers: 18 instead of 34), and a module that was touched is compiled in larger pieces.
option(PLUMBLINE_BATCHES "compile the sources of a module in batches" OFF)
if(PLUMBLINE_BATCHES AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(plumbline_options INTERFACE -Wno-subobject-linkage)  # it takes the sources of a batch for headers
endif()

# plumbline_alone(a.cpp): it has names of its own that other files of its module have, too, and stays out of the batches.
function(plumbline_alone)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# plumbline_module(storage SOURCES a.cpp b.cpp PUBLIC plumbline_model PRIVATE RocksDB::rocksdb)
function(plumbline_module name)
  cmake_parse_arguments(M "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(plumbline_${name} STATIC ${M_SOURCES})
  set_target_properties(plumbline_${name} PROPERTIES UNITY_BUILD ${PLUMBLINE_BATCHES} UNITY_BUILD_BATCH_SIZE 8)
  target_link_libraries(plumbline_${name} PUBLIC plumbline_options ${M_PUBLIC} PRIVATE ${M_PRIVATE})
endfunction()

# plumbline_test(storage SOURCES a_test.cpp LINK plumbline_storage): one Catch2 binary test_<name>, run as CTest <name>.
# With TAGS a b: run as CTests <name>_a and <name>_b, each with the cases of that tag.
function(plumbline_test name)
  cmake_parse_arguments(T "" "" "SOURCES;LINK;LABELS;TAGS" ${ARGN})
  add_executable(test_${name} ${T_SOURCES})
  target_link_libraries(test_${name} PRIVATE plumbline_options plumbline_test_support ${T_LINK} plumbline_test_main)
  target_compile_definitions(test_${name} PRIVATE PLUMBLINE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  set(tests ${name})
  foreach(tag ${T_TAGS})
    add_test(NAME ${name}_${tag} COMMAND test_${name} "[${tag}]" --rng-seed time)
    list(APPEND tagged ${name}_${tag})
  endforeach()
  if(T_TAGS)
    set(tests ${tagged})
  else()
    add_test(NAME ${name} COMMAND test_${name} --order rand --rng-seed time)
  endif()
  set_tests_properties(${tests} PROPERTIES LABELS "unit;${T_LABELS}" TIMEOUT 600 ENVIRONMENT "${PLUMBLINE_TEST_ENVIRONMENT}")
endfunction()
