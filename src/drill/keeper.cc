#include "drill/keeper.h"

#include <fmt/format.h>

#include <map>
#include <vector>

#include "drill/wall_time.h"
#include "env/disk.h"
#include "env/sync.h"

namespace paceline::drill {
namespace {

constexpr env::Duration kEach = std::chrono::seconds(1);

// A file that grows; where others write to it as well, behind what they have written.
Result<void> append(env::Disk& disk, const std::string& path, const std::string& bytes) {
  if (bytes.empty()) return {};
  TRY(auto file, disk.open(path, {.create = env::OpenMode::Create::if_missing, .writable = true}));
  TRY(const uint64_t size, file->size());
  return file->write_at(size, as_bytes(bytes));
}

}  // namespace

struct Keeper::State {
  explicit State(env::Shard& on) : shard(on), written(on) {}

  env::Shard& shard;
  std::string folder, run_id;
  std::map<std::string, uint64_t> numbers;   // by source
  std::string timeline, ledger, hooks, run;  // what is not written yet
  bool run_changed = false;
  bool writing = false;
  bool ended = false;
  std::string failure;
  env::Event written;
  std::vector<std::function<void(const evidence::Event&)>> listeners;
};

Task<Result<std::unique_ptr<Keeper>>> Keeper::open(env::Shard& shard, std::string folder,
                                                   std::string run_id, std::string plan_text) {
  auto state = std::make_shared<State>(shard);
  state->folder = folder;
  state->run_id = std::move(run_id);
  env::Disk* disk = &shard.disk();
  auto made = co_await env::offload(shard, [disk, folder, plan_text]() -> Result<void> {
    TRY(const bool there, disk->exists(folder + "/run.json"));
    if (there) return fail(Code::already_exists, fmt::format("{} is a run already", folder));
    TRY_VOID(disk->make_dirs(folder));
    TRY_VOID(env::replace_file(*disk, folder + "/plan.toml", as_bytes(plan_text)));
    for (const char* name : {"timeline.ndjson", "hooks.log"})
      TRY_VOID(env::replace_file(*disk, folder + "/" + name, {}));
    return env::replace_file(*disk, folder + "/ledger.bin", as_bytes(evidence::ledger_header()));
  });
  if (!made) co_return fail(made.error());
  shard.spawn(write_on(state));
  co_return std::unique_ptr<Keeper>(new Keeper(std::move(state)));
}

std::unique_ptr<Keeper> Keeper::nowhere(env::Shard& shard) {
  return std::unique_ptr<Keeper>(new Keeper(std::make_shared<State>(shard)));
}

Keeper::~Keeper() {
  state_->ended = true;
}

std::string Keeper::add(evidence::Event event) {
  if (event.run_id.empty()) event.run_id = state_->run_id;
  if (event.source.empty()) event.source = "drill";
  if (event.source_seq == 0) event.source_seq = ++state_->numbers[event.source];
  if (event.event_id.empty()) event.event_id = fmt::format("{}-{}", event.source, event.source_seq);
  if (event.t_mono_ns == 0) event.t_mono_ns = state_->shard.now().since_start.count();
  if (event.t_wall.empty()) event.t_wall = rfc3339(state_->shard.wall_ms());
  // What happens in this process is of our own clock.
  if (!event.clock_err_ns &&
      (event.source == "drill" || event.source == "probe" || event.source == "watcher"))
    event.clock_err_ns = 0;
  state_->timeline += evidence::to_json(event);
  state_->timeline += '\n';
  for (const auto& listener : state_->listeners) listener(event);
  return event.event_id;
}

void Keeper::add(const evidence::LedgerRow& row) {
  evidence::append_row(row, state_->ledger);
}

void Keeper::add_hook_line(std::string line) {
  state_->hooks += std::move(line);
  state_->hooks += '\n';
}

void Keeper::describe(evidence::Run run) {
  state_->run = evidence::to_json(run);
  state_->run_changed = true;
}

evidence::Event Keeper::event(std::string_view type) const {
  evidence::Event event;
  event.source = "drill";
  event.plane = "control";
  event.type = type;
  return event;
}

const std::string& Keeper::folder() const {
  return state_->folder;
}

std::string Keeper::path(std::string_view name) const {
  return fmt::format("{}/{}", state_->folder, name);
}

const std::string& Keeper::failure() const {
  return state_->failure;
}

void Keeper::listen(std::function<void(const evidence::Event&)> listener) {
  state_->listeners.push_back(std::move(listener));
}

Task<Result<void>> Keeper::flush() {
  co_return co_await write_all(state_);
}

void Keeper::write_soon() {
  if (!state_->folder.empty()) state_->shard.spawn(write_once(state_));
}

Task<void> Keeper::write_once(std::shared_ptr<State> state) {
  (void)co_await write_all(std::move(state));
}

Task<void> Keeper::write_on(std::shared_ptr<State> state) {
  while (!state->ended) {
    (void)co_await write_all(state);
    co_await env::sleep_for(state->shard, kEach);
  }
}

Task<Result<void>> Keeper::write_all(std::shared_ptr<State> state) {
  if (state->folder.empty()) co_return Result<void>{};
  while (state->writing) co_await state->written.wait();
  struct Batch {
    std::string timeline, ledger, hooks, run;
  };
  auto batch = std::make_shared<Batch>();
  std::swap(batch->timeline, state->timeline);
  std::swap(batch->ledger, state->ledger);
  std::swap(batch->hooks, state->hooks);
  if (std::exchange(state->run_changed, false)) batch->run = state->run;
  state->writing = true;
  env::Disk* disk = &state->shard.disk();
  const std::string folder = state->folder;
  auto done = co_await env::offload(state->shard, [disk, folder, batch]() -> Result<void> {
    TRY_VOID(append(*disk, folder + "/timeline.ndjson", batch->timeline));
    TRY_VOID(append(*disk, folder + "/ledger.bin", batch->ledger));
    TRY_VOID(append(*disk, folder + "/hooks.log", batch->hooks));
    if (batch->run.empty()) return {};
    return env::replace_file(*disk, folder + "/run.json", as_bytes(batch->run));
  });
  state->writing = false;
  state->written.notify_all();
  if (!done && state->failure.empty()) state->failure = done.error().message;
  if (!state->failure.empty()) co_return fail(Code::io_error, state->failure);
  co_return Result<void>{};
}

}  // namespace paceline::drill
