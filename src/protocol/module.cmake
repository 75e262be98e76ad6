# The message structs and codecs are generated from schema/*.txt into the build folder, one header
# and one source per API, and included as "protocol/gen/<api>.h". The probes are for tests only.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(protocol_gen ${CMAKE_BINARY_DIR}/generated/protocol/gen)
set(protocol_generate ${dir}/generate.py)
file(GLOB protocol_schemas CONFIGURE_DEPENDS ${dir}/schema/*.txt)
set(protocol_codecs ${protocol_gen}/api.h)
set(protocol_probes ${protocol_gen}/probes.cc)
foreach(schema IN LISTS protocol_schemas)
  get_filename_component(stem ${schema} NAME_WE)
  set(made ${protocol_gen}/${stem}.h ${protocol_gen}/${stem}.cc)
  add_custom_command(OUTPUT ${made}
    COMMAND ${Python3_EXECUTABLE} ${protocol_generate} message ${schema} ${protocol_gen}
    DEPENDS ${schema} ${protocol_generate} VERBATIM)
  add_custom_command(OUTPUT ${protocol_gen}/${stem}_probe.cc
    COMMAND ${Python3_EXECUTABLE} ${protocol_generate} probe ${schema} ${protocol_gen}
    DEPENDS ${schema} ${protocol_generate} VERBATIM)
  list(APPEND protocol_codecs ${made})
  list(APPEND protocol_probes ${protocol_gen}/${stem}_probe.cc)
endforeach()
add_custom_command(OUTPUT ${protocol_gen}/api.h ${protocol_gen}/probes.cc
  COMMAND ${Python3_EXECUTABLE} ${protocol_generate} index ${protocol_gen} ${protocol_schemas}
  DEPENDS ${protocol_schemas} ${protocol_generate} VERBATIM)
target_sources(paceline_protocol PRIVATE ${protocol_codecs})
target_include_directories(paceline_protocol PUBLIC ${CMAKE_BINARY_DIR}/generated)

add_library(paceline_protocol_probe STATIC EXCLUDE_FROM_ALL ${protocol_probes})
target_precompile_headers(paceline_protocol_probe REUSE_FROM paceline_base)
target_link_libraries(paceline_protocol_probe PUBLIC paceline_protocol)
foreach(user protocol_test paceline-dump protocol_request_fuzz protocol_response_fuzz)
  if(TARGET ${user})
    target_link_libraries(${user} PRIVATE paceline_protocol_probe)
  endif()
endforeach()
