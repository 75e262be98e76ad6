#pragma once

#include "shared.h"

namespace paceline::proxy {

// The port for clients: opens and closes with the outages.
class Front : public Socket {
 public:
  Front(Shared& shared, uint16_t port);
  void ready(int fd, uint32_t events) override;
  void open();
  void close();

 private:
  Shared& shared_;
  uint16_t port_;
  int listener_ = -1;
};

// The port for tests: one request a connection, JSON both ways.
//   GET  /counters /rules /log      POST /reset
//   PUT  /settings {"rules": [...], "seed": 1, "outage": "" | "refuse" | "hang",
//                   "to_store_bytes_per_s": 0, "from_store_bytes_per_s": 0}    what is not named
//                   stays
class Admin : public Socket {
 public:
  Admin(Shared& shared, Front& front, uint16_t port);
  void ready(int fd, uint32_t events) override;

 private:
  std::string answer(const Request& request, std::string_view body);
  void set(const nlohmann::json& settings);

  Shared& shared_;
  Front& front_;
  int listener_;
};

}  // namespace paceline::proxy
