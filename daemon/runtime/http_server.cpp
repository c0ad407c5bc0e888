#include "daemon/runtime/http_server.hpp"

#include <algorithm>
#include <condition_variable>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/base/mutex.hpp"
#include "daemon/runtime/as_result.hpp"
#include "daemon/runtime/core.hpp"
#include "daemon/runtime/session.hpp"

namespace plumbline::runtime {
namespace asio = boost::asio;
using asio::ip::tcp;
namespace {

// Out of descriptors, accept() fails at once and for ever: pause instead of spinning.
constexpr Millis accept_pause{50};

// One IPv6 customer has a whole /64 of addresses.
asio::ip::address counted_as(const asio::ip::address& address) {
  if (!address.is_v6()) return address;
  const asio::ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6);
  auto bytes = v6.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), 0);
  return asio::ip::address_v6(bytes);
}

Result<tcp::endpoint> resolve(asio::io_context& io, const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos)
    return fail(Code::invalid_input, "cannot listen on \"" + listen + "\": write host:port");
  std::string host = listen.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host.empty()) host = "0.0.0.0";
  boost::system::error_code error;
  tcp::resolver resolver(io);
  const auto found = resolver.resolve(host, listen.substr(colon + 1), tcp::resolver::numeric_service, error);
  if (error || found.empty())
    return fail(Code::invalid_input, "cannot listen on \"" + listen + "\": " + error.message());
  for (const auto& entry : found)
    if (entry.endpoint().address().is_v4()) return entry.endpoint();
  return found.begin()->endpoint();
}

Result<tcp::acceptor> bind(asio::io_context& io, const std::string& listen) {
  const Result<tcp::endpoint> endpoint = resolve(io, listen);
  if (!endpoint) return fail(endpoint.error());
  tcp::acceptor acceptor(io);
  boost::system::error_code error;
  acceptor.open(endpoint->protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(*endpoint, error);
  if (!error) acceptor.listen(4096, error);
  if (error) return fail(Code::io, "cannot listen on " + listen + ": " + error.message());
  return acceptor;
}

}  // namespace

Core::Core(ServerOptions options_in, Router router_in, Log& log_in, Registry& registry_in)
    : options(std::move(options_in)),
      router(std::move(router_in)),
      log(log_in),
      registry(registry_in),
      connections(registry_in.gauge("plumbline_http_connections", "open HTTP connections")),
      lanes(options, log_in, registry_in) {}

Core::~Core() = default;

void Core::count_request(std::string_view route, int status) {
  registry
      .counter("plumbline_http_requests_total", "HTTP requests by route and status",
               {{"route", std::string(route)}, {"code", std::to_string(status)}})
      .add();
}

void Core::count_refusal(std::string_view reason) {
  registry
      .counter("plumbline_http_refused_total", "connections and requests turned away before a handler saw them",
               {{"reason", std::string(reason)}})
      .add();
}

struct HttpServer::Impl {
  Impl(ServerOptions options, Router router, Log& log, Registry& registry)
      : core(std::move(options), std::move(router), log, registry), sweep_timer(core.io) {}

  Status listen() {
    for (const std::string& address : core.options.listen) {
      Result<tcp::acceptor> acceptor = bind(core.io, address);
      if (!acceptor) return fail(acceptor.error());
      ports.push_back(acceptor->local_endpoint().port());
      acceptors.push_back(std::move(*acceptor));
    }
    return {};
  }

  void run() {
    for (tcp::acceptor& acceptor : acceptors) spawn(accept(acceptor));
    spawn(sweep());
    loop = std::thread([this] {
      ::pthread_setname_np(::pthread_self(), "http-loop");
      core.io.run();
    });
  }

  // The one place that starts coroutines: each is counted, and stop() waits for the count.
  void spawn(asio::awaitable<void> coroutine, Session* session = nullptr) {
    ++running;
    asio::co_spawn(core.io, std::move(coroutine), [this, session](std::exception_ptr failure) {
      if (failure) report(failure);
      if (session != nullptr) forget(session);
      if (--running == 0) {
        Lock lock(mutex);
        all_ended = true;
        ended.notify_all();
      }
    });
  }

