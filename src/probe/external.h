#pragma once

#include <map>
#include <optional>

#include "probe/child.h"
#include "probe/external_line.h"
#include "probe/stage.h"

namespace paceline::probe {

// What a client outside says, as rows and events. Without the process: its lines come in. Nothing
// that it says is taken for what it cannot be: an answer to a record that it has not sent is an
// error of it.
class ExternalTalk {
 public:
  ExternalTalk(Stage& stage, uint16_t index, uint16_t topic, std::string name)
      : stage_(stage), index_(index), topic_(topic), name_(std::move(name)) {}

  void heard(const std::string& line);
  bool said_bye() const { return bye_; }
  // It is gone: what was not answered may be there. `why` is empty if that was in order.
  void over(const std::string& why);
  size_t unanswered() const { return waiting_.size(); }
  std::optional<int64_t> oldest_ns() const;

 private:
  using Record = std::pair<int32_t, uint64_t>;  // partition, seq
  static constexpr size_t kWaitingMax = 50'000;
  void hello(const Hello& hello);
  void record(evidence::LedgerRow row);
  void complain(const std::string& error, const std::string& text, bool fatal);
  std::string source() const { return "client:" + name_; }

  Stage& stage_;
  const uint16_t index_, topic_;
  const std::string name_;
  int64_t clock_ns_ = 0;  // to be added to its times
  bool bye_ = false, over_ = false;
  std::map<Record, evidence::LedgerRow> waiting_;
};

// A client outside, with its process.
class External {
 public:
  // not_found: the program cannot be started.
  static Result<std::unique_ptr<External>> start(Stage& stage, const std::string& name,
                                                 const std::vector<std::string>& argv,
                                                 uint16_t topic);
  ~External() { stop(); }
  void turn();      // once a millisecond
  void say_stop();  // it sends no more, and ends when all is answered and read
  void stop();      // ends it now
  bool over() const { return !child_; }
  const ExternalTalk& talk() const { return talk_; }

 private:
  External(Stage& stage, uint16_t index, uint16_t topic, const std::string& name, Child child)
      : talk_(stage, index, topic, name), child_(std::move(child)) {}

  ExternalTalk talk_;
  Lines lines_;
  std::optional<Child> child_;
  int turn_ = 0;
};

}  // namespace paceline::probe
