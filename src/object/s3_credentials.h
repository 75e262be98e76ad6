#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "env/shard.h"
#include "env/sync.h"
#include "object/s3_location.h"
#include "object/s3_sign.h"

namespace paceline::object {

struct Credentials {
  SigningKeys keys;
  std::string source;      // for humans: "the environment", "profile 'x' of /home/a/.aws/config"
  int64_t expires_ms = 0;  // 0: never
  bool renewable = true;   // asking the source again may give others
};
using CredentialsPtr = std::shared_ptr<const Credentials>;

// Asks the one source that is configured, as ux.md's order says; a source that fails is an error
// that names it, and no other is tried.
using CredentialsSource = std::function<Task<Result<Credentials>>(env::Shard&)>;

// The credentials in force. Any shard reads them; one shard renews them well before they expire,
// and whenever the store refuses them.
class CredentialsHolder : public std::enable_shared_from_this<CredentialsHolder> {
 public:
  CredentialsHolder(env::Shard& home, CredentialsSource source, Credentials first)
      : home_(home),
        source_(std::move(source)),
        current_(std::make_shared<const Credentials>(std::move(first))),
        asked_(home) {}

  // On the home shard, once.
  void start();
  // From any thread: what runs ends soon, what is asked later is dropped.
  void stop();
  CredentialsPtr current() const { return current_.load(); }
  // From any shard: the store has refused `seen`.
  void renew(CredentialsPtr seen);

 private:
  static Task<void> keep(std::shared_ptr<CredentialsHolder> self);
  env::Instant next_renewal() const;

  env::Shard& home_;
  const CredentialsSource source_;
  std::atomic<CredentialsPtr> current_;
  std::atomic<bool> stopped_ = false;
  // Of the home shard.
  env::Event asked_;
  bool renew_now_ = false;
};

}  // namespace paceline::object
