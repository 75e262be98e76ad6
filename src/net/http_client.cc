#include "net/http_client.h"

#include <fmt/format.h>

#include <deque>
#include <utility>

#include "net/http_connection.h"
#include "net/http_text.h"

namespace paceline::net {
namespace {

Result<void> check(const HttpQuery& query) {
  bool good = !query.method.empty() && !query.target.empty() && one_line(query.method) &&
              one_line(query.target) && query.target.find(' ') == std::string::npos;
  for (const auto& [name, value] : query.headers)
    good &= !name.empty() && one_line(name) && one_line(value);
  if (!good) return fail(Code::invalid_argument, "a request line or header that cannot be sent");
  return {};
}

std::vector<Slice> encode(const HttpQuery& query, const std::string& host, bool keep_alive) {
  uint64_t body_bytes = 0;
  for (const Slice& piece : query.body) body_bytes += piece.size();
  std::string head = fmt::format("{} {} HTTP/1.1\r\n", query.method, query.target);
  if (!query.headers.contains("host")) head += fmt::format("host: {}\r\n", host);
  for (const auto& [name, value] : query.headers) head += fmt::format("{}: {}\r\n", name, value);
  // Some servers wait for a body, or refuse, when a question that could have one states no length.
  if (body_bytes > 0 || query.method == "PUT" || query.method == "POST")
    head += fmt::format("content-length: {}\r\n", body_bytes);
  head += keep_alive ? "\r\n" : "connection: close\r\n\r\n";
  std::vector<Slice> pieces{Slice::copy_of(as_bytes(head))};
  pieces.reserve(1 + query.body.size());
  for (const Slice& piece : query.body)
    if (!piece.empty()) pieces.push_back(piece);
  return pieces;
}

// Closes the connection at an instant, unless it has gone before.
class Deadline {
 public:
  Deadline(env::Shard& shard, env::Instant when, std::shared_ptr<HttpConnection> connection)
      : shard_(shard), when_(when) {
    timer_ = shard.run_at(when, [connection = std::move(connection)] { connection->close(); });
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  ~Deadline() { shard_.cancel_timer(timer_); }
  // Asked of the clock and not of the timer: after a pause the answer may be seen first.
  bool passed() const { return shard_.now() >= when_; }

 private:
  env::Shard& shard_;
  const env::Instant when_;
  env::Shard::TimerId timer_;
};

Task<Result<std::shared_ptr<HttpConnection>>> connect(env::Shard& shard, HttpPoolOptions options,
                                                      env::Instant deadline) {
  deadline = std::min(deadline, shard.now() + options.connect_for);
  CO_TRY(auto socket, co_await shard.network().connect(options.host, options.port, deadline));
  if (options.tls) {
    CO_TRY(socket,
           co_await tls_connect(shard, options.tls, std::move(socket), options.host, deadline));
  }
  auto connection = std::make_shared<HttpConnection>(shard, std::move(socket));
  connection->start();
  co_return connection;
}

}  // namespace

void HttpCancel::cancel() {
  cancelled_ = true;
  if (stop_) stop_();
}

std::string http_host(const std::string& host, uint16_t port, bool tls) {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (tls ? 443 : 80) ? name : fmt::format("{}:{}", name, port);
}

struct HttpPool::State {
  State(env::Shard& on, HttpPoolOptions wanted) : shard(on), options(std::move(wanted)) {}

  std::shared_ptr<HttpConnection> take_idle();
  void put_back(std::shared_ptr<HttpConnection> connection);
  void close_old();

