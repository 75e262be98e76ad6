// What a store gives a client that does nothing but PUT or GET: plain signed requests on kept
// connections, a thread each.
//   bench-store put PORT BUCKET PREFIX BYTES COUNT CONNECTIONS [PER_SECOND]   If-None-Match: *,
//   bodies not compressible bench-store get PORT BUCKET BYTES CONNECTIONS ranged, of "KEY BYTES"
//   lines on stdin
// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say who. With PER_SECOND a PUT is due at fixed times,
// and its latency counts from then. Prints one JSON line.
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace paceline::bench {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const std::string& what) {
  fmt::print(stderr, "{}\n", what);
  std::exit(1);
}

std::string hmac(std::string_view key, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, &bytes);
  return {reinterpret_cast<char*>(out), bytes};
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

std::string sha256(std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  EVP_Digest(text.data(), text.size(), out, &bytes, EVP_sha256(), nullptr);
  return {reinterpret_cast<char*>(out), bytes};
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

struct Who {
  std::string access = variable("AWS_ACCESS_KEY_ID");
  std::string secret = variable("AWS_SECRET_ACCESS_KEY");
};

// AWS Signature Version 4 over the host, the date and an unsigned body.
std::string signed_head(const Who& who, const std::string& method, const std::string& path,
                        uint16_t port, const std::string& more) {
  char at[32], day[16];
  const time_t now = time(nullptr);
  tm utc;
  gmtime_r(&now, &utc);
  strftime(at, sizeof at, "%Y%m%dT%H%M%SZ", &utc);
  strftime(day, sizeof day, "%Y%m%d", &utc);
  const std::string host = fmt::format("127.0.0.1:{}", port),
                    names = "host;x-amz-content-sha256;x-amz-date";
  const std::string canonical = fmt::format(
      "{}\n{}\n\nhost:{}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{}\n\n{}\nUNSIGNED-"
      "PAYLOAD",
      method, path, host, at, names);
  const std::string scope = fmt::format("{}/us-east-1/s3/aws4_request", day);
  std::string key = "AWS4" + who.secret;
  for (const std::string_view part : {std::string_view(day), std::string_view("us-east-1"),
                                      std::string_view("s3"), std::string_view("aws4_request")})
    key = hmac(key, part);
  const std::string to_sign =
      fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", at, scope, hex(sha256(canonical)));
  return fmt::format(
      "{} {} HTTP/1.1\r\nHost: {}\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-date: {}\r\n"
      "Authorization: AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}\r\n{}\r\n",
      method, path, host, at, who.access, scope, names, hex(hmac(key, to_sign)), more);
}

class Connection {
 public:
  explicit Connection(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      die(fmt::format("connect: {}", std::strerror(errno)));
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) die(fmt::format("send: {}", std::strerror(errno)));
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }

  // Reads an answer to its end. The bytes of its body, none of an object that may be gone and is;
  // anything else but 2xx ends the program.
  uint64_t hear(bool may_be_gone = false) {
    size_t have = 0, end = std::string::npos;
    while (end == std::string::npos) {
      have += receive(have);
      end = std::string_view(buffer_.data(), have).find("\r\n\r\n");
    }
    const std::string head(buffer_.data(), end);
    const bool gone = may_be_gone && head.size() >= 12 && head.compare(9, 3, "404") == 0;
    if (head.size() < 12 || (head[9] != '2' && !gone))
      die(head + std::string(buffer_.data() + end, have - end));
    const size_t at = head.find("ength: ");
    const uint64_t bytes =
        at == std::string::npos ? 0 : std::strtoull(head.c_str() + at + 7, nullptr, 10);
    for (uint64_t got = have - end - 4; got < bytes;) got += receive(0);
    return gone ? 0 : bytes;
  }

 private:
  size_t receive(size_t at) {
    if (at == buffer_.size()) die("a head without an end");
    const ssize_t got = recv(fd_, buffer_.data() + at, buffer_.size() - at, 0);
    if (got <= 0) die("the store closed the connection");
    return static_cast<size_t>(got);
  }

  int fd_;
  std::vector<char> buffer_ = std::vector<char>(1 << 20);
};

struct Took {
  std::mutex mutex;
  std::vector<double> us;
  void add(Clock::time_point since) {
    const double one = std::chrono::duration<double, std::micro>(Clock::now() - since).count();
    const std::lock_guard hold(mutex);
    us.push_back(one);
  }
};

