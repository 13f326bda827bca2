# One static library per floor of src/, one test binary per floor.
#
# Compile flags that hold everywhere: the bits are specified (docs/numerics.md), so the compiler may
# neither contract a*b+c into an FMA on its own nor reorder floating point.
add_library(r1_flags INTERFACE)
target_compile_options(r1_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror
  -ffp-contract=off -fno-math-errno)
target_include_directories(r1_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
if(R1_SANITIZE)
  target_compile_options(r1_flags INTERFACE
    -fsanitize=${R1_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_compile_definitions(r1_flags INTERFACE _GLIBCXX_ASSERTIONS)  # bounds of vector and span
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 takes what the checks add for uses of variables without a value.
    target_compile_options(r1_flags INTERFACE -Wno-maybe-uninitialized)
  endif()
  target_link_options(r1_flags INTERFACE -fsanitize=${R1_SANITIZE})
endif()

# r1_floor(<name> LINK PUBLIC ... PRIVATE ...)
function(r1_floor name)
  cmake_parse_arguments(FLOOR "" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(NOT sources)
    add_library(r1_${name} INTERFACE)
    return()
  endif()
  add_library(r1_${name} STATIC ${sources})
  target_link_libraries(r1_${name} PUBLIC r1_flags)
  target_link_libraries(r1_${name} ${FLOOR_LINK})
  if(tests)
    add_executable(test_${name} ${tests})
    target_link_libraries(test_${name} PRIVATE r1_${name} GTest::gtest_main GTest::gmock
                          nlohmann_json::nlohmann_json)
    add_test(NAME ${name} COMMAND test_${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  endif()
endfunction()

# Kernel sources are compiled once per instruction set; nothing else may use these flags, so that
# the binary starts on any x86-64 and picks its table by CPUID.
function(r1_instruction_sets)
  # GCC 12 warns of the deliberately undefined operand inside its own AVX-512 intrinsics.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(intrinsics_warnings -Wno-uninitialized -Wno-maybe-uninitialized)
  endif()
  # Unrolled loops full of checks take minutes to compile.
  if(NOT R1_SANITIZE)
    set(optimise -O3)
  endif()
  foreach(isa IN ITEMS scalar avx2 avx512 amx)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/backend/cpu/${isa}/*.cc)
    list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
    if(isa STREQUAL "avx2")
      set(flags -mavx2 -mfma -mf16c ${optimise})
    elseif(isa STREQUAL "avx512")
      set(flags ${intrinsics_warnings}
                -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni ${optimise})
    elseif(isa STREQUAL "amx")
      set(flags ${intrinsics_warnings}
                -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni
                -mamx-tile -mamx-bf16 ${optimise})
    else()
      set(flags "")
    endif()
    set_source_files_properties(${sources} TARGET_DIRECTORY r1_backend
                                PROPERTIES COMPILE_OPTIONS "${flags}")
  endforeach()
endfunction()
