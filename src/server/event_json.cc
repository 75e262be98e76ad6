#include "server/event_json.h"

#include <fmt/format.h>

#include <chrono>

namespace paceline::server {
namespace {

// Texts are of ours or of other brokers' errors: bytes that are no UTF-8 would make the line
// unreadable, so all that is not ASCII is replaced.
void put_text(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += byte < 0x7f ? c : '?';
    }
  }
  out += '"';
}

class Object {
 public:
  explicit Object(std::string& out) : out_(out) { out_ += '{'; }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  ~Object() { out_ += '}'; }

  std::string& name(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    put_text(out_, name);
    out_ += ':';
    return out_;
  }
  void text(std::string_view key, std::string_view value) { put_text(name(key), value); }
  // Empty: null.
  void text_or_null(std::string_view key, std::string_view value) {
    if (value.empty()) return null(key);
    text(key, value);
  }
  void number(std::string_view key, int64_t value) { name(key) += std::to_string(value); }
  void boolean(std::string_view key, bool value) { name(key) += value ? "true" : "false"; }
  void null(std::string_view key) { name(key) += "null"; }
  template <class Number>
  void number_or_null(std::string_view key, const std::optional<Number>& value) {
    if (!value) return null(key);
    if constexpr (requires { value->value; }) {
      number(key, value->value);
    } else {
      number(key, *value);
    }
  }

 private:
  std::string& out_;
  bool first_ = true;
};

std::string_view plane_name(Event::Plane plane) {
  switch (plane) {
    case Event::Plane::control:
      return "control";
    case Event::Plane::storage:
      return "storage";
    case Event::Plane::data:
      return "data";
  }
  return "?";
}

std::string subject_of(const Event& event) {
  if (!event.topic.empty()) return fmt::format("{}-{}", event.topic, event.partition.value_or(-1));
  return event.lane ? event.lane->to_string() : std::string();
}

void put_figures(std::string& out, const Event& event) {
  Object figures(out);
  for (const Event::Figure& figure : event.figures) {
    if (const auto* number = std::get_if<int64_t>(&figure.value)) {
      figures.number(figure.name, *number);
    } else if (const auto* flag = std::get_if<bool>(&figure.value)) {
      figures.boolean(figure.name, *flag);
    } else {
      figures.text(figure.name, std::get<std::string>(figure.value));
    }
  }
}

void put_data(std::string& out, const Event& event, const EventStamp& stamp,
              const std::string& id) {
  Object data(out);
  data.null("run_id");  // of a drill, which copies events into its own report
  data.text("event_id", id);
  data.text("source", stamp.source);
  data.number("source_seq", static_cast<int64_t>(stamp.sequence));
  data.number("t_mono_ns", stamp.mono_ns);
  data.text("t_wall", rfc3339(stamp.wall_ms));
  data.null("clock_err_ns");
  data.text("plane", plane_name(event.plane));
  data.text("type", event.type);
  data.text_or_null("lane", event.lane ? event.lane->to_string() : std::string());
  data.text_or_null("topic", event.topic);
  data.number_or_null("partition", event.partition);
  data.number_or_null("leader_epoch", event.epoch);
  data.number_or_null("offset", event.offset);
  for (const std::string_view none : {"object_key", "request_id", "client_id"}) data.null(none);
  data.text_or_null("cause_id", event.cause);
  if (event.took_ns) {
    data.name("value") += fmt::format("{:.3f}", static_cast<double>(*event.took_ns) / 1e6);
    data.text("unit", "ms");
  } else {
    data.null("value");
    data.null("unit");
  }
  put_figures(data.name("figures"), event);
}

}  // namespace

std::string rfc3339(int64_t wall_ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> at{milliseconds(wall_ms)};
  const auto day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss time(at - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count(),
                     time.subseconds().count());
}

std::string to_json(const Event& event, const EventStamp& stamp) {
  const std::string id = fmt::format("{}-{}", stamp.source, stamp.sequence);
  std::string out;
  out.reserve(1024);
  {
    Object envelope(out);
    envelope.text("specversion", "1.0");
    envelope.text("id", id);
    envelope.text("source", "paceline:" + stamp.source);
    envelope.text("type", fmt::format("paceline.{}", event.type));
    envelope.text("time", rfc3339(stamp.wall_ms));
    if (const std::string subject = subject_of(event); !subject.empty())
      envelope.text("subject", subject);
    envelope.text("datacontenttype", "application/json");
    put_data(envelope.name("data"), event, stamp, id);
  }
  return out;
}

}  // namespace paceline::server
