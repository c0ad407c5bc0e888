// What the sessions of one server share. Everything but the lanes and the log belongs to the loop's thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>

#include "daemon/base/clock.hpp"
#include "daemon/runtime/http_server.hpp"
#include "daemon/runtime/lanes.hpp"
#include "daemon/runtime/router.hpp"

namespace plumbline::runtime {

class Session;

struct Core {
  Core(ServerOptions options_in, Router router_in, Log& log_in, Registry& registry_in);
  ~Core();

  void count_request(std::string_view route, int status);
  void count_refusal(std::string_view reason);

  const ServerOptions options;
  const Router router;
  Log& log;
  Registry& registry;
  SystemClock clock;
  boost::asio::io_context io{1};
  Gauge& connections;
  // Loop only.
  std::map<Session*, std::unique_ptr<Session>> sessions;
  std::map<boost::asio::ip::address, std::size_t> sessions_per_ip;
  std::size_t bodies_bytes = 0;
  bool stopping = false;
  // Last: its threads may still answer into the loop.
  Lanes lanes;
};

}  // namespace plumbline::runtime
