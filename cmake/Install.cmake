# What a user gets: the library with the public headers, the .proto files, the programs, the docs.
include(CMakePackageConfigHelpers)
set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/forebay)

install(TARGETS forebay EXPORT forebayTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  FILE_SET public DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
strip_archive(forebay)
install(EXPORT forebayTargets NAMESPACE forebay:: DESTINATION ${package_directory})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/forebayConfig.cmake.in
  ${PROJECT_BINARY_DIR}/forebayConfig.cmake INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/forebayConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/forebayConfig.cmake
  ${PROJECT_BINARY_DIR}/forebayConfigVersion.cmake DESTINATION ${package_directory})

install(DIRECTORY ${PROJECT_SOURCE_DIR}/proto/forebay DESTINATION ${CMAKE_INSTALL_DATADIR}/forebay/proto
  FILES_MATCHING PATTERN "*.proto")
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
