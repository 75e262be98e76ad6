# The messages of etcd's API are generated from etcd.proto and included as "meta/gen/etcd.pb.h". gRPC
# itself is seen by etcd_transport.cc alone, which calls methods by name: no stubs are generated.
find_program(PACELINE_PROTOC protoc REQUIRED)
set(meta_gen ${CMAKE_BINARY_DIR}/generated/meta/gen)
add_custom_command(OUTPUT ${meta_gen}/etcd.pb.h ${meta_gen}/etcd.pb.cc
  COMMAND ${CMAKE_COMMAND} -E make_directory ${meta_gen}
  COMMAND ${PACELINE_PROTOC} --proto_path=${dir} --cpp_out=${meta_gen} ${dir}/etcd.proto
  DEPENDS ${dir}/etcd.proto VERBATIM)
# Apart from the module, because it is built without our warnings and checks.
add_library(paceline_meta_gen STATIC ${meta_gen}/etcd.pb.cc)
target_compile_options(paceline_meta_gen PRIVATE -w)
target_include_directories(paceline_meta_gen SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/generated)
target_link_libraries(paceline_meta_gen PUBLIC protobuf-lite)
add_dependencies(paceline_meta paceline_meta_gen)
target_link_libraries(paceline_meta PUBLIC paceline_meta_gen)
