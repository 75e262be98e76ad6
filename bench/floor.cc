// What the machine itself can do. Prints one JSON line.
//   bench-floor loopback               bytes a second over one connection
//   bench-floor append FOLDER BYTES    appends with fdatasync to a preallocated file, for a second
//   bench-floor read FILE...           reads them plainly, one after the other

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace {

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

double loopback_mb_per_s() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(listener, 1) != 0)
    return 0;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  constexpr size_t kTotal = 2ull << 30;
  std::thread writer([&] {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
    std::string block(256 << 10, 'x');
    for (size_t sent = 0; sent < kTotal;) {
      const ssize_t n = send(fd, block.data(), block.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<size_t>(n);
    }
    close(fd);
  });
  const int fd = accept(listener, nullptr, nullptr);
  std::string block(1 << 20, '\0');
  size_t got = 0;
  const double start = now();
  for (ssize_t n; (n = recv(fd, block.data(), block.size(), 0)) > 0;) got += static_cast<size_t>(n);
  const double took = now() - start;
  writer.join();
  close(fd);
  close(listener);
  return static_cast<double>(got) / took / 1e6;
}

struct Rate {
  double per_s, mb_per_s, p50_us, p99_us;
};
Rate append_and_sync(const std::string& path, size_t bytes, double seconds) {
  const int fd = open(path.c_str(), O_CREAT | O_RDWR, 0644);
  constexpr size_t kFile = 256u << 20;
  if (lseek(fd, 0, SEEK_END) != static_cast<off_t>(kFile)) {
    std::string block(1 << 20, 'x');
    for (size_t at = 0; at < kFile; at += block.size()) {
      if (pwrite(fd, block.data(), block.size(), static_cast<off_t>(at)) < 0) break;
    }
    fsync(fd);
  }
  std::string piece(bytes, 'y');
  std::vector<double> times;
  const double start = now();
  size_t at = 0;
  while (now() - start < seconds) {
    const double one = now();
    if (at + bytes > kFile) at = 0;
    if (pwrite(fd, piece.data(), piece.size(), static_cast<off_t>(at)) < 0 || fdatasync(fd) != 0)
      break;
    at += bytes;
    times.push_back(now() - one);
  }
  const double took = now() - start;
  close(fd);
  std::sort(times.begin(), times.end());
  const auto count = static_cast<double>(times.size());
  return {count / took, count * static_cast<double>(bytes) / took / 1e6,
          times[times.size() / 2] * 1e6, times[static_cast<size_t>(count * 0.99)] * 1e6};
}

// Reads files one after the other: what a plain sequential reader gets. The caller has dropped the
// page cache.
double read_mb_per_s(char** files, int count) {
  std::string piece(1 << 20, '\0');
  size_t got = 0;
  const double start = now();
  for (int i = 0; i < count; ++i) {
    const int fd = open(files[i], O_RDONLY);
    if (fd < 0) continue;
    for (ssize_t n; (n = read(fd, piece.data(), piece.size())) > 0;) got += static_cast<size_t>(n);
    close(fd);
  }
  return static_cast<double>(got) / (now() - start) / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string kind = argc > 1 ? argv[1] : "";
  const std::string file = std::string(argc > 2 ? argv[2] : ".") +
                           "/floor.tmp";  // left there: the next run finds its blocks
  if (kind == "loopback") {
    fmt::print("{{\"mb_per_s\":{:.0f}}}\n", loopback_mb_per_s());
  } else if (kind == "append" && argc == 4) {
    const auto bytes = static_cast<size_t>(std::stol(argv[3]));
    const Rate rate = append_and_sync(file, bytes, 1.0);
    fmt::print("{{\"per_s\":{:.0f},\"mb_per_s\":{:.0f},\"p50_us\":{:.0f},\"p99_us\":{:.0f}}}\n",
               rate.per_s, rate.mb_per_s, rate.p50_us, rate.p99_us);
  } else if (kind == "read") {
    fmt::print("{{\"mb_per_s\":{:.0f}}}\n", read_mb_per_s(argv + 2, argc - 2));
  } else {
    fmt::print(stderr, "usage: bench-floor loopback | append FOLDER BYTES | read FILE...\n");
    return 2;
  }
}
