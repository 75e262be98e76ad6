#pragma once

#include "broker/request.h"

namespace paceline::broker {

// The handlers, one file an API or a family of them. Each runs on its connection's shard.
using Handler = Task<Reply> (*)(Request&);

Task<Reply> handle_produce(Request& request);
Task<Reply> handle_fetch(Request& request);
Task<Reply> handle_list_offsets(Request& request);
Task<Reply> handle_metadata(Request& request);
Task<Reply> handle_offset_commit(Request& request);
Task<Reply> handle_offset_fetch(Request& request);
Task<Reply> handle_offset_delete(Request& request);
Task<Reply> handle_find_coordinator(Request& request);
Task<Reply> handle_join_group(Request& request);
Task<Reply> handle_heartbeat(Request& request);
Task<Reply> handle_leave_group(Request& request);
Task<Reply> handle_sync_group(Request& request);
Task<Reply> handle_describe_groups(Request& request);
Task<Reply> handle_list_groups(Request& request);
Task<Reply> handle_delete_groups(Request& request);
Task<Reply> handle_api_versions(Request& request);
Task<Reply> handle_create_topics(Request& request);
Task<Reply> handle_delete_topics(Request& request);
Task<Reply> handle_create_partitions(Request& request);
Task<Reply> handle_delete_records(Request& request);
Task<Reply> handle_init_producer_id(Request& request);
Task<Reply> handle_offset_for_leader_epoch(Request& request);
Task<Reply> handle_describe_configs(Request& request);
Task<Reply> handle_alter_configs(Request& request);
Task<Reply> handle_incremental_alter_configs(Request& request);
Task<Reply> handle_describe_log_dirs(Request& request);
Task<Reply> handle_alter_replica_log_dirs(Request& request);
Task<Reply> handle_describe_cluster(Request& request);
Task<Reply> handle_describe_producers(Request& request);
Task<Reply> handle_describe_topic_partitions(Request& request);
Task<Reply> handle_elect_leaders(Request& request);
Task<Reply> handle_alter_partition_reassignments(Request& request);
Task<Reply> handle_list_partition_reassignments(Request& request);
Task<Reply> handle_drain_broker(Request& request);
Task<Reply> handle_balance_cluster(Request& request);

// Null for what is not served.
Handler find_handler(int16_t api_key);

}  // namespace paceline::broker
