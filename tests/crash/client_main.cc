#include <fmt/format.h>

#include <cstdlib>

#include "client.h"

// crash-client ROLE FILE STOP BROKERS TOPIC PARTITIONS NUMBER RATE
int main(int argc, char** argv) {
  if (argc != 9) {
    fmt::print(stderr,
               "usage: crash-client producer|member|look|final FILE STOP BROKERS TOPIC PARTITIONS "
               "NUMBER RATE\n");
    return 2;
  }
  const crash::Arguments arguments{.file = argv[2],
                                   .stop = argv[3],
                                   .brokers = argv[4],
                                   .topic = argv[5],
                                   .partition_count = std::atoi(argv[6]),
                                   .number = std::atol(argv[7]),
                                   .rate = std::atol(argv[8])};
  const std::string role = argv[1];
  if (role == "producer") return crash::run_producer(arguments);
  if (role == "member") return crash::run_member(arguments);
  if (role == "look") return crash::run_look(arguments);
  if (role == "final") return crash::run_final_reader(arguments);
  fmt::print(stderr, "there is no role '{}'\n", role);
  return 2;
}
