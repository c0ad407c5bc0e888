// The HTTP/1.1 front: sockets in, http::Handler calls out. Strict about framing, bounded in everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/error.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"
#include "proto/http.hpp"

namespace plumbline::runtime {

struct ServerLimits {
  // 4096: with 64 KiB of head each that is 256 MiB at the very worst. A newcomer beyond it takes the place of the longest
  // idle connection, so good clients are not locked out by a crowd that only holds sockets.
  std::size_t connections_max = 4096;
  std::size_t connections_per_ip_max = 256;
  std::size_t head_bytes_max = 64u << 10;  // request line and headers
  std::size_t headers_max = 100;
  Millis header_timeout{10'000};  // from the first byte of a request to the end of its head
  // A body gets body_timeout, and beyond it one more second for every body_rate_min bytes that have come; an answer is
  // written under the same rule.
  Millis body_timeout{10'000};
  std::size_t body_rate_min = 1024;
  Millis idle_timeout{60'000};  // between requests
  // Bodies that are being read or handled, of all connections together; more are answered 503.
  std::size_t bodies_bytes_max = 512u << 20;
  std::size_t queue_length = 128;  // requests waiting per lane; more are answered 503 with Retry-After
};

// Whether scripts of an origin ("https://grafana.example") may read answers. Called on the loop: must not block.
using OriginRule = std::function<bool(std::string_view origin)>;

struct ServerOptions {
  std::vector<std::string> listen{"127.0.0.1:9470"};  // "host:port", "[::1]:port"; port 0 picks one
  ServerLimits limits;
  std::size_t ingest_threads = 2;
  std::size_t query_threads = 2;
  std::size_t admin_threads = 1;
  // Of routes in the query lane: what only reads. Null: no other origin may, and nothing is said of origins.
  OriginRule allows_origin;
};

// Serves routes on several listeners until stopped.
//
// Threads: own loop (all sockets) and the lanes' workers (handlers). Public calls from any thread.
// Blocks: start() while binding; stop() until running handlers have returned.
// Owns: its threads, sockets and routes. Borrows: log, registry.
class HttpServer {
 public:
  // Fails: io (cannot bind; names the address), invalid_input (bad address, two equal routes).
  static Result<std::unique_ptr<HttpServer>> start(ServerOptions options, http::Routes routes, Log& log,
                                                   Registry& registry);
  ~HttpServer();  // stop(0)
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // The bound ports, in the order of options.listen.
  std::vector<int> ports() const;
  // Stops accepting, closes idle connections, lets requests under way finish for `grace`, then closes what is left.
  // Idempotent.
  void stop(Millis grace);

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumbline::runtime
