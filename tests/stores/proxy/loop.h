#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

// One thread: sockets by epoll, and timers.
namespace paceline::proxy {

class Socket {
 public:
  virtual ~Socket() = default;
  virtual void ready(int fd, uint32_t events) = 0;
};

class Loop {
 public:
  Loop();

  uint64_t now_ms() const;  // since the start
  // `socket` must stay until remove().
  void add(int fd, uint32_t events, Socket& socket);
  void change(int fd, uint32_t events);
  void remove(int fd);
  uint64_t after(uint64_t ms, std::function<void()> body);
  void cancel(uint64_t timer);
  // Runs when all events of this turn are done; for what ends itself.
  void later(std::function<void()> body);
  [[noreturn]] void run();

 private:
  int wait_ms() const;
  void fire();

  int epoll_;
  int64_t began_ns_;
  std::unordered_map<int, Socket*> sockets_;
  std::map<std::pair<uint64_t, uint64_t>, std::function<void()>> timers_;  // (when, id)
  std::unordered_map<uint64_t, uint64_t> timer_when_;
  uint64_t timer_next_ = 1;
  std::vector<std::function<void()>> later_;
};

// Sockets on 127.0.0.1 that never block, with TCP_NODELAY.
int listen_on(uint16_t port);
int connect_to(uint16_t port);
int accept_from(int listener);  // -1: nobody
// The peer gets a reset instead of an orderly end.
void reset_and_close(int fd);

}  // namespace paceline::proxy
