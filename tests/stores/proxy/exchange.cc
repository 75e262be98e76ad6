#include "exchange.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace paceline::proxy {
namespace {

constexpr size_t kBufferBytes = 256 << 10;
constexpr size_t kGatheredMax = 64u << 20;
constexpr uint64_t kPaceMs = 2;

std::string error_body(const std::string& code) {
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>the fault proxy "
      "says so</Message><RequestId>0</RequestId></Error>",
      code);
}

}  // namespace

size_t Pace::allowed(size_t wanted, uint64_t now_ms) {
  if (rate_ == 0) return wanted;
  const double most = std::max(static_cast<double>(rate_) / 50, 4096.0);  // of 20 ms
  tokens_ = std::min(
      most, tokens_ + static_cast<double>(rate_) * static_cast<double>(now_ms - last_ms_) / 1000);
  last_ms_ = now_ms;
  return tokens_ < 1 ? 0 : std::min(wanted, static_cast<size_t>(tokens_));
}

Exchange::Exchange(Shared& shared, int client)
    : shared_(shared), client_(client), in_(kBufferBytes), back_(kBufferBytes) {
  Counters& counters = shared_.counters;
  ++counters.connections;
  counters.open_max = std::max(counters.open_max, ++counters.open);
  client_events_ = EPOLLIN;
  shared_.loop.add(client_, client_events_, *this);
}

Exchange::Exchange(Shared& shared, std::string late, const Request& request, Asked asked,
                   uint64_t ms)
    : shared_(shared),
      client_(-1),
      in_(late.size()),
      request_(request),
      asked_(std::move(asked)),
      back_(kBufferBytes),
      unheard_(true) {
  std::memcpy(in_.room(), late.data(), late.size());
  in_.grew(late.size());
  request_.body = request.length > 0 ? Body(Body::Kind::length, request.length) : Body();
  entry_ = Entry{
      .ms = shared_.loop.now_ms(), .kind = asked_.kind, .key = asked_.key, .fault = "arrives late"};
  shared_.counters.in_flight_max =
      std::max(shared_.counters.in_flight_max, ++shared_.counters.in_flight);
  wait_then(ms, &Exchange::start_forward);
}

Exchange::~Exchange() {
  drop_client();
  close_store();
  shared_.loop.cancel(timer_);
  shared_.loop.cancel(pace_timer_);
}

void Exchange::ready(int fd, uint32_t events) {
  if (phase_ == Phase::ended) return;
  if (fd == client_) {
    if (events & EPOLLOUT) down_blocked_ = false;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_client();
    // Nobody is there, and what it left behind does not fit: without this the event would come for
    // ever.
    if (client_ >= 0 && (events & EPOLLHUP) && in_.room_bytes() == 0) end();
  } else if (fd == store_) {
    if (events & EPOLLOUT) up_blocked_ = false;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_store();
  }
  advance();
}

void Exchange::advance() {
  for (bool again = true; again;) {
    switch (phase_) {
      case Phase::head:
        again = begin();
        break;
      case Phase::forward:
        again = forward();
        break;
      case Phase::drain:
        again = drain();
        break;
      case Phase::discard:
        again = discard();
        break;
      case Phase::gather:
        again = gather();
        break;
      case Phase::answer:
        again = flush_reply();
        break;
      case Phase::wait:
      case Phase::hang:
      case Phase::ended:
        again = false;
        break;
    }
  }
  update_interest();
}

