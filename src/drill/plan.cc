#include "drill/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "drill/toml_text.h"

namespace paceline::drill {
namespace {

constexpr double kDefaultHold = 30;
constexpr std::string_view kSelectors[] = {"leader-of-most", "coordinator", "controller"};

constexpr std::string_view kRows[] = {"leaders",  "storage",  "capacity", "governance",
                                      "rollback", "evidence", "business"};

using Problems = std::vector<std::string>;

bool is_number(std::string_view text) {
  return !text.empty() && text.size() < 10 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

// `a.b = 1` without quotes is a table in a table, and means the same.
void add_settings(Reader& of, const std::string& prefix, const Node& table,
                  std::map<std::string, std::string>& all) {
  for (const auto& [key, value] : table.fields) {
    const std::string name = prefix.empty() ? key : prefix + "." + key;
    switch (value.kind) {
      case Node::Kind::text:
        all[name] = value.text;
        break;
      case Node::Kind::integer:
        all[name] = std::to_string(value.integer);
        break;
      case Node::Kind::real:
        all[name] = fmt::format("{}", value.real);
        break;
      case Node::Kind::flag:
        all[name] = value.flag ? "true" : "false";
        break;
      case Node::Kind::table:
        add_settings(of, name, value, all);
        break;
      case Node::Kind::list:
      case Node::Kind::none:
        of.complain(value.line, fmt::format("'{}' is neither text nor a number", name));
    }
  }
}

std::map<std::string, std::string> settings_of(Reader& of, const char* name) {
  std::map<std::string, std::string> all;
  if (const Node* table = of.table(name)) add_settings(of, "", *table, all);
  return all;
}

// librdkafka's. A plan is evidence, and goes to whoever reads the report.
std::map<std::string, std::string> client_settings_of(Reader& of, const char* name) {
  constexpr std::string_view kSecrets[] = {
      "sasl.password",           "sasl.oauthbearer.client.secret",
      "sasl.oauthbearer.config", "ssl.key.pem",
      "ssl.key.password",        "ssl.keystore.password"};
  auto all = settings_of(of, name);
  for (const std::string_view secret : kSecrets)
    if (const auto found = all.find(std::string(secret));
        found != all.end() && !found->second.starts_with(kFromEnvironment))
      of.complain(of.line(), fmt::format("has '{}' in plain words: name a variable of the "
                                         "environment instead, \"env:NAME\"",
                                         secret));
  return all;
}

Plan::Rollback rollback_of(const Node* table, Problems& problems) {
  Reader reader(table, "[rollback]", problems);
  return {.point = reader.word("point"),
          .command = reader.word("command"),
          .owner = reader.word("owner"),
          .rule = reader.word("rule"),
          .rehearsed = reader.word("rehearsed"),
          .rehearsed_ms = reader.integer("rehearsed_ms", 0, 0, 86'400'000)};
}

Plan::LoadSpec load_of(const Node* table, Problems& problems) {
  Reader reader(table, "[load]", problems);
  Plan::LoadSpec load;
  const auto count = [&](const char* name, unsigned otherwise, int64_t low, int64_t high) {
    return static_cast<unsigned>(reader.integer(name, otherwise, low, high));
  };
  load.topics = count("topics", load.topics, 1, 16);
  load.partitions = count("partitions", load.partitions, 1, 1000);
  load.transfer_partitions = count("transfer_partitions", load.transfer_partitions, 1, 100);
  load.producers = count("producers", load.producers, 1, 64);
  load.group_members = count("group_members", load.group_members, 1, 64);
  load.accounts = count("accounts", load.accounts, 2, 65'536);
  load.bystanders = count("bystanders", load.bystanders, 0, 64);
  load.interval_ms = reader.number("interval_ms", load.interval_ms, 1, 10'000);
  load.value_bytes = count("value_bytes", static_cast<unsigned>(load.value_bytes), 128, 65'536);
  if (reader.any("transactions")) load.transactions = reader.flag("transactions", false);
  load.clients = client_settings_of(reader, "clients");
  if (const Node* external = reader.list("external")) {
    for (const Node& one : external->items) {
      std::vector<std::string> argv;
      for (const Node& word : one.items)
        if (word.kind == Node::Kind::text) argv.push_back(word.text);
      if (one.kind != Node::Kind::list || argv.empty() || argv.size() != one.items.size())
        reader.complain(one.line, "'external' is to be a list of command lines, each a list");
      load.external.push_back(std::move(argv));
    }
  }
  return load;
}

void read_rights(Reader& top, Plan& plan, Problems& problems) {
  const Node* rights = top.list("right");
  if (!rights) return;
  if (rights->items.size() > 64) top.complain(rights->line, "has more than 64 rights");
  for (size_t i = 0; i < rights->items.size(); ++i) {
    const Node& table = rights->items[i];
    Reader reader(&table, fmt::format("right {}", i + 1), problems);
    probe::Options::Right right;
    right.operation = reader.word("operation");
    if (right.operation != "write" && right.operation != "read")
      reader.complain(table.line, "'operation' is to be write or read");
    right.topic = reader.word("topic");
    right.name = reader.word("name", fmt::format("{}-{}", i + 1, right.operation));
    if (!reader.any("allowed")) reader.complain(table.line, "does not say what is 'allowed'");
    right.allowed = reader.flag("allowed", true);
    right.client = client_settings_of(reader, "client");
    plan.rights.push_back(std::move(right));
  }
}

void check_broker(Reader& reader, const Plan::Step& step, unsigned line) {
  if (step.broker.empty() || is_number(step.broker)) return;
  if (std::ranges::find(kSelectors, step.broker) == std::end(kSelectors))
    reader.complain(line, fmt::format("broker '{}' is neither a number nor one of leader-of-most, "
                                      "coordinator, controller",
                                      step.broker));
}

std::string broker_of(Reader& reader) {
  const Node* node = reader.any("broker");
  if (!node) return {};
  if (node->kind == Node::Kind::integer && node->integer >= 0) return std::to_string(node->integer);
  if (node->kind != Node::Kind::text)
    reader.complain(node->line, "'broker' is to be an id or a way to choose one");
  return node->text;
}

Plan::Step step_of(const Node& table, size_t index, Problems& problems) {
  Reader reader(&table, fmt::format("step {}", index + 1), problems);
  Plan::Step step;
  const std::string fault = reader.word("fault");
  const auto known = parse_fault(fault);
  if (!known) reader.complain(table.line, fmt::format("knows no fault '{}'", fault));
  step.fault = known.value_or(Fault::kill);
  const FaultLook& look = look_of(step.fault);
  step.id = reader.word("id", fmt::format("{}-{}", index + 1, fault));
  step.owner = reader.word("owner");
  step.broker = broker_of(reader);
  check_broker(reader, step, table.line);
  step.zone = reader.word("zone");
  if (step.broker.empty() && step.zone.empty() && look.one_broker) step.broker = "leader-of-most";
  step.direction = reader.word("direction", step.direction);
  constexpr std::string_view kDirections[] = {"both", "in", "out", "cluster"};
  if (std::ranges::find(kDirections, step.direction) == std::end(kDirections))
    reader.complain(table.line, "'direction' is to be both, in, out or cluster");
  step.hold_s = reader.number("hold_s", look.needs_heal ? kDefaultHold : 0, 0, 3600);
  if (!look.needs_heal && step.hold_s > 0)
    reader.complain(table.line, fmt::format("'{}' does not last: no hold_s", fault));
  step.settings = settings_of(reader, "settings");
  step.if_possible = reader.flag("if_possible", false);
  if (known == Fault::cut && step.zone.empty() && step.broker.empty())
    reader.complain(table.line, "a cut needs a zone or a broker");
  if (!step.zone.empty() && !step.broker.empty())
    reader.complain(table.line, "names a zone and a broker: one failure domain at a time");
  return step;
}

void read_steps(Reader& top, Plan& plan, Problems& problems) {
  const Node* steps = top.list("step");
  if (!steps || steps->items.empty()) {
    problems.emplace_back("line 1: the plan has no [[step]]");
    return;
  }
  std::set<std::string> ids;
  for (size_t i = 0; i < steps->items.size(); ++i) {
    plan.steps.push_back(step_of(steps->items[i], i, problems));
    if (!ids.insert(plan.steps.back().id).second)
      top.complain(steps->items[i].line, fmt::format("has two steps '{}'", plan.steps.back().id));
  }
  if (plan.steps.size() > 64) top.complain(steps->line, "has more than 64 steps");
}

Plan read(const Node& root, Problems& problems) {
  Plan plan;
  Reader top(&root, "the plan", problems);
  plan.name = top.word("name", "unnamed");
  plan.seed = static_cast<uint64_t>(top.integer("seed", 0, 0, INT64_MAX));
  plan.sabotage = top.word("sabotage");
  if (!plan.sabotage.empty() && !is_sabotage(plan.sabotage))
    top.complain(1, fmt::format("knows no sabotage '{}'", plan.sabotage));
  plan.rollback = rollback_of(top.table("rollback"), problems);
  plan.load = load_of(top.table("load"), problems);
  read_rights(top, plan, problems);
  {
    Reader baseline(top.table("baseline"), "[baseline]", problems);
    plan.baseline_s = baseline.number("seconds", plan.baseline_s, 1, 86'400);
    Reader observe(top.table("observe"), "[observe]", problems);
    plan.observe_s = observe.number("seconds", plan.observe_s, 1, 86'400);
    Reader guard(top.table("guard"), "[guard]", problems);
    plan.guard.errors_share = guard.number("errors_share", plan.guard.errors_share, 0, 1);
    plan.guard.window_s = guard.number("window_s", plan.guard.window_s, 0, 3600);
    plan.guard.staleness_s = guard.number("staleness_s", plan.guard.staleness_s, 1, 86'400);
    Reader needs(top.table("requires"), "[requires]", problems);
    plan.needs.brokers = static_cast<unsigned>(needs.integer("brokers", 1, 1, 10'000));
    plan.needs.rows = needs.words("rows");
    for (const std::string& row : plan.needs.rows)
      if (std::ranges::find(kRows, row) == std::end(kRows))
        needs.complain(needs.line(), fmt::format("knows no row '{}' of the scorecard", row));
  }
  if (const Node* limits = top.table("limits")) {
    for (const auto& [name, value] : limits->fields) {
      if (value.kind != Node::Kind::integer && value.kind != Node::Kind::real)
        top.complain(value.line, fmt::format("limit '{}' is to be a number", name));
      plan.limits[name] = value.real;
    }
  }
  read_steps(top, plan, problems);
  return plan;
}

}  // namespace

bool is_sabotage(std::string_view word) {
  return word == "drop-ack" || word == "double-record" || word == "drop-ack,double-record";
}

std::expected<Plan, std::vector<std::string>> parse_plan(std::string_view text) {
  const auto root = parse_toml(text);
  if (!root) return std::unexpected(Problems{root.error().message});
  Problems problems;
  Plan plan = read(*root, problems);
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return plan;
}

Result<void> take_from_environment(
    Plan& plan, const std::function<std::optional<std::string>(const std::string&)>& variable) {
  std::vector<std::map<std::string, std::string>*> all = {&plan.load.clients};
  for (auto& right : plan.rights) all.push_back(&right.client);
  for (auto* settings : all)
    for (auto& [key, value] : *settings) {
      if (!value.starts_with(kFromEnvironment)) continue;
      const std::string name = value.substr(kFromEnvironment.size());
      auto told = variable(name);
      if (!told)
        return fail(Code::invalid_argument,
                    fmt::format("{}: there is no variable '{}' in the environment", key, name));
      value = std::move(*told);
    }
  return {};
}

void shorten(Plan& plan) {
  plan.baseline_s = std::min(plan.baseline_s, 6.0);
  plan.observe_s = std::min(plan.observe_s, 12.0);
  for (Plan::Step& step : plan.steps) step.hold_s = std::min(step.hold_s, 12.0);
}

}  // namespace paceline::drill
