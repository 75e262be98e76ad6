#include <fmt/format.h>

#include <algorithm>

#include "drill/course.h"
#include "drill/wall_time.h"

// P1: topics, load, and six items that are measured before any fault.

namespace paceline::drill {
namespace {

constexpr env::Duration kLedWithin = std::chrono::seconds(20);
constexpr env::Duration kPause = std::chrono::milliseconds(100);
constexpr int64_t kUnuploadedBytesMax = 256ll << 20;  // of a broker
constexpr double kIdempotentShare = 0.95;

Task<Result<void>> make_topic(Course& course, std::string name, int32_t partitions,
                              std::string role) {
  auto id = co_await course.target->create_topic(name, partitions);
  course.act("topic.create", name, id ? "done" : id.error().message);
  if (!id) co_return fail(id.error());
  course.made.topics.push_back({name, *id});
  if (!role.empty())
    course.run.topics.push_back(
        {.name = name, .id = *id, .partitions = partitions, .role = std::move(role)});
  co_return Result<void>{};
}

std::string topic_prefix(const Course& course) {
  return fmt::format("{}{}", kTopicPrefix, course.run.run_id);
}
std::string canary_topic(const Course& course) {
  return topic_prefix(course) + "-canary";
}

Task<Result<void>> make_topics(Course& course) {
  const std::string prefix = topic_prefix(course);
  const Plan::LoadSpec& load = course.plan.load;
  const auto partitions = static_cast<int32_t>(load.partitions);
  for (unsigned topic = 1; topic <= load.topics; ++topic)
    CO_TRY_VOID(co_await make_topic(course, fmt::format("{}-probe-{}", prefix, topic), partitions,
                                    "probe"));
  CO_TRY_VOID(co_await make_topic(course, prefix + "-transfer",
                                  static_cast<int32_t>(load.transfer_partitions), "transfer"));
  if (load.bystanders > 0)
    CO_TRY_VOID(co_await make_topic(course, prefix + "-bystander",
                                    static_cast<int32_t>(load.bystanders), "bystander"));
  // Its records are in no ledger: it is what the clean-up of a run may remove before all is read
  // back.
  co_return co_await make_topic(course, canary_topic(course), 1, "");
}

Task<Result<void>> wait_led(Course& course) {
  const env::Instant deadline = course.shard.now() + kLedWithin;
  std::string lacking = "nothing";
  while (course.shard.now() < deadline) {
    const auto view = co_await course.target->look();
    lacking = view ? "" : view.error().message;
    if (view) {
      for (const auto& made : course.made.topics) {
        const auto* topic = view->find_topic(made.name);
        const bool led =
            topic && !topic->partitions.empty() &&
            std::ranges::all_of(topic->partitions, [](const auto& one) { return one.leader >= 0; });
        if (!led) lacking = made.name;
      }
      if (lacking.empty()) {
        const auto* first = view->find_topic(course.run.topics.front().name);
        course.replicas = static_cast<int64_t>(first->partitions.front().replicas.size());
        co_return Result<void>{};
      }
    }
    co_await env::sleep_for(course.shard, kPause);
  }
  co_return fail(Code::timed_out, fmt::format("{} has no leader", lacking));
}

// Where the plan names none: our topic is open to the load, and a topic of the cluster's own to
// nobody, on every cluster that has Kafka's manners.
std::vector<probe::Options::Right> rights_of(const Course& course) {
  const std::string canary = canary_topic(course);
  if (course.plan.rights.empty())
    return {{.name = "write", .operation = "write", .topic = canary, .allowed = true},
            {.name = "read", .operation = "read", .topic = canary, .allowed = true},
            {.name = "write-internal",
             .operation = "write",
             .topic = "__consumer_offsets",
             .allowed = false}};
  auto rights = course.plan.rights;
  for (auto& right : rights)
    if (right.topic.empty()) right.topic = canary;
  return rights;
}

probe::Options load_options(const Course& course) {
  const Plan::LoadSpec& load = course.plan.load;
  probe::Options options;
  options.bootstrap = course.run.target.bootstrap;
  options.run_id = course.run.run_id;
  options.seed = course.run.seed;
  options.settings = load.clients;
  options.topics = course.run.topics;
  options.interval = std::chrono::duration_cast<env::Duration>(
      std::chrono::duration<double, std::milli>(load.interval_ms));
  options.producers = load.producers;
  options.group_members = load.group_members;
  options.accounts = load.accounts;
  options.transactions = course.transactions;
  options.bystanders = load.bystanders;
  options.value_bytes = load.value_bytes;
  options.rights = rights_of(course);
  options.external = load.external;
  return options;
}

Task<Result<void>> start_load(Course& course) {
  Course* self = &course;
  course.saboteur = std::make_unique<Saboteur>(
      course.plan.sabotage, [self](const evidence::LedgerRow& row) { self->keeper->add(row); });
  probe::Witness witness{
      .event = [self](evidence::Event event) { self->keeper->add(std::move(event)); },
      .row = [self](const evidence::LedgerRow& row) { self->saboteur->row(row); }};
  CO_TRY(course.load,
         co_await course.start_load(course.shard, load_options(course), std::move(witness)));
  course.run.clients = course.load->clients();
  course.keeper->describe(course.run);
  co_return Result<void>{};
}

void note(Course& course, Readiness item) {
  auto event = course.event("readiness.checked");
  event.figures = {{"item", item.item},
                   {"pass", item.pass},
                   {"measured", item.measured},
                   {"limit", item.limit},
                   {"evidence", item.evidence.empty() ? "timeline.ndjson" : item.evidence},
                   {"expires", rfc3339(course.shard.wall_ms() + item.valid_for_s * 1000)}};
  course.progress->say(fmt::format("   {}: {}, {}", item.item, item.pass, item.measured));
  course.add(std::move(event));
}

// A partition of ours goes to somebody else, and back, while clients write and read it.
Task<Result<void>> move_canary(Course& course) {
  CO_TRY(const ClusterView view, co_await course.target->look());
  const auto* topic = view.find_topic(course.run.topics.front().name);
  if (!topic || topic->partitions.empty())
    co_return fail(Code::not_found, "the topic of the canary is not there");
  const auto& partition = topic->partitions.front();
  // Where brokers own no data, whoever lives can lead; elsewhere a replica.
  std::vector<int32_t> candidates = partition.in_sync;
  if (course.target->any_broker_leads()) {
    candidates.clear();
    for (const auto& broker : view.brokers) candidates.push_back(broker.id);
  }
  std::erase(candidates, partition.leader);
  if (candidates.empty()) co_return fail(Code::unsupported, "nobody else could lead it");
  Kafka::Named there{topic->name, partition.index, {candidates.front()}};
  for (int32_t id : partition.replicas)
    if (id != candidates.front() && there.replicas.size() < partition.replicas.size())
      there.replicas.push_back(id);
  const Kafka::Named back{topic->name, partition.index, partition.replicas};
  const auto what =
      fmt::format("{}-{} to broker {}", topic->name, partition.index, candidates.front());
  const auto moved = co_await course.target->move({there});
  course.act("leader.move", what, moved ? "done" : moved.error().message);
  if (!moved) co_return fail(moved.error());
  (void)co_await course.wait(course.canary);
  const auto returned = co_await course.target->move({back});
  course.act("leader.move", fmt::format("{}-{} back", topic->name, partition.index),
             returned ? "done" : returned.error().message);
  (void)co_await course.wait(course.canary / 2);
  co_return returned;
}

Task<Readiness> check_clients(Course& course) {
  Readiness item{.item = "client_behaviour",
                 .limit = "95 % of producers idempotent with acks=all; no error at a canary move",
                 .evidence = "run.json, ledger.bin",
                 .valid_for_s = 30 * 86'400};
  const probe::Glance before = course.load->glance();
  std::vector<std::string>* seen = &course.events_of_canary;
  auto listening = std::make_shared<bool>(true);
  course.keeper->listen([seen, listening](const evidence::Event& event) {
    if (*listening && std::ranges::find(*seen, event.type) == seen->end())
      seen->push_back(event.type);
  });
  const auto moved = co_await move_canary(course);
  co_await course.target->catch_up(std::chrono::seconds(2));
  course.note_storage("during", co_await course.target->storage());
  *listening = false;
  const probe::Glance after = course.load->glance();
  if (after.acked > before.acked) seen->emplace_back("acked");
  if (after.lag < static_cast<int64_t>(after.acked)) seen->emplace_back("read");
  size_t producers = 0, safe = 0;
  for (const auto& client : course.load->clients()) {
    if (client.acks.empty()) continue;  // it does not produce
    ++producers;
    if (client.idempotent && (client.acks == "all" || client.acks == "-1")) ++safe;
  }
  const uint64_t failed = after.failed - before.failed;
  item.measured = fmt::format("{} of {} producers idempotent with acks=all; {} acked, {} failed",
                              safe, producers, after.acked - before.acked, failed);
  if (!moved) {
    item.pass = "grey";
    item.measured += fmt::format("; no canary move: {}", moved.error().message);
  } else if (failed > 0 || after.acked == before.acked) {
    item.pass = "red";
  } else {
    const bool enough =
        static_cast<double>(safe) >= kIdempotentShare * static_cast<double>(producers);
    item.pass = enough ? "green" : "amber";
  }
  co_return item;
}

Task<Readiness> check_storage(Course& course) {
  Readiness item{.item = "storage_ownership",
                 .limit =
                     "nothing without a leader, at most 256 MiB a broker not uploaded, no "
                     "replica behind, nothing reassigning"};
  const auto view = co_await course.target->look();
  const StorageFigures figures = co_await course.target->storage();
  if (!view) {
    item.pass = "grey";
    item.measured = view.error().message;
    co_return item;
  }
  const auto brokers = static_cast<int64_t>(std::max<size_t>(view->brokers.size(), 1));
  item.measured = fmt::format("{} without a leader", view->leaderless());
  bool sound = view->leaderless() == 0, known = false;
  const auto weigh = [&](const std::optional<int64_t>& value, int64_t limit, const char* what) {
    if (!value) return;
    known = true;
    sound = sound && *value <= limit;
    item.measured += fmt::format(", {} {}", *value, what);
  };
  weigh(figures.unuploaded_bytes, kUnuploadedBytesMax * brokers, "bytes not uploaded");
  weigh(figures.replicas_out_of_sync, 0, "partitions with a replica behind");
  weigh(figures.reassigning, 0, "reassigning");
  item.pass = !sound ? "red" : known ? "green" : "grey";
  co_return item;
}

Task<Readiness> check_headroom(Course& course) {
  Readiness item{.item = "capacity_headroom",
                 .limit = "with one broker less: 70 % of processors and memory, amber to 85 %"};
  const Headroom headroom = co_await course.target->headroom();
  if (!headroom.cpu_share) {
    item.pass = "grey";
    item.measured = headroom.why_not;
    co_return item;
  }
  const double worst = std::max(*headroom.cpu_share, headroom.memory_share.value_or(0));
  item.pass = worst <= 0.70 ? "green" : worst <= 0.85 ? "amber" : "red";
  // These figures stand in the event that they are told in, and nowhere else.
  item.measured =
      fmt::format("{:.0f} % of the processors, {:.0f} % of the memory, by /proc as of now",
                  *headroom.cpu_share * 100, headroom.memory_share.value_or(0) * 100);
  co_return item;
}

// Each asked for itself.
Task<std::set<int32_t>> who_answers(Course& course, ClusterView view) {
  std::set<int32_t> answering;
  for (const auto& broker : view.brokers) {
    std::vector<int32_t> one{broker.id};
    const auto answered = co_await course.target->whole(std::move(one));
    if (answered) answering.insert(broker.id);
  }
  co_return answering;
}

}  // namespace

Task<void> measure_clocks(Course& course) {
  for (const ClockBound& bound : co_await course.target->clocks()) {
    auto event = course.event("clock.measured");
    event.figures = {{"of", bound.of},
                     {"offset_ns", bound.offset_ns},
                     {"err_ns", bound.err_ns},
                     {"rounds", static_cast<int64_t>(bound.rounds)}};
    course.add(std::move(event));
    const double ms = static_cast<double>(std::abs(bound.offset_ns) + bound.err_ns) / 1e6;
    course.clock_bound_ms = std::max(course.clock_bound_ms.value_or(0), ms);
  }
}

Task<void> readiness_phase(Course& course) {
  Phase phase(course, "P1", "readiness");
  co_await measure_clocks(course);
  Course* self = &course;
  course.target->follow([self](evidence::Event event) { self->add(std::move(event)); });
  auto ready = co_await make_topics(course);
  if (ready) ready = co_await wait_led(course);
  if (ready) ready = co_await start_load(course);
  if (!ready) {
    course.stop(Halt::failed, fmt::format("no load: {}", ready.error().message));
    co_return;
  }
  if (!co_await course.wait(course.warm)) co_return;
  const Readiness clients = co_await check_clients(course);
  note(course, clients);
  const Readiness storage = co_await check_storage(course);
  note(course, storage);
  note(course, co_await check_headroom(course));
  if (const auto view = co_await course.target->look())
    note(course,
         check_routing(*view, course.run.target.bootstrap, co_await who_answers(course, *view)));
  note(course,
       check_rollback_readiness(course.plan, course.run.rollback.owner, course.shard.wall_ms()));
  note(course, check_observability(course.events_of_canary, course.run.target.observes,
                                   course.clock_bound_ms));
  // A cluster that is ill already is not hurt any more.
  for (const Readiness* item : {&clients, &storage})
    if (item->pass == "red")
      course.stop(Halt::refused, fmt::format("not ready: {}: {}", item->item, item->measured));
}

Task<void> baseline_phase(Course& course) {
  const auto length = std::chrono::duration_cast<env::Duration>(
      std::chrono::duration<double>(course.plan.baseline_s));
  // With the probes at rest, and beside them.
  const env::Duration each = std::chrono::seconds(course.options.quick ? 2 : 4);
  const bool overhead = course.plan.load.bystanders > 0;
  Phase phase(course, "P2", "baseline", {}, length + (overhead ? 2 * each : env::Duration(0)));
  if (overhead) co_await course.load->measure_overhead(each);
  if (!co_await course.wait(length)) co_return;
  const auto view = co_await course.target->look();
  if (!view) {
    course.stop(Halt::failed, fmt::format("the cluster does not answer: {}", view.error().message));
    co_return;
  }
  course.before = *view;
  course.note_leaders("before", *view);
  course.note_storage("before", co_await course.target->storage());
}

}  // namespace paceline::drill
