#pragma once

#include <string>

#include "env/shard.h"

namespace paceline::app {

// `paceline check`: proves from a data folder alone, without a broker, that every offset of every
// stream is covered exactly once and that every checksum holds; with a ledger (JSON lines, one an
// acknowledged record) that every record in it is where it was acknowledged to be. Reads only:
// nothing is sealed, fenced or repaired. Refused while a broker uses the folder.
struct CheckOptions {
  std::string data = "./paceline-data";
  std::string ledger;  // a file; empty = none
  int32_t broker = 1;
  bool json = false;
};
Task<int> check(env::Shard& shard, CheckOptions options);

}  // namespace paceline::app
