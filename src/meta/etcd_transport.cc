#include "meta/etcd_transport.h"

#include <grpc/support/log.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <thread>

#include "base/log.h"
#include "env/sync.h"

namespace paceline::meta {
namespace {

// A reader that is so far behind is cut off: a watch goes on by revision.
constexpr size_t kUnreadBytesMax = 16 << 20;

grpc::ByteBuffer to_buffer(const std::string& bytes) {
  grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string to_string(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

RpcStatus to_status(const grpc::Status& status) {
  return {static_cast<RpcCode>(status.error_code()), status.error_message()};
}

// gRPC's own lines would stand in the broker's output without its form. The last one before it
// ends the process is the only one that anybody needs.
void log_of_grpc(gpr_log_func_args* line) {
  const std::string_view message = line->message;
  if (message.starts_with("assertion failed") || message.starts_with("ASSERTION FAILED")) {
    log_error("grpc: {}:{}: {}", line->file, line->line, message);
  } else if (line->severity >= GPR_LOG_SEVERITY_ERROR) {
    log_debug("grpc: {}", message);
  }
}

void prepare(grpc::ClientContext& context, std::optional<env::Duration> timeout,
             const std::string& token) {
  if (timeout) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*timeout).count();
    context.set_deadline(gpr_time_from_millis(std::max<int64_t>(ms, 1), GPR_TIMESPAN));
  }
  // A member that knows no leader says so at once, and ends its streams, instead of keeping us.
  context.AddMetadata("hasleader", "true");
  if (!token.empty()) context.AddMetadata("token", token);
}

struct Cancel {
  grpc::ClientContext* context;
  void operator()() const { context->TryCancel(); }
};
using CancelOnClose = std::stop_callback<Cancel>;

// Something that was begun has ended. Called on the thread of the calls.
struct Step {
  virtual void ended(bool ok) = 0;

 protected:
  ~Step() = default;
};

void* tag(Step& step) {
  return &step;
}

// One unary call. Shared by gRPC and the frame that waits; `waiter` is touched at home only.
struct Call final : Step {
  Call(env::Shard& shard, std::shared_ptr<RpcGate> entered)
      : home(shard), gate(std::move(entered)), cancel(gate->token(), Cancel{&context}) {}
  void ended(bool ok) override;

  env::Shard& home;
  const std::shared_ptr<RpcGate> gate;
  grpc::ClientContext context;
  CancelOnClose cancel;
  grpc::ByteBuffer request, response;
  grpc::Status status;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  RpcAnswer answer;
  std::coroutine_handle<> waiter;
  std::shared_ptr<Call> self;  // for as long as gRPC has it
};

void Call::ended(bool) {
  answer = {to_status(status), status.ok() ? to_string(response) : ""};
  const auto kept = std::move(self);
  home.post([kept] {
    if (kept->waiter) std::exchange(kept->waiter, nullptr).resume();
  });
  gate->leave();
}

struct CallAwaiter {
  std::shared_ptr<Call> call;
  grpc::GenericStub& stub;
  grpc::CompletionQueue& queue;
  const std::string& method;

  CallAwaiter(std::shared_ptr<Call> made, grpc::GenericStub& over, grpc::CompletionQueue& heard_by,
              const std::string& name)
      : call(std::move(made)), stub(over), queue(heard_by), method(name) {}
  CallAwaiter(const CallAwaiter&) = delete;
  CallAwaiter& operator=(const CallAwaiter&) = delete;
  ~CallAwaiter() {
    if (call->waiter) call->context.TryCancel();
    call->waiter = nullptr;
  }
  bool await_ready() noexcept { return false; }
  void await_suspend(std::coroutine_handle<> self) {
    call->waiter = self;
    call->self = call;
    call->reader = stub.PrepareUnaryCall(&call->context, method, call->request, &queue);
    call->reader->StartCall();
    call->reader->Finish(&call->response, &call->status, tag(*call));
  }
  RpcAnswer await_resume() { return std::move(call->answer); }
};

// The half of a stream that lives on its shard.
struct Inbox {
  explicit Inbox(env::Shard& shard) : messages(shard) {}
  env::Mailbox<std::string> messages;
  RpcStatus status;
};

// The half that gRPC owns, until it has finished. A read is always under way, so nobody else has to
// start one. After start() it is the thread of the calls alone that touches it.
class StreamCall final : public std::enable_shared_from_this<StreamCall> {
 public:
  StreamCall(env::Shard& home, std::shared_ptr<RpcGate> gate, std::shared_ptr<Inbox> inbox)
      : home_(home),
        gate_(std::move(gate)),
        inbox_(std::move(inbox)),
        cancel_(gate_->token(), Cancel{&context}) {}

  void start(grpc::GenericStub& stub, grpc::CompletionQueue& queue, const std::string& method,
             const std::string& request) {
    self_ = shared_from_this();
    request_ = to_buffer(request);
    stream_ = stub.PrepareCall(&context, method, &queue);
    stream_->StartCall(tag(started_));
  }

  grpc::ClientContext context;

 private:
  struct Part final : Step {
    Part(StreamCall& call, void (StreamCall::*body)(bool)) : of(call), then(body) {}
    void ended(bool ok) override { (of.*then)(ok); }
    StreamCall& of;
    void (StreamCall::* const then)(bool);
  };