  env::Shard& shard;
  const HttpPoolOptions options;
  std::deque<std::shared_ptr<HttpConnection>> idle;  // the latest at the end
  bool closed = false;
};

// The one used last: those that are not needed grow old.
std::shared_ptr<HttpConnection> HttpPool::State::take_idle() {
  close_old();
  while (!idle.empty()) {
    auto connection = std::move(idle.back());
    idle.pop_back();
    if (connection->open()) return connection;
  }
  return nullptr;
}

void HttpPool::State::put_back(std::shared_ptr<HttpConnection> connection) {
  if (closed || !connection->open()) {
    connection->close();
    return;
  }
  connection->idle_since = shard.now();
  idle.push_back(std::move(connection));
  close_old();
}

void HttpPool::State::close_old() {
  while (!idle.empty()) {
    const bool old = shard.now() - idle.front()->idle_since > options.idle_for;
    if (!old && idle.front()->open() && idle.size() <= options.idle_max) break;
    idle.front()->close();
    idle.pop_front();
  }
}

HttpPool::HttpPool(env::Shard& shard, HttpPoolOptions options)
    : state_(std::make_shared<State>(shard, std::move(options))) {}

HttpPool::~HttpPool() {
  state_->closed = true;
  for (auto& connection : state_->idle) connection->close();
  state_->idle.clear();
}

std::string HttpPool::host_header() const {
  const HttpPoolOptions& options = state_->options;
  return http_host(options.host, options.port, options.tls != nullptr);
}

size_t HttpPool::idle_count() const {
  return state_->idle.size();
}

Task<HttpOutcome> HttpPool::ask(HttpQuery query, env::Instant deadline) {
  return ask_of(state_, std::move(query), deadline);
}

Task<HttpOutcome> HttpPool::ask_of(std::shared_ptr<State> state, HttpQuery query,
                                   env::Instant deadline) {
  const HttpPoolOptions& options = state->options;
  HttpOutcome outcome{fail(Code::cancelled, "given up before it was asked")};
  if (auto good = check(query); !good) {
    outcome.answer = fail(std::move(good).error());
    co_return outcome;
  }
  const auto question =
      encode(query, http_host(options.host, options.port, options.tls != nullptr), true);
  for (int turn = 0; turn < 2; ++turn) {
    auto connection = query.fresh || turn > 0 ? nullptr : state->take_idle();
    const bool pooled = connection != nullptr;
    if (!pooled) {
      auto connected = co_await connect(state->shard, options, deadline);
      if (!connected) {
        outcome.answer = fail(std::move(connected).error());
        break;
      }
      connection = std::move(*connected);
    }
    if (query.cancel && query.cancel->cancelled()) {
      state->put_back(std::move(connection));
      break;
    }
    if (query.cancel) query.cancel->stop_ = [connection] { connection->close(); };
    const Deadline limit(state->shard, deadline, connection);
    outcome.reached = HttpReached::sent;
    auto exchanged =
        co_await connection->exchange(question, query.method == "HEAD", query.answer_bytes_max);
    if (query.cancel) query.cancel->stop_ = nullptr;
    const bool given_up = query.cancel && query.cancel->cancelled();
    outcome.answer = std::move(exchanged.answer);
    if (given_up) {
      outcome.answer = fail(Code::cancelled, "given up while it was asked");
    } else if (limit.passed()) {
      outcome.answer = fail(
          Code::timed_out, fmt::format("{}:{} did not answer in time", options.host, options.port));
    } else if (outcome.answer) {
      outcome.reached = HttpReached::answered;
      state->put_back(std::move(connection));
      break;
    } else if (pooled && !exchanged.begun && query.repeatable && turn == 0) {
      outcome.repeated = true;
      continue;
    }
    connection->close();
    break;
  }
  co_return outcome;
}

Task<Result<HttpAnswer>> http_request(env::Shard& shard, std::string host, uint16_t port,
                                      HttpRequest request, env::Instant deadline) {
  HttpQuery query;
  query.method = std::move(request.method);
  query.target = std::move(request.target);
  query.headers = std::move(request.headers);
  query.headers.emplace("connection", "close");
  if (!request.body.empty()) query.body.push_back(Slice::copy_of(as_bytes(request.body)));
  HttpPoolOptions options;
  options.host = std::move(host);
  options.port = port;
  options.connect_for = deadline - shard.now();
  HttpPool pool(shard, std::move(options));
  HttpOutcome outcome = co_await pool.ask(std::move(query), deadline);
  co_return std::move(outcome.answer);
}

}  // namespace paceline::net