// A whole head: what becomes of the request is decided here.
bool Exchange::begin() {
  request_ = {};
  const Parsed parsed = parse(in_.view(), request_);
  if (parsed == Parsed::incomplete) return false;
  if (parsed == Parsed::bad) return end(), false;
  phase_ = Phase::wait;
  asked_ = asked_of(request_);
  const uint64_t now = shared_.loop.now_ms();
  entry_ = Entry{.ms = now, .kind = asked_.kind, .key = asked_.key};
  shared_.counters.in_flight_max =
      std::max(shared_.counters.in_flight_max, ++shared_.counters.in_flight);
  verdict_ = shared_.rules.judge(asked_, request_.method, now);
  if (shared_.hangs) verdict_.fault = Fault::hang;
  if (verdict_.fault != Fault::none) {
    entry_.fault = shared_.hangs ? "outage" : verdict_.action.fault;
    ++shared_.counters.of(asked_.key, asked_.kind).faults;
  }
  switch (verdict_.fault) {
    case Fault::reset:
      return reset(), false;
    case Fault::hang:
      phase_ = Phase::hang;
      return false;
    case Fault::answer:
      in_.drop(request_.head_bytes);
      phase_ = Phase::discard;
      return true;
    case Fault::late:
      gathered_.clear();
      phase_ = Phase::gather;
      return true;
    default:
      break;
  }
  unheard_ = verdict_.fault == Fault::lose || verdict_.fault == Fault::forget;
  if (verdict_.delay_ms > 0) return wait_then(verdict_.delay_ms, &Exchange::start_forward), false;
  start_forward();
  return true;
}

// The rest of a request that the store has answered already.
bool Exchange::drain() {
  in_.drop(request_.body.take(in_.view()));
  if (!request_.body.done()) return false;
  finish(response_.status);
  return true;
}

// The body of a request that we answer ourselves.
bool Exchange::discard() {
  in_.drop(request_.body.take(in_.view()));
  if (!request_.body.done()) return false;
  if (verdict_.delay_ms > 0) return wait_then(verdict_.delay_ms, &Exchange::start_answer), false;
  start_answer();
  return true;
}

void Exchange::start_answer() {
  const Action& action = verdict_.action;
  const std::string body = request_.method == "HEAD" ? "" : error_body(action.code);
  const std::string after =
      action.retry_after_s < 0 ? "" : fmt::format("Retry-After: {}\r\n", action.retry_after_s);
  reply_ = fmt::format(
      "HTTP/1.1 {} Fault\r\nContent-Type: application/xml\r\n{}Content-Length: {}\r\n\r\n{}",
      action.status, after, body.size(), body);
  response_ = {};
  response_.status = action.status;
  ++shared_.counters.of(asked_.key, asked_.kind).answered;
  phase_ = Phase::answer;
}

