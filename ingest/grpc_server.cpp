// The gRPC listener; the only file that knows gRPC.
//
//   completion-queue thread: accept -> read -> [queue] -> worker: inflate, decode, sink (journal) -> read again | finish
//
// A call has exactly one operation or one worker at a time, so that its state needs no lock. Generic, because the methods
// are bytes in, bytes out (grpc_services.hpp), and because the completion-queue API costs half of the callback API's CPU.
#include <grpc/support/log.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <thread>

#include "daemon/base/bounded_queue.hpp"
#include "daemon/base/mutex.hpp"
#include "ingest/grpc_services.hpp"
#include "ingest/limits.hpp"

namespace plumbline::ingest {
namespace {

// Workers wait for the journal more than they compute; four keep group commit supplied.
constexpr int workers = 4;
// Calls with a message that wait for a worker; past it senders are told to come back.
constexpr std::size_t waiting_max = 512;
// A peer that is gone without a word frees its streams after a minute, an idle connection after ten.
constexpr int keepalive_ms = 60'000;
constexpr int connection_idle_ms = 600'000;

grpc::Status status_of(const Error& error) {
  return grpc::Status(static_cast<grpc::StatusCode>(grpc_status(error.code)), error.message);
}

std::string bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& s : slices) bytes.append(reinterpret_cast<const char*>(s.begin()), s.size());
  return bytes;
}

