#include "sim/broker_host.h"

#include "base/log.h"

namespace paceline::sim {

BrokerHost::BrokerHost(env::SimWorld& world, const std::string& name, unsigned shard_count)
    : world_(world), host_(world.add_host(name)), shard_count_(shard_count) {
  options_.data = "/data";
  meta::Endpoint endpoint;
  endpoint.listener = "PLAINTEXT";
  endpoint.host = "0.0.0.0";
  endpoint.port = kPort;
  options_.settings.listeners = {endpoint};
  endpoint.host = name;
  options_.settings.advertised = {endpoint};
}

BrokerHost::~BrokerHost() {
  if (running()) kill();
}

void BrokerHost::start() {
  CHECK(!running());
  ++life_;
  refused_.reset();
  stopping_ = false;
  server_ = std::make_unique<server::Server>(host_.start(shard_count_),
                                             used_disk_ ? *used_disk_ : host_.disk(), options_);
  shard().spawn(run());
}

Task<void> BrokerHost::run() {
  const uint64_t life = life_;
  auto end_later = [this, life] {
    world_.after(env::Duration(0), [this, life] {
      if (life == life_ && running()) end(Ending::exit);
    });
  };
  server_->on_lost([end_later](Error why) {
    log_error("the broker ends, because its log is lost: {}", why.message);
    end_later();
  });
  Result<void> up = co_await server_->start();
  if (!up) {
    log_warn("the broker does not start: {}", up.error().message);
    refused_ = up.error();
    end_later();
    co_return;
  }
  serving_ = true;
}

void BrokerHost::begin_stop() {
  if (stopping_ || !serving_) return;
  stopping_ = true;
  shard().spawn(stop(this));
}

Task<void> BrokerHost::stop(BrokerHost* self) {
  co_await self->server_->stop();
  self->world_.after(env::Duration(0), [self, life = self->life_] {
    if (life == self->life_ && self->running()) self->end(Ending::exit);
  });
}

void BrokerHost::kill() {
  end(Ending::kill);
}

void BrokerHost::crash() {
  end(Ending::crash);
}

void BrokerHost::end(Ending how) {
  serving_ = false;
  switch (how) {
    case Ending::exit:
      host_.stop();
      break;
    case Ending::kill:
      host_.kill();
      break;
    case Ending::crash:
      host_.crash();
      break;
  }
  server_.reset();  // after its tasks, which use it
}

}  // namespace paceline::sim
