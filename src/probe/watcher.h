#pragma once

#include <memory>

#include "client/security.h"
#include "probe/sight.h"
#include "probe/stage.h"

namespace paceline::probe {

// Asks every broker for metadata, all the time: who leads, in which epoch, and who knows it. Once
// somebody is said to lead, it is asked itself whether it serves. Each broker is asked by a task of
// its own, so that one that does not answer holds up nobody. Its own small client of the protocol,
// because librdkafka hides the epochs, and asks whom it likes.
class Watcher {
 public:
  // `stage` must live until stop().
  Watcher(Stage& stage, std::vector<std::string> bootstrap, client::Security security);
  ~Watcher() { stop(); }
  void stop();
  void rest(bool resting);  // asks nobody

  struct Shared;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace paceline::probe
