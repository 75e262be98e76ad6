#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "app/check_command.h"
#include "app/commands.h"
#include "app/config.h"
#include "app/cost_command.h"
#include "app/dev_command.h"
#include "app/dev_state.h"
#include "app/dev_store_proxy.h"
#include "app/drill_command.h"
#include "app/events_command.h"
#include "app/serve.h"
#include "env/real_env.h"

extern char** environ;

// jemalloc's word for its options: what is freed goes back to the system within a second, also when
// nobody asks for memory any more.
extern "C" const char* malloc_conf;
const char* malloc_conf = "background_thread:true,narenas:4,dirty_decay_ms:500,muzzy_decay_ms:0";

namespace paceline::app {
namespace {

Result<std::string> read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Code::not_found, "no such file, or not readable");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** at = environ; *at; ++at) {
    const std::string_view text(*at);
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      variables[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  }
  return variables;
}

// Runs one command's task on a world of one shard.
template <class Make>
int run_command(Make make) {
  env::RealEnv env({.shards = 1});
  int exit_code = kFailed;
  auto body = [](env::RealEnv* world, Make* start, int* code) -> Task<void> {
    *code = co_await (*start)(world->shard(0));
    world->stop();
  };
  env.shard(0).spawn(body(&env, &make, &exit_code));
  env.run();
  return exit_code;
}

struct Format {
  std::string bootstrap = "127.0.0.1:9092";
  std::string format = "table";
  Target target() const { return {bootstrap, format == "json"}; }
};

void add_target(CLI::App& command, Format& format) {
  command.add_option("-b,--bootstrap-server,--brokers", format.bootstrap, "a broker, HOST:PORT")
      ->capture_default_str()
      ->envname("PACELINE_BROKERS");
  command.add_option("--format", format.format, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
}

void add_serve(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App& serve_command = *app.add_subcommand("serve", "run a broker");
  serve_command
      .add_option("--config", options->config_files, "a server.properties; later files win")
      ->envname("PACELINE_CONFIG");
  serve_command.add_option("--data", options->data, "the folder of everything")
      ->capture_default_str()
      ->envname("PACELINE_DATA");
  serve_command.add_option("--listen", options->listen, "HOST:PORT, instead of the listeners key")
      ->envname("PACELINE_LISTEN");
  serve_command.add_option("-o,--override", options->overrides,
                           "key=value, stronger than files; repeatable");
  serve_command.add_flag("--strict-config", options->strict, "an unknown key is an error");
  serve_command.callback([options, &exit_code] {
    options->environment = environment();
    auto config = load_config(*options, read_text);
    exit_code = config ? serve(*config) : complain(kFailed, config.error().message);
  });
}

void add_dev(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<DevOptions>();
  auto status = std::make_shared<bool>(false);
  auto format = std::make_shared<std::string>("table");
  CLI::App& command = *app.add_subcommand("dev", "a local cluster of real processes, until Ctrl-C");
  command.add_option("--brokers", options->brokers)->capture_default_str();
  command
      .add_option("--store", options->store,
                  "where history and log are: a shared folder, or a Ceph RGW in memory")
      ->check(CLI::IsMember({"folder", "s3"}))
      ->capture_default_str();
  command.add_option("--dir", options->folder,
                     "the folder of everything, kept and continued; without it nothing stays");
  command.add_option("--port", options->port, "of the first broker; all others follow from it")
      ->capture_default_str();
  command.add_flag("--any-port", options->any_port, "other ports if one of these is taken");
  command.add_option("--etcd-members", options->etcd_members)->capture_default_str();
  command.add_flag("!--no-restart", options->restart, "what has ended stays away");
  command.add_flag("--hosts", options->hosts,
                   "each broker in a network namespace of its own, so that drills can cut its ways "
                   "(root)");
  command.add_option("--racks", options->racks, "of the brokers, by turns: east,west,north")
      ->delimiter(',');
  command.add_option("-o,--override", options->overrides, "key=value of every broker; repeatable");
  command.add_flag("--status", *status, "shows the cluster in --dir, or all that are found");
  command.add_option("--format", *format, "of --status: table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command.callback([options, status, format, &exit_code] {
    exit_code = *status ? dev_status(options->folder, *format == "json") : dev(*options);
  });
}

// Started by `dev` itself.
void add_dev_store_proxy(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<StoreProxyOptions>();
  CLI::App& command =
      *app.add_subcommand("dev-store-proxy", "between brokers and a store")->group("");
  command.add_option("--listen", options->listen)->required();
  command.add_option("--store", options->store)->required();
  command.add_option("--admin-port", options->admin_port)->required();
  command.callback([options, &exit_code] { exit_code = dev_store_proxy(*options); });
}