bool Exchange::flush_reply() {
  while (!reply_.empty() && !down_blocked_) {
    const ssize_t sent = send(client_, reply_.data(), reply_.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
      down_blocked_ = true;
    else if (sent < 0)
      return finish(0), end(), false;
    else
      reply_.erase(0, static_cast<size_t>(sent));
  }
  if (!reply_.empty()) return false;
  finish(response_.status);
  return phase_ == Phase::head;
}

// All of a request that will reach the store when nobody waits for it any more.
bool Exchange::gather() {
  if (gathered_.empty()) {
    gathered_ = in_.view().substr(0, request_.head_bytes);
    in_.drop(request_.head_bytes);
  }
  const size_t taken = request_.body.take(in_.view());
  gathered_ += in_.view().substr(0, taken);
  in_.drop(taken);
  if (gathered_.size() > kGatheredMax) return reset(), false;
  if (!request_.body.done()) return false;
  auto late = std::make_unique<Exchange>(shared_, std::move(gathered_), request_, asked_,
                                         verdict_.action.ms);
  Exchange* key = late.get();
  shared_.exchanges.emplace(key, std::move(late));
  reset();
  return false;
}

void Exchange::start_forward() {
  if (store_ < 0) {
    store_ = connect_to(shared_.store_port);
    if (store_ < 0) {
      ++shared_.counters.upstream_broken;
      reset();
      return;
    }
    up_blocked_ = true;  // until it is connected
    store_events_ = EPOLLIN | EPOLLOUT;
    shared_.loop.add(store_, store_events_, *this);
  }
  ++shared_.counters.of(asked_.key, asked_.kind).requests;
  approved_up_ = request_.head_bytes;
  sent_up_ = sent_down_ = approved_down_ = 0;
  has_response_ = held_ = store_ended_ = false;
  response_ = {};
  gathered_.clear();
  phase_ = Phase::forward;
}

// The request is over, for this client at least. 0: nobody was told an outcome.
void Exchange::finish(int told_status) {
  if (phase_ == Phase::head || phase_ == Phase::ended) return;
  Count& count = shared_.counters.of(asked_.key, asked_.kind);
  if (sent_up_ > 0) {
    entry_.bytes_in = request_.body.payload();
    entry_.bytes_out = response_.body.payload();
    count.bytes_in += entry_.bytes_in;
    count.bytes_out += entry_.bytes_out;
    if (has_response_)
      ++(response_.status < 400   ? count.ok
         : response_.status < 500 ? count.errors_4xx
                                  : count.errors_5xx);
    if (has_response_ && response_.status < 300 && request_.method == "PUT")
      shared_.rules.note_put(asked_.key, shared_.loop.now_ms());
  }
  if (told_status == 0) ++count.broken;
  entry_.status = told_status;
  entry_.took_ms = shared_.loop.now_ms() - entry_.ms;
  shared_.counters.note(std::move(entry_));
  --shared_.counters.in_flight;
  sent_up_ = 0;
  phase_ = Phase::head;
  if (request_.close || response_.close || client_ < 0) end();
}

void Exchange::end() {
  if (phase_ != Phase::ended) finish(0);
  if (phase_ == Phase::ended) return;  // before, or by the request that is over now
  phase_ = Phase::ended;
  // Not from within its own steps.
  shared_.loop.later([this] { shared_.exchanges.erase(this); });
}

void Exchange::reset() {
  if (phase_ == Phase::ended) return;
  finish(0);
  if (client_ >= 0) {
    shared_.loop.remove(client_);
    reset_and_close(std::exchange(client_, -1));
    --shared_.counters.open;
  }
  end();
}

void Exchange::hang() {
  if (phase_ == Phase::head || phase_ == Phase::ended) return;
  entry_.fault = "outage";
  shared_.loop.cancel(timer_);
  close_store();
  phase_ = Phase::hang;
  update_interest();
}

void Exchange::wait_then(uint64_t ms, void (Exchange::*body)()) {
  phase_ = Phase::wait;
  timer_ = shared_.loop.after(ms, [this, body] {
    (this->*body)();
    advance();
  });
}

void Exchange::read_client() {
  in_.compact();
  while (client_ >= 0 && in_.room_bytes() > 0) {
    const ssize_t got = recv(client_, in_.room(), in_.room_bytes(), 0);
    if (got > 0) in_.grew(static_cast<size_t>(got));
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return client_is_gone();
    if (in_.bytes() > kBufferBytes / 2) return;  // its turn to go on
  }
}

// A whole request that its client has left behind reaches the store all the same, as it would
// without us.
void Exchange::client_is_gone() {
  if (phase_ == Phase::forward || phase_ == Phase::wait) {
    Body rest = request_.body;
    const size_t seen = phase_ == Phase::wait ? request_.head_bytes : approved_up_;
    if (in_.bytes() >= seen) rest.take(in_.view().substr(seen));
    if (rest.done() && verdict_.fault != Fault::answer) {
      unheard_ = true;
      drop_client();
      return;
    }
  }
  end();
}

void Exchange::drop_client() {
  if (client_ < 0) return;
  shared_.loop.remove(client_);
  close(std::exchange(client_, -1));
  --shared_.counters.open;
}

// Goes on when there may be bandwidth again.
void Exchange::pace() {
  shared_.loop.cancel(pace_timer_);
  pace_timer_ = shared_.loop.after(kPaceMs, [this] { advance(); });
}

void Exchange::close_store() {
  if (store_ < 0) return;
  shared_.loop.remove(store_);
  close(std::exchange(store_, -1));
  back_.drop(back_.bytes());
}

void Exchange::update_interest() {
  if (phase_ == Phase::ended) return;
  if (client_ >= 0) {
    const uint32_t wanted =
        (in_.room_bytes() > 0 || in_.bytes() < kBufferBytes / 2 ? EPOLLIN : 0u) |
        (down_blocked_ ? EPOLLOUT : 0u);
    if (wanted != client_events_) shared_.loop.change(client_, client_events_ = wanted);
  }
  if (store_ >= 0) {
    const bool reads = phase_ == Phase::head || back_.bytes() < kBufferBytes / 2;
    const uint32_t wanted = (reads ? EPOLLIN : 0u) | (up_blocked_ ? EPOLLOUT : 0u);
    if (wanted != store_events_) shared_.loop.change(store_, store_events_ = wanted);
  }
}

}  // namespace paceline::proxy
