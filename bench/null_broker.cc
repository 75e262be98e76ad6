// A broker that does nothing: the ceiling of what a real one can reach on this machine with this
// client. One epoll thread reads frames, decodes Produce, checks every batch's CRC and drops the
// bytes. Answers ApiVersions, Metadata, Produce, InitProducerId, ListOffsets and Fetch.
//   bench-null-broker PORT PARTITIONS              drops the bytes
//   bench-null-broker PORT PARTITIONS file PATH    appends them to a preallocated file and syncs
//                                                  once for all that one round of reading brought
//   bench-null-broker PORT PARTITIONS keep MIB     keeps the first so many, and serves them to
//                                                  Fetch as they came, checking nothing

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "protocol/gen/api.h"
#include "protocol/gen/api_versions.h"
#include "protocol/gen/fetch.h"
#include "protocol/gen/init_producer_id.h"
#include "protocol/gen/list_offsets.h"
#include "protocol/gen/metadata.h"
#include "protocol/gen/produce.h"
#include "protocol/header.h"
#include "record/batch.h"

namespace paceline::bench {
namespace {

constexpr size_t kReceiveBytes = 4u << 20;
constexpr uint64_t kFileBytes = 1ull << 30;  // reused from the start when it is full

struct Connection {
  int fd;
  std::vector<std::byte> buffer = std::vector<std::byte>(kReceiveBytes);
  size_t from = 0;
  size_t to = 0;
  std::deque<Slice> answers;
  bool waits_to_write = false;
};

// One partition: the next offset, and the batches that were kept (`starts` are their first
// offsets).
struct Log {
  int64_t next = 0;
  std::vector<int64_t> starts;
  std::vector<Slice> batches;
};

struct NullBroker {
  int port;
  int partitions;
  int file = -1;
  uint64_t file_at = 0;
  std::vector<iovec> unsynced{};
  std::map<std::string, Log> logs{};
  Buffer kept{};
  size_t kept_bytes = 0;

  template <class Response>
  void answer(Connection& connection, const protocol::RequestHeader& header,
              const Response& response) {
    auto frame = protocol::response_frame(header.api_version, header.correlation_id, response);
    CHECK(frame);
    for (Slice& slice : *frame) connection.answers.push_back(std::move(slice));
  }

  void versions(Connection& connection, protocol::RequestHeader header) {
    protocol::ApiVersionsResponse response;
    for (const auto& api : protocol::kApis) {
      const bool ours = api.key == protocol::ApiKey::produce ||
                        api.key == protocol::ApiKey::metadata ||
                        api.key == protocol::ApiKey::api_versions ||
                        api.key == protocol::ApiKey::init_producer_id ||
                        api.key == protocol::ApiKey::list_offsets;
      if (api.key == protocol::ApiKey::fetch)  // by topic name only
        response.api_keys.push_back({static_cast<int16_t>(api.key), api.version_advertised, 11});
      if (ours)
        response.api_keys.push_back(
            {static_cast<int16_t>(api.key), api.version_advertised, api.version_max});
    }
    answer(connection, header, response);
  }

  void metadata(Connection& connection, const protocol::RequestHeader& header,
                protocol::Cursor body) {
    auto request = protocol::MetadataRequest::decode(header.api_version, body);
    CHECK(request);
    protocol::MetadataResponse response;
    auto& broker = response.brokers.emplace_back();
    broker.node_id = 1;
    broker.host = "127.0.0.1";
    broker.port = port;
    response.controller_id = 1;
    if (request->topics) {
      for (const auto& asked : *request->topics) {
        auto& topic = response.topics.emplace_back();
        topic.name = std::string(asked.name.value_or(""));
        for (int index = 0; index < partitions; ++index) {
          auto& partition = topic.partitions.emplace_back();
          partition.partition_index = index;
          partition.leader_id = 1;
          partition.replica_nodes = partition.isr_nodes = {1};
        }
      }
    }
    answer(connection, header, response);
  }

  void keep(Log& log, const record::BatchView& batch) {
    if (kept_bytes + batch.size() > kept.size()) return;
    std::byte* to = kept.data() + kept_bytes;
    std::memcpy(to, batch.bytes().data(), batch.size());
    store_be(to, log.next);  // the base offset stands first, outside the CRC
    log.starts.push_back(log.next);
    log.batches.emplace_back(kept, Bytes(to, batch.size()));
    kept_bytes += batch.size();
  }

