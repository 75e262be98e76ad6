#include "app/dev_store_proxy.h"

#include <csignal>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/print.h"
#include "env/address.h"
#include "env/real_env.h"

namespace paceline::app {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kBodyBytesMax = 1u << 30;
constexpr uint64_t kMillisecondsMax = 600'000;
constexpr auto kStoreAnswersWithin = std::chrono::seconds(60);
constexpr std::string_view kSlowDown =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code>"
    "<Message>a drill wants it so</Message></Error>";

std::unexpected<Error> wrong(std::string why) {
  return fail(Code::invalid_argument, std::move(why));
}

// Of one hop, or said anew.
bool is_ours(std::string_view name) {
  return name == "connection" || name == "keep-alive" || name == "content-length" ||
         name == "transfer-encoding" || name == "expect";
}

std::string head_of(const net::HttpAnswer& answer, bool to_head, bool keep_alive) {
  std::string head = fmt::format("HTTP/1.1 {} Status\r\n", answer.status);
  for (const auto& [name, value] : answer.headers)
    if (!is_ours(name)) head += fmt::format("{}: {}\r\n", name, value);
  // An answer to HEAD tells of a body that does not come.
  const std::string_view told = answer.header("content-length");
  if (to_head && !told.empty()) {
    head += fmt::format("content-length: {}\r\n", told);
  } else if (answer.status != 204 && answer.status != 304) {
    head += fmt::format("content-length: {}\r\n", answer.body.size());
  }
  return head + (keep_alive ? "\r\n" : "connection: close\r\n\r\n");
}

}  // namespace

bool StoreFaults::any() const {
  return latency_ms > 0 || tail_ms > 0 || errors_percent > 0 || bytes_per_s > 0;
}

Result<StoreFaults> parse_store_faults(std::string_view json) {
  const Json root = Json::parse(json, nullptr, false);
  if (!root.is_object()) return wrong("no object of settings");
  StoreFaults faults;
  for (const auto& [name, value] : root.items()) {
    if (!value.is_number()) return wrong(fmt::format("{}: no number", name));
    const auto number = value.get<double>();
    const bool percent = name.ends_with("_percent");
    if (!(number >= 0) || number > (percent                 ? 100
                                    : name == "bytes_per_s" ? 1e12
                                                            : kMillisecondsMax))
      return wrong(fmt::format("{}: {} is not possible", name, value.dump()));
    if (name == "latency_ms") {
      faults.latency_ms = static_cast<uint32_t>(number);
    } else if (name == "tail_ms") {
      faults.tail_ms = static_cast<uint32_t>(number);
    } else if (name == "tail_percent") {
      faults.tail_percent = number;
    } else if (name == "errors_percent") {
      faults.errors_percent = number;
    } else if (name == "bytes_per_s") {
      faults.bytes_per_s = static_cast<uint64_t>(number);
    } else {
      return wrong(
          fmt::format("there is no setting {}: latency_ms, tail_ms, tail_percent, "
                      "errors_percent, bytes_per_s",
                      name));
    }
  }
  return faults;
}

std::string to_json(const StoreFaults& faults, uint64_t met) {
  return Json{{"latency_ms", faults.latency_ms},     {"tail_ms", faults.tail_ms},
              {"tail_percent", faults.tail_percent}, {"errors_percent", faults.errors_percent},
              {"bytes_per_s", faults.bytes_per_s},   {"met", met}}
             .dump() +
         "\n";
}

struct StoreProxy::Asked {
  net::HttpQuery query;
  uint64_t body_bytes = 0;
  bool keep_alive = true;
};

StoreProxy::StoreProxy(env::Shard& shard, std::string store_host, uint16_t store_port)
    : shard_(shard),
      store_(shard, {.host = std::move(store_host), .port = store_port, .tls = nullptr}),
      admin_(shard, [this](net::HttpRequest request) { return administer(std::move(request)); }) {}

Result<void> StoreProxy::listen(const std::string& host, uint16_t port, uint16_t admin_port) {
  TRY(listener_, shard_.network().listen(host, port));
  TRY_VOID(admin_.listen(host, admin_port));
  shard_.spawn(accept_loop());
  return {};
}

void StoreProxy::close() {
  closed_ = true;
  admin_.close();
  if (listener_) listener_->close();
  for (env::Socket* socket : open_) socket->close();
}

void StoreProxy::set(StoreFaults faults) {
  faults_ = faults;
  met_ = 0;
  to_store_free_at_ = from_store_free_at_ = shard_.now();
}

Task<net::HttpResponse> StoreProxy::administer(net::HttpRequest request) {
  if (request.target != "/faults") co_return net::HttpResponse{404, "text/plain", "/faults\n"};
  if (request.method == "POST") {
    const auto faults = parse_store_faults(request.body);
    if (!faults) co_return net::HttpResponse{400, "text/plain", faults.error().message + "\n"};
    set(*faults);
  }
  co_return net::HttpResponse{200, "application/json", to_json(faults_, met_)};
}

Task<void> StoreProxy::accept_loop() {
  while (!closed_) {
    auto socket = co_await listener_->accept(shard_);
    if (socket) {
      shard_.spawn(serve(std::move(*socket)));
      continue;
    }
    if (closed_ || socket.error().code == Code::closed) break;
    co_await env::sleep_for(shard_, std::chrono::milliseconds(100));
  }
}