  void started(bool ok) {
    if (!ok) return finish();
    under_way_ = 2;
    stream_->Write(request_, tag(written_));
    stream_->Read(&response_, tag(read_));
  }
  void written(bool) {
    if (--under_way_ == 0) finish();
  }
  void read(bool ok) {
    if (!ok) return written(ok);
    std::string bytes = to_string(response_);
    if (unread_.fetch_add(bytes.size()) > kUnreadBytesMax) context.TryCancel();
    home_.post([self = shared_from_this(), bytes = std::move(bytes)]() mutable {
      self->unread_ -= bytes.size();
      self->inbox_->messages.put(std::move(bytes));
    });
    stream_->Read(&response_, tag(read_));
  }
  void finish() { stream_->Finish(&status_, tag(finished_)); }
  void finished(bool) {
    home_.post([inbox = inbox_, end = to_status(status_)]() mutable {
      inbox->status = std::move(end);
      inbox->messages.close();
    });
    const auto self = std::move(self_);
    gate_->leave();
  }

  env::Shard& home_;
  const std::shared_ptr<RpcGate> gate_;
  const std::shared_ptr<Inbox> inbox_;
  CancelOnClose cancel_;
  grpc::ByteBuffer request_, response_;
  grpc::Status status_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  Part started_{*this, &StreamCall::started}, written_{*this, &StreamCall::written},
      read_{*this, &StreamCall::read}, finished_{*this, &StreamCall::finished};
  int under_way_ = 0;  // the write, and reads one after the other
  std::atomic<size_t> unread_ = 0;
  std::shared_ptr<StreamCall> self_;
};

class Stream final : public RpcStream {
 public:
  // Without a call it has ended: the store is closed.
  Stream(std::shared_ptr<Inbox> inbox, std::shared_ptr<StreamCall> call)
      : inbox_(std::move(inbox)), call_(std::move(call)) {}
  ~Stream() override { Stream::cancel(); }
  Task<std::optional<std::string>> read() override { return inbox_->messages.next(); }
  RpcStatus status() const override { return inbox_->status; }
  void cancel() override {
    if (call_) call_->context.TryCancel();
  }

 private:
  std::shared_ptr<Inbox> inbox_;
  std::shared_ptr<StreamCall> call_;
};

std::shared_ptr<grpc::Channel> make_channel(const std::string& address, const TlsFiles* tls) {
  gpr_set_log_function(log_of_grpc);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // who may be asked twice is decided here
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // A member that is back is found within half a second.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);  // this is the bound of a connect
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // A watch on a dead line notices in 13 s. etcd refuses pings more often than each 5 s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3'000);
  if (!tls)
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = tls->ca;
  options.pem_cert_chain = tls->certificate;
  options.pem_private_key = tls->key;
  return grpc::CreateCustomChannel(address, grpc::SslCredentials(options), arguments);
}

}  // namespace

// A queue and a thread of our own: the threads that gRPC 1.51 has for callbacks sleep for 100 ms
// whenever nothing came for a second, and whatever comes meanwhile waits.
struct RpcGate::Calls {
  Calls() : thread([this] { hear(); }) {}
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;
  ~Calls() {
    queue.Shutdown();
    thread.join();
  }
  void hear() {
    void* step = nullptr;
    for (bool ok = false; queue.Next(&step, &ok);) static_cast<Step*>(step)->ended(ok);
  }

  grpc::CompletionQueue queue;
  std::thread thread;
};

RpcGate::RpcGate() : calls_(std::make_unique<Calls>()) {}
// A store closes its gate before it lets go of it: whoever holds it last may be a call, on the
// thread that ends here.
RpcGate::~RpcGate() {
  close();
}

void RpcGate::close() {
  closing_.request_stop();
  for (int n = inside_; n > 0; n = inside_) inside_.wait(n);
  std::call_once(ended_, [this] { calls_.reset(); });
}

struct RpcChannel::Grpc {
  Grpc(std::string where, const TlsFiles* tls, std::shared_ptr<RpcGate> of)
      : address(std::move(where)),
        gate(std::move(of)),
        channel(make_channel(address, tls)),
        stub(channel) {}
  const std::string address;
  const std::shared_ptr<RpcGate> gate;
  const std::shared_ptr<grpc::Channel> channel;
  grpc::GenericStub stub;
};

RpcChannel::RpcChannel(std::string address, const TlsFiles* tls, std::shared_ptr<RpcGate> gate)
    : grpc_(std::make_unique<Grpc>(std::move(address), tls, std::move(gate))) {}
RpcChannel::~RpcChannel() = default;

const std::string& RpcChannel::address() const {
  return grpc_->address;
}

bool RpcChannel::connected() const {
  return grpc_->channel->GetState(false) == GRPC_CHANNEL_READY;
}

Task<RpcAnswer> RpcChannel::call(env::Shard& shard, std::string method, std::string request,
                                 env::Duration timeout, std::string token) {
  if (!grpc_->gate->enter())
    co_return RpcAnswer{{RpcCode::cancelled, "the metadata store is closed"}, {}};
  auto made = std::make_shared<Call>(shard, grpc_->gate);
  prepare(made->context, timeout, token);
  made->request = to_buffer(request);
  CallAwaiter awaiter(std::move(made), grpc_->stub, grpc_->gate->calls().queue, method);
  co_return co_await awaiter;
}

std::unique_ptr<RpcStream> RpcChannel::open(env::Shard& shard, const std::string& method,
                                            const std::string& request,
                                            std::optional<env::Duration> timeout,
                                            const std::string& token) {
  auto inbox = std::make_shared<Inbox>(shard);
  if (!grpc_->gate->enter()) {
    inbox->status = {RpcCode::cancelled, "the metadata store is closed"};
    inbox->messages.close();
    return std::make_unique<Stream>(std::move(inbox), nullptr);
  }
  auto call = std::make_shared<StreamCall>(shard, grpc_->gate, inbox);
  prepare(call->context, timeout, token);
  call->start(grpc_->stub, grpc_->gate->calls().queue, method, request);
  return std::make_unique<Stream>(std::move(inbox), std::move(call));
}

}  // namespace paceline::meta
