// Stands between a broker and a store, on 127.0.0.1: does to requests what it is told, and counts
// them.
//   store-proxy PORT ADMIN_PORT STORE_PORT [CLASS...]     a class is a part of keys: wal/ objects/
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "admin.h"
#include "exchange.h"

int main(int argc, char** argv) {
  using namespace paceline::proxy;
  if (argc < 4) {
    fmt::print(stderr, "usage: store-proxy PORT ADMIN_PORT STORE_PORT [CLASS...]\n");
    return 2;
  }
  const auto port_of = [&](int index) { return static_cast<uint16_t>(std::atoi(argv[index])); };
  std::signal(SIGPIPE, SIG_IGN);
  Shared shared(port_of(3), std::vector<std::string>(argv + 4, argv + argc));
  Front front(shared, port_of(1));
  Admin admin(shared, front, port_of(2));
  fmt::print("ready\n");
  std::fflush(stdout);
  shared.loop.run();
}