  void produce(Connection& connection, const protocol::RequestHeader& header,
               protocol::Cursor body) {
    auto request = protocol::ProduceRequest::decode(header.api_version, body);
    CHECK(request);
    protocol::ProduceResponse response;
    for (const auto& topic : request->topic_data) {
      auto& told = response.responses.emplace_back();
      told.name = std::string(topic.name);
      for (const auto& partition : topic.partition_data) {
        auto batch = record::BatchView::parse(partition.records.value_or(Bytes{}));
        CHECK(batch && batch->crc_ok());
        Log& log = logs[told.name + std::to_string(partition.index)];
        auto& one = told.partition_responses.emplace_back();
        one.index = partition.index;
        one.base_offset = log.next;
        keep(log, *batch);
        log.next += batch->record_count();
        if (file >= 0)
          unsynced.push_back(
              {const_cast<std::byte*>(partition.records->data()), partition.records->size()});
      }
    }
    answer(connection, header, response);
  }

  void list_offsets(Connection& connection, const protocol::RequestHeader& header,
                    protocol::Cursor body) {
    auto request = protocol::ListOffsetsRequest::decode(header.api_version, body);
    CHECK(request);
    protocol::ListOffsetsResponse response;
    for (const auto& topic : request->topics) {
      auto& told = response.topics.emplace_back();
      told.name = std::string(topic.name);
      for (const auto& partition : topic.partitions) {
        auto& one = told.partitions.emplace_back();
        one.partition_index = partition.partition_index;
        const Log& log = logs[told.name + std::to_string(partition.partition_index)];
        one.offset = partition.timestamp == -2 ? 0 : log.next;
      }
    }
    answer(connection, header, response);
  }

  // Whole batches from memory, as slices. A fetch at the end is never answered: nobody waits for
  // it.
  void fetch(Connection& connection, const protocol::RequestHeader& header, protocol::Cursor body) {
    auto request = protocol::FetchRequest::decode(header.api_version, body);
    CHECK(request);
    protocol::FetchResponse response;
    int64_t room = request->max_bytes;
    bool any = false;
    for (const auto& topic : request->topics) {
      auto& told = response.responses.emplace_back();
      told.topic = std::string(topic.topic);
      for (const auto& partition : topic.partitions) {
        const Log& log = logs[told.topic + std::to_string(partition.partition)];
        auto& one = told.partitions.emplace_back();
        one.partition_index = partition.partition;
        one.high_watermark = one.last_stable_offset = log.next;
        one.log_start_offset = 0;
        const auto after =
            std::upper_bound(log.starts.begin(), log.starts.end(), partition.fetch_offset);
        if (after == log.starts.begin() || partition.fetch_offset >= log.next) continue;
        int64_t bytes = 0;
        for (auto at = static_cast<size_t>(after - log.starts.begin()) - 1; at < log.batches.size();
             ++at) {
          const auto size = static_cast<int64_t>(log.batches[at].size());
          if (any && (bytes + size > partition.partition_max_bytes || size > room)) break;
          one.records.push_back(log.batches[at]);
          bytes += size;
          room -= size;
          any = true;
        }
      }
    }
    if (any) answer(connection, header, response);
  }

  void dispatch(Connection& connection, Bytes frame) {
    protocol::Cursor cursor(frame);
    auto header = protocol::decode_request_header(cursor);
    CHECK(header);
    switch (static_cast<protocol::ApiKey>(header->api_key)) {
      case protocol::ApiKey::api_versions:
        return versions(connection, *header);
      case protocol::ApiKey::metadata:
        return metadata(connection, *header, cursor);
      case protocol::ApiKey::produce:
        return produce(connection, *header, cursor);
      case protocol::ApiKey::fetch:
        return fetch(connection, *header, cursor);
      case protocol::ApiKey::list_offsets:
        return list_offsets(connection, *header, cursor);
      case protocol::ApiKey::init_producer_id: {
        protocol::InitProducerIdResponse response;
        response.producer_id = 1;
        return answer(connection, *header, response);
      }
      default:
        std::fprintf(stderr, "null broker: API %d\n", header->api_key);
        std::exit(1);
    }
  }

  void sync() {
    if (unsynced.empty()) return;
    for (size_t at = 0; at < unsynced.size();) {
      const int count = static_cast<int>(std::min<size_t>(unsynced.size() - at, 1024));
      uint64_t bytes = 0;
      for (int i = 0; i < count; ++i) bytes += unsynced[at + static_cast<size_t>(i)].iov_len;
      if (file_at + bytes > kFileBytes) file_at = 0;
      if (pwritev(file, &unsynced[at], count, static_cast<off_t>(file_at)) !=
          static_cast<ssize_t>(bytes))
        std::abort();
      file_at += bytes;
      at += static_cast<size_t>(count);
    }
    if (fdatasync(file) != 0) std::abort();
    unsynced.clear();
  }