grpc::ByteBuffer buffer_of(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// Debian's gRPC 1.51 has no defence against HTTP/2 floods (rapid reset, CONTINUATION), so it is shown to this machine only.
bool is_loopback(std::string_view listen) {
  const std::string_view host = listen.substr(0, listen.rfind(':'));
  return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

struct Call {
  enum class Step { accepting, reading, finishing };
  Step step = Step::accepting;
  grpc::GenericServerContext context;
  grpc::GenericServerAsyncReaderWriter stream{&context};
  grpc::ByteBuffer incoming;
  bool ended = false;  // the client has sent its last message
  std::uint64_t messages = 0;
  std::unique_ptr<GrpcCall> method;
};

class Server final : public GrpcServer {
 public:
  Server(Sink& sink, const Clock& clock, Log& log, Registry& registry, Limits limits, OtlpOptions otlp)
      : services_(sink, clock, limits, std::move(otlp)), limits_(limits), log_(log),
        calls_(registry.counter("plumbline_grpc_calls_total", "gRPC calls accepted.")),
        busy_(registry.counter("plumbline_grpc_calls_refused_total", "gRPC calls refused because every worker was busy.")),
        waiting_(waiting_max) {}
  ~Server() override { stop(Millis(0)); }

  Status listen(const std::string& address) {
    if (!is_loopback(address))
      return fail(Code::unsupported, "gRPC listens on loopback only (127.0.0.1, [::1], localhost), got " + printable(address) +
                                         "; from other machines use OTLP over HTTP");
    // gRPC prints lines of its own form to stderr about peers and ports; what matters of it comes back as a status.
    gpr_set_log_function([](gpr_log_func_args*) {});
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
    builder.RegisterAsyncGenericService(&service_);
    builder.SetMaxReceiveMessageSize(static_cast<int>(std::min<std::size_t>(limits_.body_bytes_max, 1u << 30)));
    grpc::ResourceQuota quota("plumbline");
    quota.Resize(limit::grpc_memory_bytes_max);
    builder.SetResourceQuota(quota);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limit::grpc_streams_max);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, connection_idle_ms);
    // Two daemons on one port would each get half of the connections.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    // We inflate ourselves, under a limit (inflate_message).
    builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    queue_ = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      server_.reset();
      queue_->Shutdown();
      drain();
      return fail(Code::io, "gRPC cannot listen on " + printable(address) + ": the address is in use or not ours");
    }
    port_ = port;
    accept_next();
    loop_ = std::thread([this] { loop(); });
    for (int i = 0; i < workers; ++i)
      workers_.emplace_back([this] {
        while (const std::optional<Call*> call = waiting_.pop()) work(**call);
      });
    log_.info("grpc listening", {{"address", address}, {"port", port_}});
    return {};
  }

  int port() const override { return port_; }

  void stop(Millis grace) override {
    if (server_ == nullptr || stopping_.exchange(true)) return;
    // First no new calls; running ones have `grace` to end by themselves and are cancelled then. Workers and the queue's
    // thread still run, because every call must come to its last event before the queue may close.
    server_->Shutdown(std::chrono::system_clock::now() + grace);
    {
      Lock lock(live_mutex_);
      while (live_ > 0) live_changed_.wait(live_mutex_);
    }
    waiting_.close();
    for (std::thread& w : workers_) w.join();
    // Last the queue: an operation begun after this would be our bug.
    queue_->Shutdown();
    loop_.join();
  }

 private:
  void accept_next() {
    auto* call = new Call;  // owned by its one operation; deleted when that comes back for the last time
    count_live(+1);
    service_.RequestCall(&call->context, &call->stream, queue_.get(), queue_.get(), call);
  }
  void end(Call* call) {
    delete call;
    count_live(-1);
  }
  void count_live(int by) {
    Lock lock(live_mutex_);
    live_ += by;
    if (live_ == 0) live_changed_.notify_all();
  }

  void drain() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_->Next(&tag, &ok)) continue;
  }

  void loop() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_->Next(&tag, &ok)) event(static_cast<Call*>(tag), ok);
  }

  // On the queue's thread: nothing here may wait.
  void event(Call* call, bool ok) {
    switch (call->step) {
      case Call::Step::accepting:
        if (!ok) return end(call);  // the server stops
        accept_next();
        calls_.add();
        call->method = services_.open(call->context.method());
        if (call->method == nullptr)
          return finish(*call, grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "unknown method " + printable(call->context.method())));
        return read(*call);
      case Call::Step::reading: {
        call->ended = !ok;
        Call* item = call;
        if (waiting_.try_push(item)) return;
        busy_.add();
        return finish(*call, grpc::Status(grpc::StatusCode::UNAVAILABLE, "every worker is busy; try again"));
      }
      case Call::Step::finishing: return end(call);
    }
  }

  void read(Call& call) {
    call.step = Call::Step::reading;
    call.stream.Read(&call.incoming, &call);
  }
  void finish(Call& call, const grpc::Status& status) {
    call.step = Call::Step::finishing;
    call.stream.Finish(status, &call);
  }
  void reply(Call& call) {
    const grpc::ByteBuffer out = buffer_of(call.method->reply());
    call.step = Call::Step::finishing;
    call.stream.WriteAndFinish(out, grpc::WriteOptions(), grpc::Status::OK, &call);
  }

  // On a worker. Whatever it begins at its end is the call's one operation: the call is not touched afterwards.
  void work(Call& call) {
    if (call.ended) {
      if (call.messages == 0 && !call.method->client_streaming())
        return finish(call, grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "the call has no request message"));
      return reply(call);
    }
    ++call.messages;
    Result<std::string> bytes = inflate_message(bytes_of(call.incoming), limits_.inflated_bytes_max);
    call.incoming.Clear();
    if (!bytes) return finish(call, status_of(bytes.error()));
    Status done;
    try {
      done = call.method->message(*bytes);
    } catch (const std::exception& e) {  // memory that is not there costs one call, not the daemon; UNAVAILABLE is retried
      log_.error("grpc call failed", {{"error", e.what()}});
      done = fail(Code::unavailable, "internal error; the daemon's log says more");
    }
    if (!done) return finish(call, status_of(done.error()));
    if (call.method->client_streaming()) return read(call);
    reply(call);
  }

  const GrpcServices services_;
  const Limits limits_;
  Log& log_;
  Counter& calls_;
  Counter& busy_;
  int port_ = 0;

  // In this order: the server is destroyed before its queue and service.
  grpc::AsyncGenericService service_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  BoundedQueue<Call*> waiting_;
  std::vector<std::thread> workers_;
  std::thread loop_;
  std::atomic<bool> stopping_{false};
  Mutex live_mutex_;
  Condition live_changed_;
  int live_ PLUMBLINE_GUARDED_BY(live_mutex_) = 0;
};

}  // namespace

Result<std::unique_ptr<GrpcServer>> GrpcServer::start(const std::string& listen, Sink& sink, const Clock& clock, Log& log,
                                                      Registry& registry, Limits limits, OtlpOptions otlp) {
  auto server = std::make_unique<Server>(sink, clock, log, registry, limits, std::move(otlp));
  PLUMBLINE_CHECK_OK(server->listen(listen));
  return std::unique_ptr<GrpcServer>(std::move(server));
}

}  // namespace plumbline::ingest
