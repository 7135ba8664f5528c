# find_package(taskprof) and pkg-config taskprof.
include(CMakePackageConfigHelpers)

install(TARGETS taskprof_shared taskprof_static EXPORT taskprof-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY profiler/include/taskprof DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT taskprof-targets NAMESPACE taskprof::
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/taskprof)
configure_package_config_file(cmake/taskprof-config.cmake.in
  ${PROJECT_BINARY_DIR}/taskprof-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/taskprof)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/taskprof-config-version.cmake
  COMPATIBILITY SameMinorVersion)
# Relative to itself, so that `cmake --install --prefix` may put it anywhere.
file(RELATIVE_PATH taskprof_prefix_from_pc
  /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/taskprof.pc.in ${PROJECT_BINARY_DIR}/taskprof.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/taskprof-config.cmake
              ${PROJECT_BINARY_DIR}/taskprof-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/taskprof)
install(FILES ${PROJECT_BINARY_DIR}/taskprof.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