Task<void> StoreProxy::serve(std::unique_ptr<env::Socket> socket) {
  env::Socket* raw = socket.get();
  open_.push_back(raw);
  std::string received;
  while (!closed_) {
    auto asked = co_await read(*socket, received);
    if (!asked) break;
    const auto pieces = co_await answer(*asked);
    if (!pieces || !co_await socket->write(*pieces) || !asked->keep_alive) break;
  }
  std::erase(open_, raw);
}

// `received`: what has come and is not used up.
Task<Result<StoreProxy::Asked>> StoreProxy::read(env::Socket& socket, std::string& received) {
  std::optional<net::ParsedHead> head;
  for (;;) {
    CO_TRY(head, net::parse_http_head(received));
    if (head) break;
    std::byte piece[8192];
    CO_TRY(const size_t count, co_await socket.read_some(piece));
    received += as_text(Bytes(piece, count));
  }
  if (head->body_bytes > kBodyBytesMax) co_return wrong("the body is too long");
  received.erase(0, head->bytes);
  if (head->request.headers.contains("expect")) {
    const std::vector<Slice> go{Slice::copy_of(as_bytes("HTTP/1.1 100 Continue\r\n\r\n"))};
    CO_TRY_VOID(co_await socket.write(go));
  }
  Asked asked{.query = {}, .body_bytes = head->body_bytes, .keep_alive = head->keep_alive};
  if (head->body_bytes > 0) {
    Buffer body = Buffer::allocate(head->body_bytes);
    size_t at = std::min(received.size(), body.size());
    std::memcpy(body.data(), received.data(), at);
    received.erase(0, at);
    while (at < body.size()) {
      CO_TRY(const size_t count, co_await socket.read_some(body.writable().subspan(at)));
      at += count;
    }
    asked.query.body.emplace_back(std::move(body));
  }
  asked.query.method = std::move(head->request.method);
  asked.query.target = std::move(head->request.target);
  for (auto& [name, value] : head->request.headers)
    if (!is_ours(name)) asked.query.headers[name] = std::move(value);
  asked.query.answer_bytes_max = kBodyBytesMax;
  asked.query.repeatable = asked.query.method == "GET" || asked.query.method == "HEAD";
  co_return asked;
}

Task<Result<std::vector<Slice>>> StoreProxy::answer(Asked& asked) {
  const StoreFaults faults = faults_;
  if (faults.any()) ++met_;
  const bool to_head = asked.query.method == "HEAD";
  net::HttpAnswer answer{
      .status = 503, .headers = {{"content-type", "application/xml"}}, .body = {}};
  co_await pace(to_store_free_at_, asked.body_bytes);
  if (one_in_hundred(faults.errors_percent)) {
    if (!to_head) answer.body = Slice::copy_of(as_bytes(kSlowDown));
  } else {
    uint64_t late_ms = faults.latency_ms;
    if (faults.tail_ms > 0 && one_in_hundred(faults.tail_percent)) late_ms += faults.tail_ms;
    if (late_ms > 0) co_await env::sleep_for(shard_, std::chrono::milliseconds(late_ms));
    auto outcome = co_await store_.ask(std::move(asked.query), shard_.now() + kStoreAnswersWithin);
    CO_TRY(answer, std::move(outcome.answer));
  }
  co_await pace(from_store_free_at_, answer.body.size());
  std::vector<Slice> pieces{Slice::copy_of(as_bytes(head_of(answer, to_head, asked.keep_alive)))};
  if (!answer.body.empty()) pieces.push_back(answer.body);
  co_return pieces;
}

// Bodies follow each other through a pipe of so many bytes a second.
Task<void> StoreProxy::pace(env::Instant& free_at, uint64_t bytes) {
  if (faults_.bytes_per_s == 0 || bytes == 0) co_return;
  const double seconds = static_cast<double>(bytes) / static_cast<double>(faults_.bytes_per_s);
  free_at = std::max(free_at, shard_.now()) +
            std::chrono::duration_cast<env::Duration>(std::chrono::duration<double>(seconds));
  co_await env::sleep_until(shard_, free_at);
}

bool StoreProxy::one_in_hundred(double percent) {
  constexpr uint64_t kSteps = 1'000'000;
  return percent > 0 && static_cast<double>(shard_.random() % kSteps) < percent / 100 * kSteps;
}

int dev_store_proxy(const StoreProxyOptions& options) {
  const auto listen = env::parse_host_port(options.listen),
             store = env::parse_host_port(options.store);
  if (!listen || !store) return complain(kUsage, "--listen and --store are HOST:PORT");
  env::RealEnv env({.shards = 1});
  StoreProxy proxy(env.shard(0), store->host, store->port);
  if (auto up = proxy.listen(listen->host, listen->port, options.admin_port); !up)
    return complain(kFailed, up.error().message);
  env.on_signal({SIGUSR1}, [&proxy] { proxy.heal(); });
  env.on_signal({SIGTERM, SIGINT}, [&env, &proxy] {
    proxy.close();
    env.stop();
  });
  env.run();
  return kDone;
}

}  // namespace paceline::app
