// What is JSON of the evidence, there and back. The one place here that knows how JSON is parsed.

#include <fmt/format.h>

#include <concepts>
#include <limits>
#include <nlohmann/json.hpp>

#include "evidence/event.h"
#include "evidence/run.h"

namespace paceline::evidence {
namespace {

using Json = nlohmann::ordered_json;  // as it is written
using Tree = nlohmann::json;          // as it is read: a field is found quickly

// What a library or a broker said may be no UTF-8; JSON must be.
std::string in_one_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json word(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}
template <class Value>
Json maybe(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

// Reads the fields of one object. Absent is as null: a field may be younger than the file. What is
// of a wrong kind is remembered with its path, and what is read then is nothing.
class Fields {
 public:
  Fields(const Tree& object, std::string path, std::string& wrong)
      : object_(object), path_(std::move(path)), wrong_(wrong) {
    if (!object.is_object()) is_wrong("", "an object");
  }

  bool read(const char* name, std::string& to) {
    const Tree* field = find(name);
    if (!field) return false;
    if (!field->is_string()) return is_wrong(name, "a text");
    to = field->get_ref<const std::string&>();
    return true;
  }
  bool read(const char* name, bool& to) {
    const Tree* field = find(name);
    if (!field) return false;
    if (!field->is_boolean()) return is_wrong(name, "true or false");
    to = field->get<bool>();
    return true;
  }
  bool read(const char* name, double& to) {
    const Tree* field = find(name);
    if (!field) return false;
    if (!field->is_number()) return is_wrong(name, "a number");
    to = field->get<double>();
    return true;
  }
  template <std::integral Whole>
  bool read(const char* name, Whole& to) {
    const Tree* field = find(name);
    if (!field) return false;
    if (field->is_number_unsigned() && std::in_range<Whole>(field->get<uint64_t>())) {
      to = static_cast<Whole>(field->get<uint64_t>());
      return true;
    }
    if (field->is_number_integer() && !field->is_number_unsigned() &&
        std::in_range<Whole>(field->get<int64_t>())) {
      to = static_cast<Whole>(field->get<int64_t>());
      return true;
    }
    return is_wrong(name, "a whole number in its bounds");
  }
  template <class Value>
  bool read(const char* name, std::optional<Value>& to) {
    Value value{};
    if (!read(name, value)) return false;
    to = std::move(value);
    return true;
  }
  // As read(), but it has to be there.
  template <class Value>
  void need(const char* name, Value& to) {
    if (!read(name, to)) is_wrong(name, "there");
  }
  // A name with nothing in it is none: it would be written as null.
  void need(const char* name, std::string& to) {
    if (!read(name, to) || to.empty()) is_wrong(name, "there");
  }

  template <class Item, class Read>
  void list(const char* name, std::vector<Item>& to, Read read_item) {
    const Tree* field = find(name);
    if (!field) return;
    if (!field->is_array()) {
      is_wrong(name, "an array");
      return;
    }
    for (size_t i = 0; i < field->size(); ++i)
      to.push_back(read_item((*field)[i], fmt::format("{}{}[{}]", path_, name, i)));
  }
  void words(const char* name, std::vector<std::string>& to) {
    list(name, to, [](const Tree& item, const std::string&) {
      return item.is_string() ? item.get<std::string>() : std::string();
    });
    for (const std::string& text : to)
      if (text.empty()) is_wrong(name, "an array of texts");
  }
  // The fields of an object inside; of an empty one if it is not there.
  Fields inside(const char* name) {
    static const Tree kNone = Tree::object();
    const Tree* field = find(name);
    return {field ? *field : kNone, path_ + name + ".", wrong_};
  }

  const Tree* find(const char* name) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  bool is_wrong(const char* name, const char* expected) {
    if (wrong_.empty())
      wrong_ =
          fmt::format("'{}{}' is not {}", path_.empty() && !*name ? "it" : path_, name, expected);
    return false;
  }

 private:
  const Tree& object_;
  std::string path_;
  std::string& wrong_;
};

void read_figures(const Tree& object, std::map<std::string, Figure>& to) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_number_unsigned() && !std::in_range<int64_t>(value.get<uint64_t>())) {
      to[name] = value.get<double>();
    } else if (value.is_number_integer()) {
      to[name] = value.get<int64_t>();
    } else if (value.is_number()) {
      to[name] = value.get<double>();
    } else if (value.is_boolean()) {
      to[name] = value.get<bool>();
    } else if (value.is_string()) {
      to[name] = value.get<std::string>();
    }
  }
}