void add_topic(CLI::App& app, int& exit_code) {
  CLI::App& topic = *app.add_subcommand("topic", "topics: list, create, describe, delete");
  topic.require_subcommand(1);
  auto format = std::make_shared<Format>();
  auto spec = std::make_shared<TopicSpec>();

  CLI::App& list = *topic.add_subcommand("list", "all topics");
  add_target(list, *format);
  list.callback([format, &exit_code] {
    exit_code = run_command([&](env::Shard& shard) { return topic_list(shard, format->target()); });
  });
  CLI::App& create = *topic.add_subcommand("create", "a new topic");
  add_target(create, *format);
  create.add_option("name", spec->name)->required();
  create.add_option("-p,--partitions", spec->partitions,
                    "how many; the broker's default otherwise");
  create.add_option("-r,--replication-factor", spec->replication_factor,
                    "reported; durability is the store's");
  create.add_option("-c,--config", spec->configs, "key=value of the topic; repeatable");
  create.callback([format, spec, &exit_code] {
    exit_code = run_command(
        [&](env::Shard& shard) { return topic_create(shard, format->target(), *spec); });
  });
  CLI::App& describe =
      *topic.add_subcommand("describe", "partitions, leaders and offsets of a topic");
  add_target(describe, *format);
  describe.add_option("name", spec->name)->required();
  describe.callback([format, spec, &exit_code] {
    exit_code = run_command(
        [&](env::Shard& shard) { return topic_describe(shard, format->target(), spec->name); });
  });
  CLI::App& remove = *topic.add_subcommand("delete", "a topic and all its records");
  add_target(remove, *format);
  auto yes = std::make_shared<bool>(false);
  remove.add_option("name", spec->name)->required();
  remove.add_flag("--yes", *yes, "without it nothing is deleted");
  remove.callback([format, spec, yes, &exit_code] {
    if (!*yes) {
      exit_code = complain(
          kRefused, fmt::format("this deletes topic '{}' with all its records; say --yes to do it",
                                spec->name));
      return;
    }
    exit_code = run_command(
        [&](env::Shard& shard) { return topic_delete(shard, format->target(), spec->name); });
  });
}

void add_group(CLI::App& app, int& exit_code) {
  CLI::App& group = *app.add_subcommand("group", "consumer groups: list, describe");
  group.require_subcommand(1);
  auto format = std::make_shared<Format>();
  auto name = std::make_shared<std::string>();
  CLI::App& list = *group.add_subcommand("list", "all groups");
  add_target(list, *format);
  list.callback([format, &exit_code] {
    exit_code = run_command([&](env::Shard& shard) { return group_list(shard, format->target()); });
  });
  CLI::App& describe = *group.add_subcommand("describe", "offsets and lag of a group");
  add_target(describe, *format);
  describe.add_option("group", *name)->required();
  describe.callback([format, name, &exit_code] {
    exit_code = run_command(
        [&](env::Shard& shard) { return group_describe(shard, format->target(), *name); });
  });
}

void add_leader(CLI::App& app, int& exit_code) {
  CLI::App& leader = *app.add_subcommand("leader", "who leads: list, move, drain");
  leader.require_subcommand(1);
  auto format = std::make_shared<Format>();
  auto named = std::make_shared<std::string>();
  auto broker = std::make_shared<int32_t>(-1);
  auto wait = std::make_shared<bool>(false);
  CLI::App& list = *leader.add_subcommand("list", "partitions with their leaders and replicas");
  add_target(list, *format);
  list.add_option("partition", *named, "TOPIC or TOPIC:P; all without");
  list.callback([format, named, &exit_code] {
    exit_code = run_command(
        [&](env::Shard& shard) { return leader_list(shard, format->target(), *named); });
  });
  CLI::App& move = *leader.add_subcommand("move", "make a broker lead, now and by preference");
  add_target(move, *format);
  move.add_option("partition", *named, "TOPIC or TOPIC:P")->required();
  move.add_option("--to", *broker, "the broker's id")->required();
  move.callback([format, named, broker, &exit_code] {
    exit_code = run_command(
        [&](env::Shard& shard) { return leader_move(shard, format->target(), *named, *broker); });
  });
  CLI::App& drain = *leader.add_subcommand("drain", "let others lead what a broker leads");
  add_target(drain, *format);
  drain.add_option("broker", *broker, "the broker's id")->required();
  drain.add_flag("--wait", *wait, "until it leads nothing, for a minute at most");
  drain.callback([format, broker, wait, &exit_code] {
    exit_code = run_command(
        [&](env::Shard& shard) { return leader_drain(shard, format->target(), *broker, *wait); });
  });
}