void tell(Took& took, uint64_t bytes, Clock::time_point began) {
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  std::sort(took.us.begin(), took.us.end());
  const auto quantile = [&](double q) {
    return took.us.empty()
               ? 0.0
               : took.us[static_cast<size_t>(q * static_cast<double>(took.us.size() - 1))];
  };
  fmt::print(
      "{{\"mb_per_s\":{:.1f},\"requests\":{},\"bytes\":{},\"seconds\":{:.3f},\"p50_us\":{:.0f},"
      "\"p99_us\":{:.0f}}}\n",
      static_cast<double>(bytes) / seconds / 1e6, took.us.size(), bytes, seconds, quantile(0.5),
      quantile(0.99));
}

int put(const std::vector<std::string>& a) {
  const Who who;
  const auto port = static_cast<uint16_t>(std::stoi(a[0]));
  const size_t bytes = std::stoull(a[3]), count = std::stoull(a[4]),
               connections = std::stoull(a[5]);
  const double per_second = a.size() > 6 ? std::stod(a[6]) : 0;
  std::string body(bytes, '\0');
  unsigned seed = 12345;
  for (char& c : body) c = static_cast<char>((seed = seed * 1664525u + 1013904223u) >> 24);
  const std::string run = fmt::format("{}-{}", getpid(), time(nullptr));
  std::atomic<size_t> next = 0;
  Took took;
  const auto began = Clock::now();
  std::vector<std::thread> threads;
  for (size_t i = 0; i < connections; ++i)
    threads.emplace_back([&] {
      Connection one(port);
      for (size_t number; (number = next++) < count;) {
        auto due = Clock::now();
        if (per_second > 0) {
          due = began + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                            static_cast<double>(number) / per_second));
          std::this_thread::sleep_until(due);
        }
        const std::string path = fmt::format("/{}/{}/{}/{:08}", a[1], a[2], run, number);
        std::string request =
            signed_head(who, "PUT", path, port,
                        fmt::format("If-None-Match: *\r\nContent-Length: {}\r\n", bytes));
        if (bytes < 64 << 10) {
          one.send_all(request.append(body));
        } else {
          one.send_all(request);
          one.send_all(body);
        }
        one.hear();
        took.add(due);
      }
    });
  for (auto& thread : threads) thread.join();
  tell(took, count * bytes, began);
  return 0;
}

int get(const std::vector<std::string>& a) {
  const Who who;
  const auto port = static_cast<uint16_t>(std::stoi(a[0]));
  const uint64_t range = std::stoull(a[2]);
  struct Range {
    std::string key;
    uint64_t from, end;
  };
  std::vector<Range> ranges;
  std::string key;
  for (uint64_t size; std::cin >> key >> size;)
    for (uint64_t from = 0; from < size; from += range)
      ranges.push_back({key, from, std::min(size, from + range)});
  std::atomic<size_t> next = 0;
  std::atomic<uint64_t> total = 0;
  Took took;
  const auto began = Clock::now();
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::stoull(a[3]); ++i)
    threads.emplace_back([&] {
      Connection one(port);
      for (size_t number; (number = next++) < ranges.size();) {
        const auto since = Clock::now();
        const Range& wanted = ranges[number];
        one.send_all(
            signed_head(who, "GET", fmt::format("/{}/{}", a[1], wanted.key), port,
                        fmt::format("Range: bytes={}-{}\r\n", wanted.from, wanted.end - 1)));
        // Compaction replaces objects meanwhile: those that are gone do not count.
        if (const uint64_t got = one.hear(true); got > 0) {
          total += got;
          took.add(since);
        }
      }
    });
  for (auto& thread : threads) thread.join();
  tell(took, total, began);
  return 0;
}

}  // namespace
}  // namespace paceline::bench

int main(int argc, char** argv) {
  const std::string kind = argc > 1 ? argv[1] : "";
  const std::vector<std::string> rest(argv + (argc > 2 ? 2 : argc), argv + argc);
  if (kind == "put" && (rest.size() == 6 || rest.size() == 7)) return paceline::bench::put(rest);
  if (kind == "get" && rest.size() == 4) return paceline::bench::get(rest);
  fmt::print(stderr,
             "usage: bench-store put PORT BUCKET PREFIX BYTES COUNT CONNECTIONS [PER_SECOND] | "
             "get PORT BUCKET BYTES CONNECTIONS\n");
  return 2;
}