// All but the run's id, which a broker does not know.
Event read_event(const Tree& json, std::string& wrong) {
  Event event;
  Fields fields(json, "", wrong);
  fields.read("run_id", event.run_id);
  fields.need("event_id", event.event_id);
  fields.need("source", event.source);
  fields.need("source_seq", event.source_seq);
  fields.need("t_mono_ns", event.t_mono_ns);
  fields.need("t_wall", event.t_wall);
  fields.read("clock_err_ns", event.clock_err_ns);
  fields.need("plane", event.plane);
  fields.need("type", event.type);
  fields.read("lane", event.lane);
  fields.read("topic", event.topic);
  fields.read("partition", event.partition);
  fields.read("leader_epoch", event.leader_epoch);
  fields.read("offset", event.offset);
  fields.read("object_key", event.object_key);
  fields.read("request_id", event.request_id);
  fields.read("client_id", event.client_id);
  fields.read("cause_id", event.cause_id);
  fields.read("value", event.value);
  fields.read("unit", event.unit);
  if (const Tree* figures = fields.find("figures")) {
    if (figures->is_object()) {
      read_figures(*figures, event.figures);
    } else {
      fields.is_wrong("figures", "an object");
    }
  }
  return event;
}

Json to_tree(const Run::Target& target) {
  Json brokers = Json::array();
  for (const auto& broker : target.brokers)
    brokers.push_back({{"id", broker.id},
                       {"host", word(broker.host)},
                       {"port", broker.port},
                       {"rack", word(broker.rack)}});
  return {{"profile", word(target.profile)},       {"name", word(target.name)},
          {"version", word(target.version)},       {"cluster_id", word(target.cluster_id)},
          {"bootstrap", word(target.bootstrap)},   {"config_hash", word(target.config_hash)},
          {"brokers", std::move(brokers)},         {"observes", Json(target.observes)},
          {"external_only", target.external_only}, {"sabotage", word(target.sabotage)}};
}

Json to_tree(const Run::Plan& plan) {
  Json steps = Json::array();
  for (const auto& step : plan.steps)
    steps.push_back({{"id", word(step.id)},
                     {"fault", word(step.fault)},
                     {"test", word(step.test)},
                     {"domain", word(step.domain)},
                     {"planned", step.planned},
                     {"owner", word(step.owner)}});
  return {{"name", word(plan.name)},
          {"sha256", word(plan.sha256)},
          {"baseline_s", plan.baseline_s},
          {"observe_s", plan.observe_s},
          {"requires", Json(plan.requires_rows)},
          {"steps", std::move(steps)}};
}

Json to_tree(const std::vector<Run::Topic>& topics) {
  Json list = Json::array();
  for (const auto& topic : topics)
    list.push_back({{"name", word(topic.name)},
                    {"id", word(topic.id)},
                    {"partitions", topic.partitions},
                    {"role", word(topic.role)}});
  return list;
}

Json to_tree(const std::vector<Run::Client>& clients) {
  Json list = Json::array();
  for (const auto& client : clients)
    list.push_back({{"name", word(client.name)},
                    {"kind", word(client.kind)},
                    {"library", word(client.library)},
                    {"version", word(client.version)},
                    {"zone", word(client.zone)},
                    {"group", word(client.group)},
                    {"topic", word(client.topic)},
                    {"idempotent", client.idempotent},
                    {"acks", word(client.acks)},
                    {"transactional", client.transactional}});
  return list;
}

Run::Broker read_broker(const Tree& json, std::string path, std::string& wrong) {
  Run::Broker broker;
  Fields fields(json, path + ".", wrong);
  fields.read("id", broker.id);
  fields.read("host", broker.host);
  fields.read("port", broker.port);
  fields.read("rack", broker.rack);
  return broker;
}

