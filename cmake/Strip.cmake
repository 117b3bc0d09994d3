# What is installed is stripped, and its debug symbols lie apart from it, where debuggers look or a linker can be pointed to.

# In a script of an installation: run(COMMAND...).
set(run_or_stop "function(run)\n  execute_process(COMMAND \${ARGV} COMMAND_ERROR_IS_FATAL ANY)\nendfunction()\n")

# install_program(TARGET): bin/NAME, and bin/.debug/NAME.debug, which gdb finds by itself.
function(install_program target)
  install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(CODE "${run_or_stop}
    set(folder \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
    set(program \"\${folder}/$<TARGET_FILE_NAME:${target}>\")
    set(symbols \"\${folder}/.debug/$<TARGET_FILE_NAME:${target}>.debug\")
    file(MAKE_DIRECTORY \"\${folder}/.debug\")
    run(${CMAKE_OBJCOPY} --only-keep-debug \"\${program}\" \"\${symbols}\")
    run(${CMAKE_OBJCOPY} --strip-all \"--add-gnu-debuglink=\${symbols}\" \"\${program}\")")
endfunction()

# strip_archive(TARGET): lib/libNAME.a without debug symbols; to debug into it, link lib/debug/libNAME.a, which has them.
function(strip_archive target)
  install(FILES $<TARGET_FILE:${target}> DESTINATION ${CMAKE_INSTALL_LIBDIR}/debug)
  install(CODE "${run_or_stop}
    run(${CMAKE_OBJCOPY} --strip-debug
      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/$<TARGET_FILE_NAME:${target}>\")")
endfunction()
