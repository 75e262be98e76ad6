#include "loop.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace paceline::proxy {
namespace {

int64_t monotonic_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

[[noreturn]] void die(const char* what) {
  fmt::print(stderr, "{}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void send_at_once(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), began_ns_(monotonic_ns()) {
  if (epoll_ < 0) die("epoll_create1");
}

uint64_t Loop::now_ms() const {
  return static_cast<uint64_t>((monotonic_ns() - began_ns_) / 1'000'000);
}

void Loop::add(int fd, uint32_t events, Socket& socket) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
  sockets_[fd] = &socket;
}

void Loop::change(int fd, uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) != 0) die("epoll_ctl");
}

void Loop::remove(int fd) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  sockets_.erase(fd);
}

uint64_t Loop::after(uint64_t ms, std::function<void()> body) {
  const uint64_t id = timer_next_++, when = now_ms() + ms;
  timers_[{when, id}] = std::move(body);
  timer_when_[id] = when;
  return id;
}

void Loop::cancel(uint64_t timer) {
  const auto found = timer_when_.find(timer);
  if (found == timer_when_.end()) return;
  timers_.erase({found->second, timer});
  timer_when_.erase(found);
}

void Loop::later(std::function<void()> body) {
  later_.push_back(std::move(body));
}

void Loop::run() {
  std::array<epoll_event, 128> events;
  for (;;) {
    const int count = epoll_wait(epoll_, events.data(), events.size(), wait_ms());
    for (int i = 0; i < count; ++i) {
      // One that was closed in this turn is not asked any more.
      const auto found = sockets_.find(events[i].data.fd);
      if (found != sockets_.end()) found->second->ready(events[i].data.fd, events[i].events);
    }
    fire();
    for (auto& body : std::exchange(later_, {})) body();
  }
}

int Loop::wait_ms() const {
  if (timers_.empty()) return -1;
  const uint64_t when = timers_.begin()->first.first, now = now_ms();
  return when <= now ? 0 : static_cast<int>(std::min<uint64_t>(when - now, 60'000));
}

void Loop::fire() {
  while (!timers_.empty() && timers_.begin()->first.first <= now_ms()) {
    auto body = std::move(timers_.begin()->second);
    timer_when_.erase(timers_.begin()->first.second);
    timers_.erase(timers_.begin());
    body();
  }
}

int listen_on(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("bind");
  if (listen(fd, 1024) != 0) die("listen");
  return fd;
}

int connect_to(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  send_at_once(fd);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS) {
    close(fd);
    return -1;
  }
  return fd;
}

int accept_from(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) send_at_once(fd);
  return fd;
}

void reset_and_close(int fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

}  // namespace paceline::proxy