Run::Step read_step(const Tree& json, std::string path, std::string& wrong) {
  Run::Step step;
  Fields fields(json, path + ".", wrong);
  fields.need("id", step.id);
  fields.read("fault", step.fault);
  fields.read("test", step.test);
  fields.read("domain", step.domain);
  fields.read("planned", step.planned);
  fields.read("owner", step.owner);
  return step;
}

Run::Topic read_topic(const Tree& json, std::string path, std::string& wrong) {
  Run::Topic topic;
  Fields fields(json, path + ".", wrong);
  fields.need("name", topic.name);
  fields.read("id", topic.id);
  fields.read("partitions", topic.partitions);
  fields.read("role", topic.role);
  return topic;
}

Run::Client read_client(const Tree& json, std::string path, std::string& wrong) {
  Run::Client client;
  Fields fields(json, path + ".", wrong);
  fields.need("name", client.name);
  fields.read("kind", client.kind);
  fields.read("library", client.library);
  fields.read("version", client.version);
  fields.read("zone", client.zone);
  fields.read("group", client.group);
  fields.read("topic", client.topic);
  fields.read("idempotent", client.idempotent);
  fields.read("acks", client.acks);
  fields.read("transactional", client.transactional);
  return client;
}

void read_target(Fields fields, Run::Target& target, std::string& wrong) {
  fields.read("profile", target.profile);
  fields.read("name", target.name);
  fields.read("version", target.version);
  fields.read("cluster_id", target.cluster_id);
  fields.read("bootstrap", target.bootstrap);
  fields.read("config_hash", target.config_hash);
  fields.list("brokers", target.brokers, [&](const Tree& item, std::string path) {
    return read_broker(item, std::move(path), wrong);
  });
  fields.words("observes", target.observes);
  fields.read("external_only", target.external_only);
  fields.read("sabotage", target.sabotage);
}

void read_plan(Fields fields, Run::Plan& plan, std::string& wrong) {
  fields.read("name", plan.name);
  fields.read("sha256", plan.sha256);
  fields.read("baseline_s", plan.baseline_s);
  fields.read("observe_s", plan.observe_s);
  fields.words("requires", plan.requires_rows);
  fields.list("steps", plan.steps, [&](const Tree& item, std::string path) {
    return read_step(item, std::move(path), wrong);
  });
}

void read_rollback(Fields fields, Run::Rollback& rollback) {
  fields.read("point", rollback.point);
  fields.read("command", rollback.command);
  fields.read("owner", rollback.owner);
  fields.read("rule", rollback.rule);
  fields.read("rehearsed", rollback.rehearsed);
  fields.read("rehearsed_ms", rollback.rehearsed_ms);
}

}  // namespace

std::string to_json(const Event& event) {
  Json figures = Json::object();
  for (const auto& [name, figure] : event.figures)
    std::visit([&](const auto& value) { figures[name] = value; }, figure);
  return in_one_line({{"run_id", word(event.run_id)},
                      {"event_id", event.event_id},
                      {"source", event.source},
                      {"source_seq", event.source_seq},
                      {"t_mono_ns", event.t_mono_ns},
                      {"t_wall", event.t_wall},
                      {"clock_err_ns", maybe(event.clock_err_ns)},
                      {"plane", event.plane},
                      {"type", event.type},
                      {"lane", word(event.lane)},
                      {"topic", word(event.topic)},
                      {"partition", maybe(event.partition)},
                      {"leader_epoch", maybe(event.leader_epoch)},
                      {"offset", maybe(event.offset)},
                      {"object_key", word(event.object_key)},
                      {"request_id", word(event.request_id)},
                      {"client_id", word(event.client_id)},
                      {"cause_id", word(event.cause_id)},
                      {"value", maybe(event.value)},
                      {"unit", word(event.unit)},
                      {"figures", std::move(figures)}});
}

