#include "app/dev_ceph.h"

#include <fmt/format.h>

#include "net/http_client.h"
#include "object/s3_sign.h"

namespace paceline::app {
namespace {

using Random = std::function<uint64_t()>;

constexpr std::string_view kConf = R"([global]
fsid = {cluster}
mon host = [v2:{host}:{mon2},v1:{host}:{mon1}]
mon initial members = a
public addr = {host}
cluster addr = {host}
ms bind ipv6 = false
# Every daemon must know every other: the gateway refuses to run without authentication.
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = true
keyring = {folder}/keyring
run dir = {folder}
crash dir = {folder}
admin socket =
pid file =
log file = {log}
log to stderr = false
mon cluster log file = {log}
mon cluster log to stderr = false
# One copy on one OSD is all there is.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
# A change of the map is decided at once: 1.2 s until the OSD is up instead of 3.5 s.
paxos propose interval = 0.05
[mon]
mon data = {folder}/mon
mon data avail crit = 1
mon data avail warn = 2
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 17179869184
osd heartbeat grace = 3600
[client.rgw.a]
# Without tcp_nodelay an answer waits 40 ms for an acknowledgement.
rgw frontends = beast endpoint={host}:{port} tcp_nodelay=1
rgw data = {folder}/rgw
rgw dns name = localhost
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
rgw enable lc threads = false
rgw enable quota threads = false
# Deleted tails go after seconds instead of two hours, or the memory fills up.
rgw enable gc threads = true
rgw gc obj min wait = 5
rgw gc processor period = 5
rgw gc processor max time = 5
rgw rados pool pg num min = 4
rgw override bucket index max shards = 4
)";

struct Entity {
  std::string_view name;
  std::string_view may;
};
constexpr Entity kEntities[] = {
    {"mon.", "\tcaps mon = \"allow *\"\n"},
    {"client.admin",
     "\tcaps mon = \"allow *\"\n\tcaps osd = \"allow *\"\n\tcaps mgr = \"allow *\"\n"},
    {"osd.0", "\tcaps mon = \"allow profile osd\"\n\tcaps osd = \"allow *\"\n"},
    {"client.rgw.a", "\tcaps mon = \"allow rw\"\n\tcaps osd = \"allow rwx\"\n"},
};

std::string random_hex(const Random& random, size_t characters) {
  std::string text;
  while (text.size() < characters) text += fmt::format("{:016x}", random());
  return text.substr(0, characters);
}

std::string random_uuid(const Random& random) {
  std::string text = random_hex(random, 32);
  for (size_t at : {8, 13, 18, 23}) text.insert(at, "-");
  return text;
}

// As Ceph writes a key: kind 1 (AES), made at no particular time, 16 bytes.
std::string random_secret(const Random& random) {
  std::string bytes("\x01\0\0\0\0\0\0\0\0\0\x10\0", 12);
  for (int half = 0; half < 2; ++half) {
    const uint64_t word = random();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return object::base64_of(as_bytes(bytes));
}

}  // namespace

std::vector<std::string> Ceph::programs() {
  return {"ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool"};
}

DevBucket Ceph::make_keys(const DevAddresses& addresses, const Random& random) {
  return {.access_key = "dev" + random_hex(random, 13),
          .secret_key = random_hex(random, 32),
          .host = addresses.center_host(),
          .port = addresses.store_proxy()};
}

Ceph::Ceph(const DevPaths& paths, const DevAddresses& addresses, DevBucket bucket,
           const Random& random)
    : paths_(paths),
      addresses_(addresses),
      bucket_(std::move(bucket)),
      cluster_(random_uuid(random)),
      osd_(random_uuid(random)) {
  for (size_t i = 0; i < std::size(kEntities); ++i) secrets_.push_back(random_secret(random));
}

std::vector<std::string> Ceph::folders() const {
  return {folder() + "/mon", folder() + "/osd", folder() + "/rgw"};
}

std::vector<std::pair<std::string, std::string>> Ceph::files() const {
  using namespace fmt::literals;
  std::string keyring;
  for (size_t i = 0; i < std::size(kEntities); ++i)
    keyring +=
        fmt::format("[{}]\n\tkey = {}\n{}", kEntities[i].name, secrets_[i], kEntities[i].may);
  std::string conf =
      fmt::format(kConf, "cluster"_a = cluster_, "mon1"_a = addresses_.store_monitor(1),
                  "mon2"_a = addresses_.store_monitor(2), "folder"_a = folder(),
                  "host"_a = addresses_.center_host(), "port"_a = addresses_.store(),
                  "log"_a = paths_.log("store-ceph"));
  return {{folder() + "/ceph.conf", std::move(conf)}, {folder() + "/keyring", std::move(keyring)}};
}

std::vector<Program> Ceph::before_monitor() const {
  const std::string addresses =
      fmt::format("[v2:{0}:{1},v1:{0}:{2}]", addresses_.center_host(), addresses_.store_monitor(2),
                  addresses_.store_monitor(1));
  return {program("store-tools", "the store's monmaptool",
                  {"monmaptool", "--create", "--clobber", "--addv", "a", addresses, "--fsid",
                   cluster_, "--enable-all-features", "monmap"}),
          program("store-tools", "the store's ceph-mon --mkfs",
                  {"ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring"})};
}

DevService Ceph::monitor() const {
  DevService made =
      service(1, "store-monitor", "the store's monitor", {"ceph-mon", "-f", "-i", "a"});
  made.host = addresses_.center_host();
  made.port = addresses_.store_monitor(2);
  return made;
}

std::vector<Program> Ceph::before_osd() const {
  return {program("store-tools", "the store's ceph osd new", {"ceph", "osd", "new", osd_, "0"}),
          program("store-tools", "the store's ceph-osd --mkfs",
                  {"ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_})};
}

DevService Ceph::osd() const {
  DevService made = service(2, "store-osd", "the store's OSD", {"ceph-osd", "-f", "-i", "0"});
  made.irreplaceable = "what the store held is gone";
  return made;
}

DevService Ceph::gateway() const {
  DevService made =
      service(3, "store-gateway", "the store's gateway", {"radosgw", "-f", "-n", "client.rgw.a"});
  made.host = addresses_.center_host();
  made.port = made.health_port = addresses_.store();
  made.health_path = "/";
  made.any_answer = true;  // it is not told who asks
  return made;
}

Program Ceph::make_user() const {
  return program("store-tools", "the store's radosgw-admin",
                 {"radosgw-admin", "user", "create", "--uid=dev", "--display-name=dev",
                  "--access-key=" + bucket_.access_key, "--secret-key=" + bucket_.secret_key});
}

Program Ceph::program(const std::string& key, std::string name,
                      std::vector<std::string> argv) const {
  return {.name = std::move(name),
          .argv = std::move(argv),
          .environment = {{"CEPH_CONF", folder() + "/ceph.conf"}, {"CEPH_ARGS", ""}},
          .folder = folder(),
          .log = paths_.log(key)};
}

DevService Ceph::service(unsigned number, const std::string& key, std::string name,
                         std::vector<std::string> argv) const {
  DevService made{.role = DevRole::store, .number = number};
  made.key = key;
  made.program = program(key, std::move(name), std::move(argv));
  return made;
}

Task<Result<void>> make_bucket(env::Shard& shard, DevBucket bucket) {
  object::Signer signer("us-east-1", "s3");
  object::SignedRequest signed_request;
  signed_request.method = "PUT";
  signed_request.path = "/paceline";
  signed_request.headers["host"] = net::http_host(bucket.host, bucket.port, false);
  const object::SigningKeys keys{bucket.access_key, bucket.secret_key, ""};
  net::HttpQuery query;
  query.method = "PUT";
  query.target = signer.sign(signed_request, keys, shard.wall_ms(), object::sha256_hex({}));
  query.headers = std::move(signed_request.headers);
  query.headers.erase("host");
  net::HttpPool pool(shard, {.host = bucket.host, .port = bucket.port, .tls = nullptr});
  auto outcome = co_await pool.ask(std::move(query), shard.now() + std::chrono::seconds(30));
  if (!outcome.answer)
    co_return fail(outcome.answer.error().code,
                   "the store makes no bucket: " + outcome.answer.error().message);
  if (outcome.answer->status != 200)
    co_return fail(Code::unavailable, fmt::format("the store makes no bucket: {} {}",
                                                  outcome.answer->status, outcome.answer->text()));
  co_return Result<void>{};
}

}  // namespace paceline::app
