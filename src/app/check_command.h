#pragma once

#include <cstdint>
#include <string>

#include "env/shard.h"
#include "meta/store.h"
#include "object/object.h"
#include "server/places.h"
#include "wal/wal.h"

namespace paceline::app {

// `paceline check`: proves that every offset of every stream is covered exactly once by what the
// lane in force knows, whichever broker's that is; that every checksum holds, and that no body is
// older than it may be without a record; with a ledger (JSON lines, one an acknowledged record)
// that every record in it is where it was acknowledged to be. Reads only: nothing is sealed, fenced
// or repaired.
struct CheckOptions {
  std::string data = "./paceline-data";
  std::string ledger;             // a file; empty = none
  int32_t broker = -1;            // only what it leads, and its bodies; -1 = all
  int64_t orphan_hours_max = 24;  // above which a body without a record is a fault
  bool json = false;
  server::Places places;  // empty: in the data folder
};

// What to look at, however it was opened. Its brokers may be up and working.
struct CheckedStores {
  meta::Store* metadata;
  object::Store* objects;
  wal::Wal* wal;
};
Task<int> check(env::Shard& shard, CheckedStores stores, CheckOptions options);

// Opens what the options name, and checks it. With etcd and a bucket from any machine, whoever
// works there; what is in a data folder one process may have open: refused while a broker uses it.
Task<int> check_places(env::Shard& shard, CheckOptions options);

}  // namespace paceline::app
