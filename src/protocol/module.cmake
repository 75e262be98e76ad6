# The message structs and codecs are generated from schema/*.txt into the build folder, one header
# and one source per API, and included as "protocol/gen/<api>.h".
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(protocol_gen ${CMAKE_BINARY_DIR}/generated/protocol/gen)
set(protocol_generate ${CMAKE_CURRENT_SOURCE_DIR}/src/protocol/generate.py)
file(GLOB protocol_schemas CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/protocol/schema/*.txt)
set(protocol_headers ${protocol_gen}/api.h)
set(protocol_sources "")
foreach(schema IN LISTS protocol_schemas)
  get_filename_component(stem ${schema} NAME_WE)
  set(made ${protocol_gen}/${stem}.h ${protocol_gen}/${stem}.cc)
  add_custom_command(OUTPUT ${made}
    COMMAND ${Python3_EXECUTABLE} ${protocol_generate} message ${schema} ${protocol_gen}
    DEPENDS ${schema} ${protocol_generate} VERBATIM)
  list(APPEND protocol_headers ${protocol_gen}/${stem}.h)
  list(APPEND protocol_sources ${protocol_gen}/${stem}.cc)
endforeach()
add_custom_command(OUTPUT ${protocol_gen}/api.h
  COMMAND ${Python3_EXECUTABLE} ${protocol_generate} index ${protocol_gen} ${protocol_schemas}
  DEPENDS ${protocol_schemas} ${protocol_generate} VERBATIM)
target_sources(paceline_protocol PRIVATE ${protocol_headers} ${protocol_sources})
target_include_directories(paceline_protocol PUBLIC ${CMAKE_BINARY_DIR}/generated)
