#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <random>
#include <utility>

#include "exchange.h"

// A request on its way to the store, and its answer on the way back.
namespace paceline::proxy {
namespace {

constexpr size_t kDonorBytes = 64 << 10;

// The payload of a body in chunks.
std::string without_chunks(std::string_view body) {
  std::string payload;
  while (!body.empty()) {
    const size_t line = body.find("\r\n");
    if (line == std::string_view::npos) break;
    const size_t bytes = std::strtoull(std::string(body.substr(0, line)).c_str(), nullptr, 16);
    if (bytes == 0) break;
    payload += body.substr(line + 2, bytes);
    body.remove_prefix(std::min(body.size(), line + 2 + bytes + 2));
  }
  return payload;
}

// Leaves out each <Contents> with the probability `share`.
std::string shorter_list(std::string_view list, double share, uint64_t seed) {
  constexpr std::string_view kFrom = "<Contents>", kTo = "</Contents>";
  std::mt19937_64 noise(seed);
  std::string shorter;
  for (;;) {
    const size_t from = list.find(kFrom);
    const size_t to = list.find(kTo, from == std::string_view::npos ? 0 : from);
    if (from == std::string_view::npos || to == std::string_view::npos) break;
    shorter += list.substr(0, from);
    if (static_cast<double>(noise() >> 11) * 0x1p-53 >= share)
      shorter += list.substr(from, to + kTo.size() - from);
    list.remove_prefix(to + kTo.size());
  }
  return shorter.append(list);
}

}  // namespace

bool Exchange::forward() {
  const bool went_up = move_up();
  const bool went_down = phase_ == Phase::forward && move_down();
  return went_up || went_down || phase_ != Phase::forward;
}

bool Exchange::move_up() {
  approved_up_ += request_.body.take(in_.view().substr(approved_up_));
  if (request_.body.bad()) return end(), false;
  size_t most = approved_up_;
  const bool cut = verdict_.fault == Fault::cut && request_.length > 0;
  const uint64_t cut_at = request_.head_bytes + request_.length / 2;
  if (cut) most = std::min<uint64_t>(most, cut_at - sent_up_);
  if (most == 0 || up_blocked_ || store_ < 0) return false;
  const size_t allowed = shared_.to_store.allowed(most, shared_.loop.now_ms());
  if (allowed == 0) {
    pace();
    return false;
  }
  const ssize_t sent = send(store_, in_.data(), allowed, MSG_NOSIGNAL);
  if (sent < 0 && errno == EAGAIN) return up_blocked_ = true, false;
  if (sent < 0) return false;  // its answer, or its end, comes by reading
  shared_.to_store.spend(static_cast<size_t>(sent));
  in_.drop(static_cast<size_t>(sent));
  approved_up_ -= static_cast<size_t>(sent);
  sent_up_ += static_cast<uint64_t>(sent);
  if (cut && sent_up_ == cut_at) {
    shared_.loop.remove(store_);
    reset_and_close(std::exchange(store_, -1));
    reset();
    return false;
  }
  if (!request_.body.done()) read_client();
  return true;
}

void Exchange::read_store() {
  back_.compact();
  while (store_ >= 0 && back_.room_bytes() > 0) {
    const ssize_t got = recv(store_, back_.room(), back_.room_bytes(), 0);
    if (got > 0) back_.grew(static_cast<size_t>(got));
    if (got < 0 && errno == EAGAIN) return;
    if (got > 0) {
      if (back_.bytes() > back_.room_bytes()) return;
      continue;
    }
    if (phase_ != Phase::forward) return close_store();  // an idle connection has ended
    store_ended_ = true;
    shared_.loop.remove(store_);
    close(std::exchange(store_, -1));
    return;
  }
}

bool Exchange::move_down() {
  if (held_) return false;
  if (!has_response_ && !read_response_head()) {
    if (!store_ended_) return false;
    ++shared_.counters.upstream_broken;
    return reset(), false;
  }
  if (held_) return false;
  approve_response();
  if (response_.body.bad()) return end(), false;
  bool moved = false;
  if (unheard_) {
    if (verdict_.fault == Fault::forget) gathered_ += back_.view().substr(0, approved_down_);
    moved = approved_down_ > 0;
    back_.drop(std::exchange(approved_down_, 0));
  } else if (approved_down_ > 0 && !down_blocked_) {
    const uint64_t end_at =
        response_.head_bytes + (response_.length ? verdict_.random % response_.length : 0);
    const bool cut =
        verdict_.fault == Fault::truncate && response_.length > 0 && response_.status < 300;
    size_t most = cut ? std::min<uint64_t>(approved_down_, end_at - sent_down_) : approved_down_;
    if (cut && most == 0) return finish(0), end(), false;
    most = shared_.from_store.allowed(most, shared_.loop.now_ms());
    if (most == 0) {
      pace();
      return false;
    }
    const ssize_t sent = send(client_, back_.data(), most, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return down_blocked_ = true, false;
    if (sent < 0) return end(), false;
    shared_.from_store.spend(static_cast<size_t>(sent));
    back_.drop(static_cast<size_t>(sent));
    approved_down_ -= static_cast<size_t>(sent);
    sent_down_ += static_cast<uint64_t>(sent);
    moved = true;
  }
  if (response_is_complete()) return complete_response(), false;
  if (store_ended_ && back_.bytes() == 0) {
    ++shared_.counters.upstream_broken;
    return reset(), false;
  }
  if (moved && !store_ended_) read_store();
  return moved;
}

// False: it has not come yet.
bool Exchange::read_response_head() {
  const Parsed parsed = parse(back_.view().substr(approved_down_), request_.method, response_);
  if (parsed == Parsed::incomplete) return false;
  if (parsed == Parsed::bad) return end(), false;
  approved_down_ += response_.head_bytes;
  if (response_.status < 200) return false;  // "go on": there will be another
  has_response_ = true;
  if (verdict_.hold_ms > 0) {
    held_ = true;
    timer_ = shared_.loop.after(verdict_.hold_ms, [this] {
      held_ = false;
      verdict_.hold_ms = 0;
      advance();
    });
  }
  return true;
}

void Exchange::approve_response() {
  const uint64_t payload_from = response_.body.payload();
  const size_t taken = response_.body.take(back_.view().substr(approved_down_));
  if (response_.body.kind() == Body::Kind::length && response_.status < 300)
    damage(back_.data() + approved_down_, taken, payload_from);
  approved_down_ += taken;
}

void Exchange::damage(char* bytes, size_t count, uint64_t payload_from) {
  if (verdict_.fault == Fault::flip) {
    const uint64_t at = verdict_.random % response_.length;
    if (at >= payload_from && at < payload_from + count)
      bytes[at - payload_from] ^= static_cast<char>(1 << (verdict_.random >> 61));
  } else if (verdict_.fault == Fault::swap && !shared_.donor.empty()) {
    for (size_t i = 0; i < count; ++i)
      bytes[i] = shared_.donor[(payload_from + i) % shared_.donor.size()];
  } else if (asked_.kind == "get" && shared_.rules.has(Fault::swap)) {
    keep_donor({bytes, count}, payload_from);
  }
}

void Exchange::keep_donor(std::string_view bytes, uint64_t payload_from) {
  if (payload_from == 0) {
    shared_.donor_key = asked_.key;
    shared_.donor.clear();
  }
  if (shared_.donor_key == asked_.key && shared_.donor.size() < kDonorBytes)
    shared_.donor += bytes.substr(0, kDonorBytes - shared_.donor.size());
}

bool Exchange::response_is_complete() const {
  if (!has_response_ || approved_down_ > 0) return false;
  return response_.body.done() ||
         (response_.body.kind() == Body::Kind::until_close && store_ended_ && back_.bytes() == 0);
}

void Exchange::complete_response() {
  // A store that answers before it has read everything leaves no border to the next request.
  const bool whole = request_.body.done() && approved_up_ == 0;
  if (store_ended_ || response_.close || !whole) close_store();
  // Its end is the end of the connection.
  if (response_.body.kind() == Body::Kind::until_close) response_.close = true;
  if (verdict_.fault == Fault::forget && client_ >= 0) return answer_shorter_list();
  if (unheard_) return reset();
  if (whole) return finish(response_.status);
  in_.drop(std::exchange(approved_up_, 0));
  phase_ = Phase::drain;
}

void Exchange::answer_shorter_list() {
  const size_t head = gathered_.find("\r\n\r\n") + 4;
  std::string body = gathered_.substr(head);
  if (response_.body.kind() == Body::Kind::chunked) body = without_chunks(body);
  body = shorter_list(body, verdict_.action.share, verdict_.random);
  reply_ =
      fmt::format("HTTP/1.1 {} OK\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n{}",
                  response_.status, body.size(), body);
  unheard_ = false;
  phase_ = Phase::answer;
}

}  // namespace paceline::proxy
