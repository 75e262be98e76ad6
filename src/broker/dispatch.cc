#include "broker/api.h"
#include "protocol/gen/api.h"

namespace paceline::broker {

Handler find_handler(int16_t api_key) {
  using protocol::ApiKey;
  switch (static_cast<ApiKey>(api_key)) {
    case ApiKey::produce:
      return handle_produce;
    case ApiKey::fetch:
      return handle_fetch;
    case ApiKey::list_offsets:
      return handle_list_offsets;
    case ApiKey::metadata:
      return handle_metadata;
    case ApiKey::offset_commit:
      return handle_offset_commit;
    case ApiKey::offset_fetch:
      return handle_offset_fetch;
    case ApiKey::offset_delete:
      return handle_offset_delete;
    case ApiKey::find_coordinator:
      return handle_find_coordinator;
    case ApiKey::join_group:
      return handle_join_group;
    case ApiKey::heartbeat:
      return handle_heartbeat;
    case ApiKey::leave_group:
      return handle_leave_group;
    case ApiKey::sync_group:
      return handle_sync_group;
    case ApiKey::describe_groups:
      return handle_describe_groups;
    case ApiKey::list_groups:
      return handle_list_groups;
    case ApiKey::delete_groups:
      return handle_delete_groups;
    case ApiKey::api_versions:
      return handle_api_versions;
    case ApiKey::create_topics:
      return handle_create_topics;
    case ApiKey::delete_topics:
      return handle_delete_topics;
    case ApiKey::create_partitions:
      return handle_create_partitions;
    case ApiKey::delete_records:
      return handle_delete_records;
    case ApiKey::init_producer_id:
      return handle_init_producer_id;
    case ApiKey::offset_for_leader_epoch:
      return handle_offset_for_leader_epoch;
    case ApiKey::describe_configs:
      return handle_describe_configs;
    case ApiKey::alter_configs:
      return handle_alter_configs;
    case ApiKey::incremental_alter_configs:
      return handle_incremental_alter_configs;
    case ApiKey::describe_log_dirs:
      return handle_describe_log_dirs;
    case ApiKey::alter_replica_log_dirs:
      return handle_alter_replica_log_dirs;
    case ApiKey::describe_cluster:
      return handle_describe_cluster;
    case ApiKey::describe_producers:
      return handle_describe_producers;
    case ApiKey::describe_topic_partitions:
      return handle_describe_topic_partitions;
    case ApiKey::elect_leaders:
      return handle_elect_leaders;
    case ApiKey::alter_partition_reassignments:
      return handle_alter_partition_reassignments;
    case ApiKey::list_partition_reassignments:
      return handle_list_partition_reassignments;
    case ApiKey::drain_broker:
      return handle_drain_broker;
    case ApiKey::balance_cluster:
      return handle_balance_cluster;
    case ApiKey::sasl_handshake:
    case ApiKey::sasl_authenticate:
      return nullptr;
  }
  return nullptr;
}

}  // namespace paceline::broker