void add_events(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<EventsOptions>();
  auto format = std::make_shared<std::string>("text");
  CLI::App& command =
      *app.add_subcommand("events", "the timeline: every step of every failover and every move");
  command
      .add_option("-b,--bootstrap-server,--brokers", options->bootstrap,
                  "brokers, HOST:PORT, with commas between them")
      ->capture_default_str()
      ->envname("PACELINE_BROKERS");
  command.add_flag("-f,--follow", options->follow, "goes on until Ctrl-C, whoever leads");
  command.add_option("--format", *format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command.add_option("--cause", options->cause,
                     "only what belongs to one failover (the dead lane, 1.7) or one move");
  command.add_option("--since", options->since, "2026-01-31T12:00:00Z, or -15m");
  command.callback([options, format, &exit_code] {
    options->json = *format == "json";
    exit_code = run_command([&](env::Shard& shard) { return events(shard, *options); });
  });
}

void add_cluster(CLI::App& app, int& exit_code) {
  CLI::App& cluster = *app.add_subcommand("cluster", "all brokers together: balance");
  cluster.require_subcommand(1);
  auto format = std::make_shared<Format>();
  auto dry_run = std::make_shared<bool>(false);
  CLI::App& balance =
      *cluster.add_subcommand("balance", "let each broker lead its share, and say what moves why");
  add_target(balance, *format);
  balance.add_flag("--dry-run", *dry_run, "only say it");
  balance.callback([format, dry_run, &exit_code] {
    exit_code = run_command(
        [&](env::Shard& shard) { return cluster_balance(shard, format->target(), *dry_run); });
  });
}

void add_config(CLI::App& app, int& exit_code) {
  CLI::App& config = *app.add_subcommand("config", "configuration: get, set, lint");
  config.require_subcommand(1);
  auto format = std::make_shared<Format>();
  auto resource = std::make_shared<std::string>();
  auto values = std::make_shared<std::vector<std::string>>();
  CLI::App& get =
      *config.add_subcommand("get", "every key of topic/NAME or broker/ID, with its source");
  add_target(get, *format);
  get.add_option("resource", *resource)->required();
  get.callback([format, resource, &exit_code] {
    exit_code = run_command(
        [&](env::Shard& shard) { return config_get(shard, format->target(), *resource); });
  });
  CLI::App& set =
      *config.add_subcommand("set", "key=value sets, key alone goes back to the default");
  add_target(set, *format);
  set.add_option("resource", *resource)->required();
  set.add_option("values", *values)->required();
  set.callback([format, resource, values, &exit_code] {
    exit_code = run_command(
        [&](env::Shard& shard) { return config_set(shard, format->target(), *resource, *values); });
  });
  CLI::App& lint = *config.add_subcommand("lint", "what serve would say of a server.properties");
  lint.add_option("file", *resource)->required();
  lint.callback([resource, &exit_code] {
    ServeOptions options;
    options.config_files = {*resource};
    auto loaded = load_config(options, read_text);
    if (!loaded) {
      exit_code = complain(kFailed, loaded.error().message);
      return;
    }
    for (const std::string& notice : loaded->notices) std::printf("%s\n", notice.c_str());
  });
}

void add_check(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<CheckOptions>();
  auto format = std::make_shared<std::string>("table");
  CLI::App& command =
      *app.add_subcommand("check", "prove what is durable: every offset once, every checksum");
  command.add_option("--data", options->data, "the folder")
      ->capture_default_str()
      ->envname("PACELINE_DATA");
  command.add_option("--metadata", options->places.metadata, "as paceline.metadata");
  command.add_option("--objects", options->places.objects, "as paceline.objects");
  command.add_option("--wal", options->places.wal, "as paceline.wal");
  command.add_option("--broker", options->broker, "whose data to prove; all brokers' without");
  command
      .add_option("--orphan-hours", options->orphan_hours_max,
                  "how old an object that nobody committed may be")
      ->capture_default_str();
  command.add_option("--ledger", options->ledger, "JSON lines of acknowledged records to look for");
  command.add_option("--format", *format, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command.callback([options, format, &exit_code] {
    options->json = *format == "json";
    options->places.environment = environment();
    exit_code = run_command([&](env::Shard& shard) { return check_places(shard, *options); });
  });
}

void add_cost(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<CostOptions>();
  auto format = std::make_shared<std::string>("table");
  CLI::App& command =
      *app.add_subcommand("cost", "what the object store bills for what a broker has done");
  command
      .add_option("--metrics", options->metrics,
                  "a broker's metrics: http://HOST:PORT/metrics or a file")
      ->capture_default_str();
  command.add_option("--prices", options->prices, "a price list; docs/prices.properties is one")
      ->required();
  command.add_option("--format", *format, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command.callback([options, format, &exit_code] {
    options->json = *format == "json";
    exit_code = run_command([&](env::Shard& shard) { return cost(shard, *options); });
  });
}

}  // namespace
}  // namespace paceline::app

int main(int argc, char** argv) {
  int exit_code = 0;
  CLI::App app("Paceline: a Kafka-compatible broker that owns no data");
  app.set_version_flag("--version", "paceline 0.1.0");
  app.require_subcommand(1);
  paceline::app::add_serve(app, exit_code);
  paceline::app::add_dev(app, exit_code);
  paceline::app::add_dev_store_proxy(app, exit_code);
  paceline::app::add_topic(app, exit_code);
  paceline::app::add_group(app, exit_code);
  paceline::app::add_leader(app, exit_code);
  paceline::app::add_events(app, exit_code);
  paceline::app::add_cluster(app, exit_code);
  paceline::app::add_config(app, exit_code);
  paceline::app::add_check(app, exit_code);
  paceline::app::add_cost(app, exit_code);
  paceline::app::add_drill(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : paceline::app::kUsage;
  }
  return exit_code;
}