  void report(const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      core.count_refusal("internal");
      core.log.error("connection failed", {{"error", e.what()}});
    }
  }

  void forget(Session* session) {
    session->release_body();  // when it ended by an exception
    const auto counted = core.sessions_per_ip.find(session->peer());
    if (counted != core.sessions_per_ip.end() && --counted->second == 0) core.sessions_per_ip.erase(counted);
    core.sessions.erase(session);
    core.connections.set(static_cast<double>(core.sessions.size()));
    if (core.stopping && core.sessions.empty()) sweep_timer.cancel();
  }

  asio::awaitable<void> accept(tcp::acceptor& acceptor) {
    asio::steady_timer pause(core.io);
    while (!core.stopping) {
      auto [error, socket] = co_await acceptor.async_accept(as_result);
      if (core.stopping) break;
      if (!error) {
        admit(std::move(socket));
        continue;
      }
      core.count_refusal("accept_failed");
      shed(nullptr);
      pause.expires_after(accept_pause);
      (void)co_await pause.async_wait(as_result);
    }
  }

  void admit(tcp::socket socket) {
    boost::system::error_code error;
    const tcp::endpoint remote = socket.remote_endpoint(error);
    if (error) return;  // gone already
    const asio::ip::address peer = counted_as(remote.address());
    const ServerLimits& limits = core.options.limits;
    const auto of_peer = core.sessions_per_ip.find(peer);
    bool room = true;
    if (of_peer != core.sessions_per_ip.end() && of_peer->second >= limits.connections_per_ip_max) {
      room = shed(&peer);
    } else if (core.sessions.size() >= limits.connections_max) {
      room = shed(nullptr);
    }
    if (!room) {
      turn_away(socket);
      return;
    }
    socket.set_option(tcp::no_delay(true), error);
    auto session = std::make_unique<Session>(core, std::move(socket), peer);
    Session* raw = session.get();
    ++core.sessions_per_ip[peer];
    core.sessions.emplace(raw, std::move(session));
    core.connections.set(static_cast<double>(core.sessions.size()));
    spawn(raw->run(), raw);
  }

  // Makes room: the longest idle connection goes, else the one that has been sending its head for the longest. Whoever has
  // a request under way stays.
  bool shed(const asio::ip::address* of_peer) {
    Session* victim = nullptr;
    for (const auto& [raw, session] : core.sessions) {
      if (of_peer != nullptr && raw->peer() != *of_peer) continue;
      if (raw->state() != Session::State::idle && raw->state() != Session::State::head) continue;
      if (raw->is_cut()) continue;
      if (victim == nullptr || std::pair(raw->state(), raw->since()) < std::pair(victim->state(), victim->since()))
        victim = raw;
    }
    if (victim == nullptr) return false;
    core.count_refusal(victim->state() == Session::State::idle ? "shed_idle" : "shed_head");
    victim->cut();
    return true;
  }

  void turn_away(tcp::socket& socket) {
    core.count_refusal("too_many_connections");
    AnswerStyle style;
    style.keep_alive = false;
    const std::string bytes =
        serialise(refusal_response({503, "too_many_connections", "too many connections; try later"}), style,
                  core.clock.now_ns() / 1'000'000'000);
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(bytes), ignored);  // best effort: it fits any fresh send buffer
    socket.shutdown(tcp::socket::shutdown_both, ignored);
  }

  // One timer for all connections: a walk over 4096 of them takes some 20 us, a timer each would be armed anew at every read.
  asio::awaitable<void> sweep() {
    const ServerLimits& limits = core.options.limits;
    const Millis shortest = std::min({limits.header_timeout, limits.body_timeout, limits.idle_timeout});
    const Millis pause = std::clamp(shortest / 4, Millis(5), Millis(250));
    while (!core.stopping || !core.sessions.empty()) {
      sweep_timer.expires_after(pause);
      (void)co_await sweep_timer.async_wait(as_result);
      const Steady now = core.clock.steady();
      for (const auto& [raw, session] : core.sessions) raw->check_deadline(now);
    }
  }

  void stop(Millis grace) {
    {
      Lock lock(mutex);
      if (stopped) return;
      stopped = true;
    }
    const auto deadline = std::chrono::steady_clock::now() + grace;
    core.lanes.say_goodbye();
    asio::post(core.io, [this] {
      core.stopping = true;
      boost::system::error_code ignored;
      for (tcp::acceptor& acceptor : acceptors) acceptor.close(ignored);
      for (const auto& [raw, session] : core.sessions) raw->finish();
      sweep_timer.cancel();
    });
    bool in_time = false;
    {
      Lock lock(mutex);
      while (!all_ended)
        if (ended.wait_until(mutex, deadline) == std::cv_status::timeout) break;
      in_time = all_ended;
    }
    if (!in_time) {
      core.lanes.abandon();
      asio::post(core.io, [this] {
        for (const auto& [raw, session] : core.sessions) raw->cut();
      });
    }
    // Workers first: a session cannot end while a handler still has its request.
    core.lanes.stop();
    {
      Lock lock(mutex);
      while (!all_ended) ended.wait(mutex);
    }
    loop.join();
  }

  Core core;
  asio::steady_timer sweep_timer;
  std::vector<tcp::acceptor> acceptors;
  std::vector<int> ports;
  std::size_t running = 0;  // coroutines; loop only once the loop runs
  std::thread loop;
  Mutex mutex;
  Condition ended;
  bool all_ended PLUMBLINE_GUARDED_BY(mutex) = false;
  bool stopped PLUMBLINE_GUARDED_BY(mutex) = false;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { stop(Millis(0)); }

Result<std::unique_ptr<HttpServer>> HttpServer::start(ServerOptions options, http::Routes routes, Log& log,
                                                      Registry& registry) {
  Result<Router> router = Router::make(std::move(routes));
  if (!router) return fail(router.error());
  try {
    auto impl = std::make_unique<Impl>(std::move(options), std::move(*router), log, registry);
    PLUMBLINE_CHECK_OK(impl->listen());
    impl->run();
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
  } catch (const std::exception& e) {
    return fail(Code::io, std::string("cannot start the HTTP server: ") + e.what());
  }
}

std::vector<int> HttpServer::ports() const { return impl_->ports; }
void HttpServer::stop(Millis grace) { impl_->stop(grace); }

}  // namespace plumbline::runtime
