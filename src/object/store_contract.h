#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "object/object.h"

// What every object store promises, whatever is behind it. A store's test gives a factory of
// worlds and instantiates ObjectContract with it.

namespace paceline::object {

// A store and two shards to call it from.
class ObjectWorld {
 public:
  virtual ~ObjectWorld() = default;
  virtual env::Shard& shard(size_t index) = 0;
  virtual Store& store() = 0;
  virtual void reopen() = 0;
  virtual void run(size_t shard, Task<void> task) = 0;  // to its end

  template <class T>
  T wait(Task<T> task, size_t on_shard = 0) {
    std::optional<T> value;
    run(on_shard, store_value(std::move(task), &value));
    return std::move(*value);
  }
  Result<void> put(std::string key, std::string_view text) {
    std::vector<Slice> body{Slice::copy_of(as_bytes(text))};
    return wait(store().put_if_absent(shard(0), std::move(key), std::move(body)));
  }
  Result<std::string> get(std::string key, uint64_t from, uint64_t bytes) {
    TRY(const Slice slice, wait(store().get(shard(0), std::move(key), from, bytes)));
    return to_string(slice.bytes());
  }

 private:
  template <class T>
  static Task<void> store_value(Task<T> task, std::optional<T>* into) {
    into->emplace(co_await std::move(task));
  }
};

struct ObjectParam {
  std::string name;
  std::function<std::unique_ptr<ObjectWorld>()> make;
};

inline void PrintTo(const ObjectParam& param, std::ostream* out) {
  *out << param.name;
}

class ObjectContract : public testing::TestWithParam<ObjectParam> {
 protected:
  void SetUp() override { world_ = GetParam().make(); }
  ObjectWorld& world() { return *world_; }

 private:
  std::unique_ptr<ObjectWorld> world_;
};

}  // namespace paceline::object
