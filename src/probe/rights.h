#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "probe/client.h"
#include "probe/rights_book.h"
#include "probe/stage.h"

namespace paceline::probe {

// Tries what somebody may do and what nobody may, over and over, while leaders move:
// `right.answered` whenever an answer is another one than before, `rights.tried` each second.
// Records that it writes are in no ledger.
class Rights {
 public:
  explicit Rights(Stage& stage);
  ~Rights();

  Result<void> start();
  void stop();
  void turn();  // once a millisecond
  void each_second();

 private:
  class Try;
  void answered(size_t right, Permission permission);

  Stage& stage_;
  RightsBook book_;
  std::vector<std::unique_ptr<Try>> tries_;
};

}  // namespace paceline::probe