  // Writes what the socket takes; the rest waits for the socket to be writable.
  static void flush(int poll, Connection& connection) {
    auto& answers = connection.answers;
    while (!answers.empty()) {
      iovec pieces[256];
      const size_t count = std::min<size_t>(answers.size(), 256);
      for (size_t i = 0; i < count; ++i)
        pieces[i] = {const_cast<std::byte*>(answers[i].data()), answers[i].size()};
      msghdr message{};
      message.msg_iov = pieces;
      message.msg_iovlen = count;
      const ssize_t wrote = sendmsg(connection.fd, &message, MSG_NOSIGNAL);
      if (wrote < 0 && errno != EAGAIN) return answers.clear();
      if (wrote < 0) break;
      auto left = static_cast<size_t>(wrote);
      while (!answers.empty() && left >= answers.front().size()) {
        left -= answers.front().size();
        answers.pop_front();
      }
      if (left > 0) answers.front() = answers.front().subslice(left, answers.front().size() - left);
    }
    if (connection.waits_to_write == !answers.empty()) return;
    connection.waits_to_write = !answers.empty();
    epoll_event event{.events = EPOLLIN | (connection.waits_to_write ? EPOLLOUT : 0u),
                      .data = {.ptr = &connection}};
    epoll_ctl(poll, EPOLL_CTL_MOD, connection.fd, &event);
  }

  // False at the end of the connection.
  bool read_all(Connection& connection) {
    const ssize_t got = recv(connection.fd, connection.buffer.data() + connection.to,
                             connection.buffer.size() - connection.to, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
    if (got < 0) return true;
    connection.to += static_cast<size_t>(got);
    while (connection.to - connection.from >= 4) {
      const auto size =
          static_cast<size_t>(load_be<int32_t>(connection.buffer.data() + connection.from));
      CHECK(size + 4 <= connection.buffer.size());
      if (connection.to - connection.from < size + 4) break;
      dispatch(connection, Bytes(connection.buffer.data() + connection.from + 4, size));
      connection.from += size + 4;
    }
    return true;
  }

  static void compact(Connection& connection) {
    if (connection.from == connection.to) {
      connection.from = connection.to = 0;
    } else if (connection.from > kReceiveBytes / 2) {
      std::memmove(connection.buffer.data(), connection.buffer.data() + connection.from,
                   connection.to - connection.from);
      connection.to -= connection.from;
      connection.from = 0;
    }
  }

  int run() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener, 128) != 0) {
      std::perror("null broker: bind");
      return 1;
    }
    const int poll = epoll_create1(0);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};  // null: the listener
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    std::map<Connection*, std::unique_ptr<Connection>> connections;
    std::printf("ready\n");
    std::fflush(stdout);
    epoll_event events[64];
    for (;;) {
      const int count = epoll_wait(poll, events, 64, -1);
      std::vector<Connection*> touched;
      for (int i = 0; i < count; ++i) {
        auto* connection = static_cast<Connection*>(events[i].data.ptr);
        if (!connection) {
          const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
          if (fd < 0) continue;
          setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
          auto made = std::make_unique<Connection>();
          made->fd = fd;
          event.data.ptr = made.get();
          epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
          connections.emplace(made.get(), std::move(made));
          continue;
        }
        if (read_all(*connection)) {
          touched.push_back(connection);
        } else {
          close(connection->fd);
          connections.erase(connection);
        }
      }
      sync();
      for (Connection* connection : touched) {
        flush(poll, *connection);
        compact(*connection);
      }
    }
  }
};

}  // namespace
}  // namespace paceline::bench

int main(int argc, char** argv) {
  if (argc != 3 && argc != 5) {
    std::fprintf(stderr, "usage: bench-null-broker PORT PARTITIONS [file PATH | keep MIB]\n");
    return 2;
  }
  paceline::bench::NullBroker broker{.port = std::atoi(argv[1]), .partitions = std::atoi(argv[2])};
  const std::string mode = argc == 5 ? argv[3] : "";
  if (mode == "file") {
    broker.file = open(argv[4], O_CREAT | O_RDWR | O_TRUNC, 0644);
    // Written once, so that the measured writes find their blocks in place.
    std::string zeros(1 << 20, '\0');
    for (int i = 0; i < 1024; ++i) {
      if (write(broker.file, zeros.data(), zeros.size()) < 0) return 1;
    }
    fdatasync(broker.file);
  } else if (mode == "keep") {
    broker.kept = paceline::Buffer::allocate(static_cast<size_t>(std::atol(argv[4])) << 20);
    std::memset(broker.kept.data(), 0, broker.kept.size());  // fresh memory is paid for here
  }
  return broker.run();
}
