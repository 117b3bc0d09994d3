# Installs BUILD into a prefix of its own, then builds and runs an outside program against that.
# cmake -D BUILD=... -D SOURCE=... -D WORK=... -P run.cmake
function(run)
  execute_process(COMMAND ${ARGV} WORKING_DIRECTORY ${WORK} TIMEOUT 120 RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed (${result}): ${ARGV}\n${text}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
set(prefix ${WORK}/prefix)
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})

# Nothing private: the installed headers are those of include/, letter by letter.
file(GLOB_RECURSE public RELATIVE ${SOURCE}/include ${SOURCE}/include/*)
file(GLOB_RECURSE installed RELATIVE ${prefix}/include ${prefix}/include/*)
if(NOT public STREQUAL installed)
  message(FATAL_ERROR "installed headers: ${installed}\npublic headers: ${public}")
endif()
foreach(header IN LISTS public)
  run(${CMAKE_COMMAND} -E compare_files ${SOURCE}/include/${header} ${prefix}/include/${header})
endforeach()

# The programs. `forebay` finds its parts where they are now.
file(GLOB programs RELATIVE ${prefix}/bin ${prefix}/bin/forebay*)
if(NOT programs STREQUAL "forebay;forebay-bench;forebay-drill")
  message(FATAL_ERROR "installed programs: ${programs}")
endif()
foreach(part drill bench)
  run(${prefix}/bin/forebay ${part} --help)
endforeach()

# Stripped, with the debug symbols apart from it.
function(expect_debug_symbols file expected)
  execute_process(COMMAND readelf --section-headers --wide ${file} OUTPUT_VARIABLE sections ERROR_QUIET COMMAND_ERROR_IS_FATAL ANY)
  string(FIND "${sections}" " .debug_info " at)
  if(expected AND at EQUAL -1 OR NOT expected AND NOT at EQUAL -1)
    message(FATAL_ERROR "${file}: debug symbols should be there: ${expected}")
  endif()
endfunction()
foreach(program IN LISTS programs)
  expect_debug_symbols(${prefix}/bin/${program} FALSE)
  expect_debug_symbols(${prefix}/bin/.debug/${program}.debug TRUE)
endforeach()
file(GLOB archive ${prefix}/lib*/libforebay.a ${prefix}/lib/*/libforebay.a)
list(FILTER archive EXCLUDE REGEX "/debug/")
expect_debug_symbols(${archive} FALSE)
get_filename_component(folder ${archive} DIRECTORY)
expect_debug_symbols(${folder}/debug/libforebay.a TRUE)

run(${CMAKE_COMMAND} -S ${SOURCE}/tests/install -B ${WORK}/build -G Ninja
    -D CMAKE_PREFIX_PATH=${prefix} -D CMAKE_BUILD_TYPE=Debug -D FOREBAY_EXAMPLES=${SOURCE}/examples)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/outside)
# Twice, as a reader would: the second time the node finds what the first one left.
run(${WORK}/build/append)
run(${WORK}/build/append)
