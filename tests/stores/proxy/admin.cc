#include "admin.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <stdexcept>
#include <vector>

#include "exchange.h"

namespace paceline::proxy {
namespace {

using Json = nlohmann::json;

constexpr size_t kBodyMax = 1 << 20;

std::string answer_of(int status, const std::string& body) {
  return fmt::format(
      "HTTP/1.1 {} -\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "
      "{}\r\n\r\n{}",
      status, body.size(), body);
}

}  // namespace

Front::Front(Shared& shared, uint16_t port) : shared_(shared), port_(port) {
  open();
}

void Front::open() {
  if (listener_ >= 0) return;
  listener_ = listen_on(port_);
  shared_.loop.add(listener_, EPOLLIN, *this);
}

void Front::close() {
  if (listener_ < 0) return;
  shared_.loop.remove(listener_);
  ::close(std::exchange(listener_, -1));
}

void Front::ready(int, uint32_t) {
  for (int fd; (fd = accept_from(listener_)) >= 0;) {
    auto exchange = std::make_unique<Exchange>(shared_, fd);
    Exchange* key = exchange.get();
    shared_.exchanges.emplace(key, std::move(exchange));
  }
}

Admin::Admin(Shared& shared, Front& front, uint16_t port)
    : shared_(shared), front_(front), listener_(listen_on(port)) {
  shared_.loop.add(listener_, EPOLLIN, *this);
}

// Tests send small requests at once, so this may wait for the rest of one, for a second.
void Admin::ready(int, uint32_t) {
  const int fd = accept(listener_, nullptr, nullptr);
  if (fd < 0) return;
  const timeval patience{.tv_sec = 1, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  std::string text;
  Request request;
  for (char part[16384];;) {
    const Parsed parsed = parse(text, request);
    if (parsed == Parsed::bad || text.size() > kBodyMax) break;
    if (parsed == Parsed::complete && text.size() >= request.head_bytes + request.length) {
      const std::string told =
          answer(request, std::string_view(text).substr(request.head_bytes, request.length));
      for (size_t at = 0; at < told.size();) {
        const ssize_t sent = send(fd, told.data() + at, told.size() - at, MSG_NOSIGNAL);
        if (sent <= 0) break;
        at += static_cast<size_t>(sent);
      }
      break;
    }
    const ssize_t got = recv(fd, part, sizeof part, 0);
    if (got <= 0) break;
    text.append(part, static_cast<size_t>(got));
  }
  ::close(fd);
}

std::string Admin::answer(const Request& request, std::string_view body) {
  const std::string what = request.method + " " + request.target;
  try {
    if (what == "GET /counters") return answer_of(200, shared_.counters.told().dump());
    if (what == "GET /rules") return answer_of(200, shared_.rules.told().dump());
    if (what == "GET /log") return answer_of(200, shared_.counters.log().dump());
    if (what == "POST /reset") {
      shared_.counters.reset();
      return answer_of(200, "{}");
    }
    if (what == "PUT /settings") {
      set(Json::parse(body));
      return answer_of(200, "{}");
    }
  } catch (const std::exception& error) {
    return answer_of(400, Json({{"error", error.what()}}).dump());
  }
  return answer_of(404, R"({"error": "there is no such thing"})");
}

void Admin::set(const Json& settings) {
  for (const auto& [name, value] : settings.items()) {
    if (name == "rules") {
      if (auto wrong = shared_.rules.set(value, settings.value("seed", uint64_t{1})))
        throw std::invalid_argument(*wrong);
    } else if (name == "to_store_bytes_per_s") {
      shared_.to_store.set(value.get<uint64_t>());
    } else if (name == "from_store_bytes_per_s") {
      shared_.from_store.set(value.get<uint64_t>());
    } else if (name == "outage") {
      const std::string outage = value.get<std::string>();
      if (!outage.empty() && outage != "refuse" && outage != "hang")
        throw std::invalid_argument("an outage is refuse or hang");
      std::vector<Exchange*> all;
      for (const auto& [key, exchange] : shared_.exchanges) all.push_back(key);
      // What hung is never answered, not even when the store is back.
      for (Exchange* one : all)
        if (outage == "refuse" || (outage.empty() && shared_.hangs))
          one->reset();
        else if (outage == "hang")
          one->hang();
      shared_.hangs = outage == "hang";
      if (outage == "refuse")
        front_.close();
      else
        front_.open();
    } else if (name != "seed") {
      throw std::invalid_argument("there is no setting '" + name + "'");
    }
  }
}

}  // namespace paceline::proxy
