#include "sim/wire_client.h"

#include "base/endian.h"

namespace paceline::sim {
namespace {

constexpr uint32_t kFrameBytesMax = 256u << 20;

Task<Result<void>> read_exactly(env::Socket& socket, MutableBytes into) {
  while (!into.empty()) {
    CO_TRY(const size_t count, co_await socket.read_some(into));
    into = into.subspan(count);
  }
  co_return Result<void>{};
}

Task<Result<Slice>> read_frame(env::Socket& socket) {
  std::byte length[4];
  CO_TRY_VOID(co_await read_exactly(socket, length));
  const auto size = load_be<uint32_t>(length);
  if (size < 4 || size > kFrameBytesMax)
    co_return fail(Code::corrupt, fmt::format("an answer of {} bytes", size));
  Buffer body = Buffer::allocate(size);
  CO_TRY_VOID(co_await read_exactly(socket, body.writable()));
  co_return Slice(body, body.bytes());
}

}  // namespace

Task<Result<std::unique_ptr<WireClient>>> WireClient::connect(env::Shard& shard, std::string host,
                                                              uint16_t port,
                                                              env::Duration patience) {
  CO_TRY(auto socket, co_await shard.network().connect(host, port, shard.now() + patience));
  auto state = std::make_shared<State>(shard, std::move(socket));
  shard.spawn(write_loop(state));
  shard.spawn(read_loop(state));
  co_return std::unique_ptr<WireClient>(new WireClient(std::move(state), patience));
}

WireClient::~WireClient() {
  close();
}

void WireClient::close() {
  fail_all(*state_, Error{Code::closed, "this client closed"});
}

std::shared_ptr<WireClient::Waiting> WireClient::send(std::vector<Slice> frame) {
  auto waiting = std::make_shared<Waiting>(state_->shard);
  if (state_->broken) {
    waiting->answer = fail(*state_->broken);
    return waiting;
  }
  state_->outgoing.push_back(std::move(frame));
  state_->pending.push_back(waiting);
  state_->changed.notify_all();
  return waiting;
}

Task<Result<Slice>> WireClient::wait(std::shared_ptr<Waiting> waiting) {
  const env::Instant deadline = state_->shard.now() + patience_;
  auto state = state_;  // this client may go while we wait
  while (!waiting->answer) {
    if (co_await waiting->changed.wait_until(deadline)) continue;
    if (!waiting->answer) fail_all(*state, Error{Code::timed_out, "no answer in time"});
  }
  co_return std::move(*waiting->answer);
}

Task<Result<void>> WireClient::send_only(std::vector<Slice> frame) {
  if (state_->broken) co_return fail(*state_->broken);
  state_->outgoing.push_back(std::move(frame));
  state_->changed.notify_all();
  co_return Result<void>{};
}

Task<Result<Slice>> WireClient::receive() {
  auto waiting = std::make_shared<Waiting>(state_->shard);
  if (state_->broken) co_return fail(*state_->broken);
  state_->pending.push_back(waiting);
  state_->changed.notify_all();
  co_return co_await wait(std::move(waiting));
}

Task<void> WireClient::write_loop(std::shared_ptr<State> state) {
  while (!state->broken) {
    if (state->outgoing.empty()) {
      co_await state->changed.wait();
      continue;
    }
    std::vector<Slice> frame = std::move(state->outgoing.front());
    state->outgoing.pop_front();
    auto wrote = co_await state->socket->write(frame);
    if (!wrote) fail_all(*state, wrote.error());
  }
}

Task<void> WireClient::read_loop(std::shared_ptr<State> state) {
  while (!state->broken) {
    auto frame = co_await read_frame(*state->socket);
    if (state->broken) break;
    if (!frame) {
      fail_all(*state, frame.error());
    } else if (state->pending.empty()) {
      fail_all(*state, Error{Code::corrupt, "an answer that nobody asked for"});
    } else {
      auto waiting = std::move(state->pending.front());
      state->pending.pop_front();
      waiting->answer = std::move(*frame);
      waiting->changed.notify_all();
    }
  }
}

void WireClient::fail_all(State& state, Error why) {
  if (state.broken) return;
  state.broken = why;
  state.socket->close();
  for (auto& waiting : state.pending) {
    waiting->answer = fail(why);
    waiting->changed.notify_all();
  }
  state.pending.clear();
  state.outgoing.clear();
  state.changed.notify_all();
}

}  // namespace paceline::sim