Result<Event> parse_event(std::string_view line) {
  std::string wrong;
  const Tree json = Tree::parse(line, nullptr, false);
  if (json.is_discarded()) return fail(Code::corrupt, "an event that is no JSON");
  Event event = read_event(json, wrong);
  if (wrong.empty() && event.run_id.empty()) wrong = "'run_id' is not there";
  if (!wrong.empty()) return fail(Code::corrupt, fmt::format("an event whose {}", wrong));
  return event;
}

Result<Event> parse_broker_event(std::string_view cloud_event) {
  std::string wrong;
  const Tree json = Tree::parse(cloud_event, nullptr, false);
  if (!json.is_object() || !json.contains("data"))
    return fail(Code::corrupt, "a broker's event that is none");
  Event event = read_event(json["data"], wrong);
  if (!wrong.empty()) return fail(Code::corrupt, fmt::format("a broker's event whose {}", wrong));
  event.source = "paceline:" + event.source;
  event.event_id = fmt::format("{}-{}", event.source, event.source_seq);
  event.figures["own_t_mono_ns"] = event.t_mono_ns;
  return event;
}

std::string to_json(const Run& run) {
  const Json rollback = {{"point", word(run.rollback.point)},
                         {"command", word(run.rollback.command)},
                         {"owner", word(run.rollback.owner)},
                         {"rule", word(run.rollback.rule)},
                         {"rehearsed", word(run.rollback.rehearsed)},
                         {"rehearsed_ms", maybe(run.rollback.rehearsed_ms)}};
  const Json json = {{"schema", 1},
                     {"run_id", word(run.run_id)},
                     {"seed", run.seed},
                     {"began", word(run.began)},
                     {"ended", word(run.ended)},
                     {"began_ns", run.began_ns},
                     {"ended_ns", run.ended_ns},
                     {"outcome", run.outcome},
                     {"reason", word(run.reason)},
                     {"tool",
                      {{"version", word(run.tool_version)},
                       {"build", word(run.build)},
                       {"librdkafka", word(run.librdkafka)},
                       {"command", word(run.command)}}},
                     {"target", to_tree(run.target)},
                     {"plan", to_tree(run.plan)},
                     {"rollback", rollback},
                     {"limits", Json(run.limits)},
                     {"topics", to_tree(run.topics)},
                     {"clients", to_tree(run.clients)},
                     {"previous", word(run.previous)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Run> parse_run(std::string_view text) {
  const Tree json = Tree::parse(text, nullptr, false);
  if (!json.is_object()) return fail(Code::corrupt, "run.json is no object of JSON");
  std::string wrong;
  Run run;
  Fields fields(json, "", wrong);
  int64_t schema = 0;
  fields.need("schema", schema);
  if (schema != 1) fields.is_wrong("schema", "1");
  fields.need("run_id", run.run_id);
  fields.read("seed", run.seed);
  fields.read("began", run.began);
  fields.read("ended", run.ended);
  fields.read("began_ns", run.began_ns);
  fields.read("ended_ns", run.ended_ns);
  fields.need("outcome", run.outcome);
  fields.read("reason", run.reason);
  Fields tool = fields.inside("tool");
  tool.read("version", run.tool_version);
  tool.read("build", run.build);
  tool.read("librdkafka", run.librdkafka);
  tool.read("command", run.command);
  read_target(fields.inside("target"), run.target, wrong);
  read_plan(fields.inside("plan"), run.plan, wrong);
  read_rollback(fields.inside("rollback"), run.rollback);
  Fields limits = fields.inside("limits");
  if (const Tree* list = fields.find("limits"); list && list->is_object())
    for (const auto& [name, value] : list->items())
      if (!value.is_null()) limits.need(name.c_str(), run.limits[name]);
  fields.list("topics", run.topics, [&](const Tree& item, std::string path) {
    return read_topic(item, std::move(path), wrong);
  });
  fields.list("clients", run.clients, [&](const Tree& item, std::string path) {
    return read_client(item, std::move(path), wrong);
  });
  fields.read("previous", run.previous);
  if (!wrong.empty()) return fail(Code::corrupt, fmt::format("run.json: {}", wrong));
  return run;
}

}  // namespace paceline::evidence
