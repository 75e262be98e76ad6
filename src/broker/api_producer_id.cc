#include "broker/api.h"
#include "broker/errors.h"
#include "broker/node.h"
#include "protocol/gen/init_producer_id.h"

namespace paceline::broker {

Task<Reply> handle_init_producer_id(Request& request) {
  PACELINE_DECODE(InitProducerIdRequest, message);
  protocol::InitProducerIdResponse response;
  response.producer_epoch = -1;
  if (message.transactional_id) {
    // Transactions are not served: FindCoordinator refuses their coordinator, and so does this.
    response.error_code =
        wire(message.transactional_id->empty() ? KafkaError::invalid_request
                                               : KafkaError::transactional_id_authorization_failed);
    co_return reply_with(request, response);
  }
  // A producer that asks again with its id (KIP-360) gets a new one: without a transactional id its
  // sequences start over, and nothing ties the two together.
  Result<int64_t> id = co_await request.node.cluster().next_producer_id(request.shard);
  if (!id) {
    response.error_code =
        wire(KafkaError::coordinator_load_in_progress);  // clients try again on it
    co_return reply_with(request, response);
  }
  response.producer_id = *id;
  response.producer_epoch = 0;
  co_return reply_with(request, response);
}

}  // namespace paceline::broker
