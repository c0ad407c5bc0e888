#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "daemon/base/compression.hpp"
#include "daemon/runtime/http_server.hpp"
#include "tests/runtime/raw_client.hpp"

using namespace plumbline;
using namespace plumbline::runtime;
using plumbline::test::RawAnswer;
using plumbline::test::RawClient;

namespace {

// Opens once, for handlers that a test holds back.
class Gate {
 public:
  void open() {
    Lock lock(mutex_);
    is_open_ = true;
    opened_.notify_all();
  }
  void pass() {
    Lock lock(mutex_);
    ++waiting_;
    opened_.notify_all();
    while (!is_open_) opened_.wait(mutex_);
  }
  void wait_for(int arrivals) {
    Lock lock(mutex_);
    while (waiting_ < arrivals) opened_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  Condition opened_;
  bool is_open_ PLUMBLINE_GUARDED_BY(mutex_) = false;
  int waiting_ PLUMBLINE_GUARDED_BY(mutex_) = 0;
};

struct Fixture {
  explicit Fixture(ServerLimits limits = {}, std::size_t query_threads = 2) {
    http::Routes routes;
    const auto add = [&](std::string method, std::string pattern, http::Handler handler, http::Lane lane,
                         std::size_t body_bytes_max) {
      http::Route route;
      route.method = std::move(method);
      route.pattern = std::move(pattern);
      route.handler = std::move(handler);
      route.lane = lane;
      route.body_bytes_max = body_bytes_max;
      routes.push_back(std::move(route));
    };
    const http::Handler echo = [](const http::Request& request) {
      std::string text = request.method + " " + request.path;
      for (const auto& [name, value] : request.query) text += " " + name + "=" + value;
      for (const auto& [name, value] : request.path_values) text += " {" + name + "}=" + value;
      return http::Response::text(text + "\n" + request.body);
    };
    add("GET", "/echo", echo, http::Lane::query, 1000);
    add("POST", "/echo", echo, http::Lane::query, 1000);
    add("GET", "/label/{name}/values", echo, http::Lane::query, 1000);
    add("POST", "/big", [](const http::Request& r) { return http::Response::text(std::to_string(r.body.size())); },
        http::Lane::ingest, 8 << 20);
    add("GET", "/long", [](const http::Request&) { return http::Response::text(std::string(100'000, 'y')); },
        http::Lane::query, 0);
    add("GET", "/gate", [this](const http::Request&) {
      gate.pass();
      return http::Response::text("passed");
    }, http::Lane::query, 0);
    add("GET", "/order", [this](const http::Request& r) {
      Lock lock(order_mutex);
      handled += r.param("name").value_or("?");
      return http::Response::empty(204);
    }, http::Lane::query, 0);
    add("GET", "/told", [this](const http::Request& r) {
      Gate gone;
      const std::stop_callback open(r.gone, [&gone] { gone.open(); });
      ++arrived;
      gone.pass();
      ++told;
      return http::Response::empty(204);
    }, http::Lane::admin, 0);
    add("GET", "/until_gone", [this](const http::Request& r) {
      const std::stop_callback open(r.gone, [this] { gate.open(); });
      gate.pass();
      return http::Response::text("given up");
    }, http::Lane::query, 0);
    add("GET", "/throws", [](const http::Request&) -> http::Response { throw std::runtime_error("secret"); },
        http::Lane::query, 0);
    add("GET", "/-/healthy", [](const http::Request&) { return http::Response::text("ok"); }, http::Lane::admin, 0);
    ServerOptions options;
    options.listen = {"127.0.0.1:0", "localhost:0"};
    options.limits = limits;
    options.query_threads = query_threads;
    options.allows_origin = [](std::string_view origin) { return origin == "https://good.example"; };
    auto started = HttpServer::start(options, std::move(routes), *log, registry);
    REQUIRE(started);
    server = std::move(*started);
    port = server->ports()[0];
  }
  ~Fixture() {
    gate.open();
    server->stop(Millis(0));
  }
  RawClient connect(std::uint8_t from = 1) const { return RawClient(port, from); }
  double waiting() { return registry.gauge("plumbline_http_waiting", "Requests that wait for a worker", {{"lane", "query"}}).value(); }
  void wait_until_waiting(double n) {
    while (waiting() != n) std::this_thread::yield();
  }
  std::uint64_t lane_refused(const std::string& reason) {
    return registry
        .counter("plumbline_http_lane_refused_total", "Requests that their lane did not handle, by reason", {{"lane", "query"}, {"reason", reason}})
        .value();
  }
  std::string order() {
    Lock lock(order_mutex);
    return handled;
  }
  std::uint64_t refused(const std::string& reason) {
    return registry
        .counter("plumbline_http_refused_total", "connections and requests turned away before a handler saw them",
                 {{"reason", reason}})
        .value();
  }

  std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  Gate gate;
  std::atomic<int> arrived{0}, told{0};  // handlers of /told
  Mutex order_mutex;
  std::string handled PLUMBLINE_GUARDED_BY(order_mutex);  // names, in the order in which /order had its turn
  std::unique_ptr<HttpServer> server;
  int port = 0;
};

ServerLimits short_limits() {
  ServerLimits limits;
  limits.header_timeout = limits.body_timeout = limits.idle_timeout = Millis(60);
  return limits;
}

std::string get(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"; }

}  // namespace

TEST_CASE("requests are routed, decoded and answered", "[runtime][server]") {
  Fixture f;
  REQUIRE(f.server->ports().size() == 2);
  RawClient client = f.connect();
  client.send(get("/echo?a=1&b=x%20y"));
  auto answer = client.read_answer();
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->body == "GET /echo a=1 b=x y\n");
  CHECK(answer->has("x-content-type-options: nosniff"));
  client.send(get("//label/./a%2Fb/values/"));
  answer = client.read_answer();
  REQUIRE(answer);
  CHECK(answer->body == "GET /label/a/b/values {name}=a/b\n");
  RawClient other(f.server->ports()[1]);
  other.send(get("/-/healthy"));
  CHECK(other.read_answer()->body == "ok");
}

TEST_CASE("a form's parameters join the query's", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  const std::string form = "query=up%7Ba%3D%221%22%7D&time=5";
  client.send("POST /echo?x=1 HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
              "Content-Length: " + std::to_string(form.size()) + "\r\n\r\n" + form);
  auto answer = client.read_answer();
  REQUIRE(answer);
  CHECK(answer->body == "POST /echo x=1 query=up{a=\"1\"} time=5\n" + form);
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 2\r\n\r\n%z");
  CHECK(client.read_answer()->status == 400);
}

TEST_CASE("every framing attack is answered 400 and the connection closed", "[runtime][server]") {
  Fixture f;
  const std::string smuggled = "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::string nul("X: a\0b\r\n", 8);
  const std::string attacks[] = {
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n" + smuggled,
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n" + smuggled,
      "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled,
      "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n" + smuggled,
      "GET /echo HTTP/1.1\nHost: h\n\n" + smuggled,
      "GET /echo HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n" + smuggled,
      "GET /echo HTTP/1.1\r\nHost: h\r\n" + nul + "\r\n" + smuggled,
      "GET /echo HTTP/1.1\r\n\r\n" + smuggled,
      "GET /echo HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n" + smuggled,
      "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n" + smuggled,
      "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + smuggled,
      "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + smuggled,
      "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(5000, 'e') + "\r\na\r\n0\r\n\r\n",
      "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
      std::string("\x16\x03\x01\x02\x00\x01\n", 7),  // TLS
  };
  for (const std::string& attack : attacks) {
    INFO(attack.substr(0, 120));
    RawClient client = f.connect();
    client.send(attack);
    const auto everything = client.read_to_end();
    REQUIRE(everything);
    CHECK(everything->starts_with("HTTP/1.1 400 "));
    CHECK(everything->find("Connection: close") != std::string::npos);
    CHECK(everything->find("}HTTP/1.1 ") == std::string::npos);  // one answer: the smuggled request got none
  }
}

TEST_CASE("headers that are too many or too long are answered 431", "[runtime][server]") {
  Fixture f;
  RawClient many = f.connect();
  std::string head = "GET /echo HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 100; ++i) head += "X: y\r\n";
  many.send(head + "\r\n");
  CHECK(many.read_to_end()->starts_with("HTTP/1.1 431 "));
  RawClient wide = f.connect();
  wide.send("GET /echo HTTP/1.1\r\nHost: h\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n");
  CHECK(wide.read_to_end()->starts_with("HTTP/1.1 431 "));
}

TEST_CASE("slow clients lose their connection", "[runtime][server]") {
  Fixture f(short_limits());
  RawClient silent = f.connect();
  CHECK(silent.read_to_end() == "");
  RawClient half_head = f.connect();
  half_head.send("GET /echo HTT");
  CHECK(half_head.read_to_end()->starts_with("HTTP/1.1 408 "));
  RawClient half_body = f.connect();
  half_body.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc");
  CHECK(half_body.read_to_end()->starts_with("HTTP/1.1 408 "));
  RawClient half_chunk = f.connect();
  half_chunk.send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc");
  CHECK(half_chunk.read_to_end()->starts_with("HTTP/1.1 408 "));
  RawClient idle = f.connect();
  idle.send(get("/-/healthy"));
  REQUIRE(idle.read_answer());
  CHECK(idle.closed_by_peer());
  CHECK(f.refused("header_timeout") == 1);
  CHECK(f.refused("body_timeout") == 2);
  CHECK(f.refused("idle_timeout") >= 2);
}

TEST_CASE("a client that drips its header is cut off however often it drips", "[runtime][server]") {
  Fixture f(short_limits());
  RawClient client = f.connect();
  client.send("GET /echo HTTP/1.1\r\nHost: h\r\n");
  // Each byte arrives in time for a per-read timeout; the whole head does not.
  int sent = 0;
  while (client.send("X") && sent < 1'000'000) ++sent;
  CHECK(sent < 1'000'000);
}

TEST_CASE("an answer is written for a slow reader only as long as it moves", "[runtime][server]") {
  ServerLimits limits = short_limits();
  limits.body_rate_min = 1u << 30;
  Fixture f(limits);
  RawClient client = f.connect();
  for (int i = 0; i < 1000; ++i)
    if (!client.send(get("/long"))) break;
  // Never reading, so the server's send buffer fills and its write stalls.
  while (f.refused("write_timeout") == 0) std::this_thread::yield();
  SUCCEED();
}

TEST_CASE("an idle connection makes room for a new one", "[runtime][server]") {
  ServerLimits limits;
  limits.connections_max = 8;
  limits.connections_per_ip_max = 100;
  Fixture f(limits);
  std::vector<RawClient> crowd;
  for (int i = 0; i < 8; ++i) {
    crowd.push_back(f.connect());
    crowd.back().send(get("/-/healthy"));
    REQUIRE(crowd.back().read_answer());
  }
  for (int i = 0; i < 20; ++i) {
    RawClient client = f.connect();
    client.send(get("/-/healthy"));
    const auto answer = client.read_answer();
    REQUIRE(answer);
    CHECK(answer->status == 200);
  }
  CHECK(f.refused("shed_idle") > 0);
  CHECK(crowd.front().closed_by_peer());
}

TEST_CASE("connections that only dribble headers make room as well", "[runtime][server]") {
  ServerLimits limits;
  limits.connections_per_ip_max = 8;
  Fixture f(limits);
  std::vector<RawClient> crowd;
  for (int i = 0; i < 8; ++i) {
    crowd.push_back(f.connect());
    crowd.back().send("GET / HT");
  }
  for (int i = 0; i < 20; ++i) {
    RawClient client = f.connect();
    client.send(get("/-/healthy"));
    const auto answer = client.read_answer();
    REQUIRE(answer);
    CHECK(answer->status == 200);
  }
  CHECK(f.refused("shed_idle") + f.refused("shed_head") > 0);
}

TEST_CASE("who has a request under way is not shed", "[runtime][server]") {
  ServerLimits limits;
  limits.connections_max = 2;
  Fixture f(limits);
  RawClient first = f.connect(), second = f.connect();
  first.send(get("/gate"));
  second.send(get("/gate"));
  f.gate.wait_for(2);
  RawClient third = f.connect();
  CHECK(third.read_to_end()->starts_with("HTTP/1.1 503 "));
  CHECK(f.refused("too_many_connections") == 1);
  f.gate.open();
  CHECK(first.read_answer()->body == "passed");
  CHECK(second.read_answer()->body == "passed");
}

TEST_CASE("a full lane answers 503 and leaves the other lanes alone", "[runtime][server]") {
  ServerLimits limits;
  limits.queue_length = 1;
  Fixture f(limits, 1);
  RawClient running = f.connect();
  running.send(get("/gate"));
  f.gate.wait_for(1);
  // One runs, one waits; of three more exactly two are turned away.
  std::vector<RawClient> more;
  for (int i = 0; i < 3; ++i) {
    more.push_back(f.connect());
    more.back().send(get("/gate"));
  }
  while (f.refused("queue_full") < 2) std::this_thread::yield();
  RawClient health = f.connect();
  health.send(get("/-/healthy"));
  CHECK(health.read_answer()->status == 200);
  f.gate.open();
  int busy = 0;
  for (RawClient& client : more) {
    const auto answer = client.read_answer();
    REQUIRE(answer);
    if (answer->status == 503) {
      ++busy;
      CHECK(answer->has("retry-after: "));
    }
  }
  CHECK(busy == 2);
  CHECK(running.read_answer()->status == 200);
}

TEST_CASE("clients take turns, and one that fills the queue makes room for the others", "[runtime][server]") {
  ServerLimits limits;
  limits.queue_length = 5;
  Fixture f(limits, 1);
  RawClient running = f.connect();
  running.send(get("/gate"));
  f.gate.wait_for(1);
  std::vector<RawClient> clients;
  const auto ask = [&](std::uint8_t from, const std::string& name) {
    clients.push_back(f.connect(from));
    clients.back().send(get("/order?name=" + name));
  };
  double waiting = 0;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    ask(1, name);
    f.wait_until_waiting(++waiting);
  }
  // The queue is full of one client's: another's takes the place of its newest, twice; then the shares are even.
  for (const char* name : {"F", "G"}) {
    const std::uint64_t before = f.lane_refused("queue_full");
    ask(2, name);
    while (f.lane_refused("queue_full") == before) std::this_thread::yield();
  }
  const auto second = clients[4].read_answer(), first = clients[3].read_answer();
  REQUIRE((first && second));
  CHECK(first->status == 503);
  CHECK(second->status == 503);
  CHECK(second->has("retry-after: "));
  ask(2, "H");
  CHECK(clients.back().read_answer()->status == 503);
  CHECK(f.refused("queue_full") == 3);
  f.gate.open();
  for (const std::size_t i : {0u, 1u, 2u, 5u, 6u}) CHECK(clients[i].read_answer()->status == 204);
  CHECK(f.order() == "aFbGc");
  CHECK(f.waiting() == 0);
}

TEST_CASE("who is gone gets no turn", "[runtime][server]") {
  Fixture f({}, 1);
  RawClient running = f.connect();
  running.send(get("/gate"));
  f.gate.wait_for(1);
  RawClient leaving = f.connect(), patient = f.connect();
  leaving.send(get("/order?name=x"));
  f.wait_until_waiting(1);
  patient.send(get("/order?name=y"));
  f.wait_until_waiting(2);
  leaving.close();
  // The server looks at all connections in one pass. When it has seen a second connection end that began when the end of a
  // first one had been seen, a whole pass has begun after the close above.
  for (int told = 1; told <= 2; ++told) {
    RawClient probe = f.connect();
    probe.send(get("/told"));
    while (f.arrived < told) std::this_thread::yield();
    probe.close();
    while (f.told < told) std::this_thread::yield();
  }
  f.gate.open();
  CHECK(patient.read_answer()->status == 204);
  CHECK(f.order() == "y");
  CHECK(f.lane_refused("client_gone") == 1);
}

TEST_CASE("a client that has said all it had to say is still answered", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  client.send(get("/until_gone"));
  client.finish_sending();
  CHECK(client.read_answer()->body == "given up");
}

TEST_CASE("stopping lets go of queries when its patience is over", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  client.send(get("/until_gone"));
  f.gate.wait_for(1);
  f.server->stop(Millis(1));  // returns, because the handler was told
  CHECK(client.closed_by_peer());
}

TEST_CASE("big bodies come through, larger ones are refused before they are read", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  const std::string body(5 << 20, 'b');
  client.send("POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  client.send(body);
  CHECK(client.read_answer()->body == std::to_string(body.size()));
  client.send("POST /big HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 4; ++i) {
    client.send("100000\r\n");
    client.send(std::string_view(body).substr(0, 0x100000));
    client.send("\r\n");
  }
  client.send("0\r\n\r\n");
  CHECK(client.read_answer()->body == std::to_string(4 << 20));

  RawClient large = f.connect();
  large.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
  CHECK(large.read_to_end()->starts_with("HTTP/1.1 413 "));
  RawClient chunked = f.connect();
  chunked.send("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n");
  CHECK(chunked.read_to_end()->starts_with("HTTP/1.1 413 "));
  // The refusal arrives although the client is still sending.
  RawClient pushing = f.connect();
  pushing.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n" + std::string(500'000, 'p'));
  CHECK(pushing.read_to_end()->starts_with("HTTP/1.1 413 "));
}

TEST_CASE("bodies of all connections together are bounded", "[runtime][server]") {
  ServerLimits limits;
  limits.bodies_bytes_max = 100'000;
  Fixture f(limits);
  RawClient client = f.connect();
  client.send("POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + std::string(200'000, 'b'));
  CHECK(client.read_to_end()->starts_with("HTTP/1.1 503 "));
  RawClient small = f.connect();
  for (int i = 0; i < 5; ++i) {  // what was counted is given back
    small.send("POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n" + std::string(60'000, 'b'));
    CHECK(small.read_answer()->status == 200);
  }
}

TEST_CASE("a client that asks first is told to continue", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.read_answer()->status == 100);
  client.send("abc");
  CHECK(client.read_answer()->body == "POST /echo\nabc");
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9999\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.read_answer()->status == 413);
}

TEST_CASE("pipelined requests are answered in order", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  std::string all;
  for (int i = 0; i < 50; ++i) all += get("/echo?i=" + std::to_string(i));
  all += "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nzz" + get("/echo?last=1");
  client.send(all);
  for (int i = 0; i < 50; ++i) CHECK(client.read_answer()->body == "GET /echo i=" + std::to_string(i) + "\n");
  CHECK(client.read_answer()->body == "POST /echo\nzz");
  CHECK(client.read_answer()->body == "GET /echo last=1\n");
}

TEST_CASE("HEAD, unknown paths and wrong methods", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  client.send("HEAD /long HTTP/1.1\r\nHost: h\r\n\r\n" + get("/nowhere"));
  auto answer = client.read_answer(true);
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->has("content-length: 100000"));
  answer = client.read_answer();
  REQUIRE(answer);
  CHECK(answer->status == 404);
  CHECK(answer->body == R"({"status":"error","errorType":"not_found","error":"there is nothing at \"/nowhere\"; GET / lists the paths"})");
  client.send("DELETE /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + get("/-/healthy"));
  answer = client.read_answer();
  REQUIRE(answer);
  CHECK(answer->status == 405);
  CHECK(answer->has("allow: get, head, options, post"));
  CHECK(client.read_answer()->body == "ok");
  client.send("POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n");
  answer = client.read_answer();
  REQUIRE(answer);
  CHECK(answer->status == 404);
  CHECK(answer->has("connection: close"));
}

TEST_CASE("OPTIONS tells methods, and origins what they may read", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  const auto ask = [&](std::string_view method, std::string_view path, std::string_view origin) {
    client.send(fmt::format("{} {} HTTP/1.1\r\nHost: h\r\n{}\r\n", method, path, origin.empty() ? "" : fmt::format("Origin: {}\r\n", origin)));
    const auto answer = client.read_answer();
    REQUIRE(answer);
    return *answer;
  };
  RawAnswer answer = ask("OPTIONS", "/echo", "https://good.example");
  CHECK(answer.status == 204);
  CHECK(answer.has("allow: get, head, options, post\r\n"));
  CHECK(answer.has("access-control-allow-origin: https://good.example\r\n"));
  CHECK(answer.has("access-control-allow-headers: accept, authorization, content-type, origin\r\n"));
  answer = ask("GET", "/echo", "https://good.example");
  CHECK(answer.status == 200);
  CHECK(answer.has("access-control-allow-origin: https://good.example\r\n"));
  for (const auto& [method, path, origin] : std::vector<std::array<const char*, 3>>{
           {"GET", "/echo", ""},                               // nobody asks
           {"GET", "/echo", "https://evil.example"},           // not allowed
           {"GET", "/-/healthy", "https://good.example"},      // not a read API
           {"OPTIONS", "/big", "https://good.example"}}) {     // a write
    INFO(method << " " << path << " " << origin);
    answer = ask(method, path, origin);
    CHECK(answer.status < 300);
    CHECK_FALSE(answer.has("access-control-"));
  }
  CHECK(ask("OPTIONS", "/nowhere", "https://good.example").status == 404);
}

TEST_CASE("HTTP/1.0 is answered and closed", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  client.send("GET /-/healthy HTTP/1.0\r\n\r\n");
  const auto everything = client.read_to_end();
  REQUIRE(everything);
  CHECK(everything->starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(everything->ends_with("\r\n\r\nok"));
}

TEST_CASE("long answers come whole, and the connection goes on", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  for (int i = 0; i < 2; ++i) {
    client.send(get("/long"));
    const auto answer = client.read_answer();
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(answer->body == std::string(100'000, 'y'));
  }
}

TEST_CASE("long answers are compressed when the client accepts it", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  client.send("GET /long HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br, gzip\r\n\r\n");
  const auto answer = client.read_answer();
  REQUIRE(answer);
  CHECK(answer->has("content-encoding: gzip"));
  CHECK(answer->body.size() < 2000);
  CHECK(gunzip(answer->body, 200'000) == std::string(100'000, 'y'));
}

TEST_CASE("a handler that throws costs one answer", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  client.send(get("/throws") + get("/-/healthy"));
  const auto answer = client.read_answer();
  REQUIRE(answer);
  CHECK(answer->status == 503);  // senders drop their data on 500
  CHECK(answer->body.find("secret") == std::string::npos);
  CHECK(client.read_answer()->status == 200);
}

TEST_CASE("stopping lets requests finish and closes idle connections", "[runtime][server]") {
  Fixture f;
  RawClient idle = f.connect(), busy = f.connect();
  idle.send(get("/-/healthy"));
  REQUIRE(idle.read_answer());
  busy.send(get("/gate"));
  f.gate.wait_for(1);
  std::thread stopper([&] { f.server->stop(Millis(30'000)); });
  CHECK(idle.closed_by_peer());
  f.gate.open();
  const auto answer = busy.read_answer();
  stopper.join();
  REQUIRE(answer);
  CHECK(answer->body == "passed");
  CHECK(answer->has("connection: close"));
  CHECK(busy.closed_by_peer());
  CHECK_THROWS(f.connect());
}

TEST_CASE("stopping without grace cuts what is left", "[runtime][server]") {
  Fixture f;
  RawClient half = f.connect();
  half.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc");
  RawClient done = f.connect();
  done.send(get("/-/healthy"));
  REQUIRE(done.read_answer());
  f.server->stop(Millis(0));
  CHECK(half.closed_by_peer());
  f.server->stop(Millis(0));
}

TEST_CASE("requests are counted by route and status", "[runtime][server]") {
  Fixture f;
  RawClient client = f.connect();
  client.send(get("/label/a/values") + get("/label/b/values") + get("/nowhere"));
  for (int i = 0; i < 3; ++i) REQUIRE(client.read_answer());
  const std::string text = f.registry.render();
  CHECK(text.find(R"(route="/label/{name}/values",code="200"} 2)") != std::string::npos);
  CHECK(text.find(R"(route="unmatched",code="404"} 1)") != std::string::npos);
  CHECK(text.find(R"(plumbline_http_request_seconds_count{lane="query"} 2)") != std::string::npos);
}

TEST_CASE("an address that cannot be bound is named", "[runtime][server]") {
  Fixture f;
  Registry registry;
  ServerOptions options;
  options.listen = {"127.0.0.1:" + std::to_string(f.port)};
  auto second = HttpServer::start(options, {}, *f.log, registry);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::io);
  CHECK(second.error().message.find(options.listen[0]) != std::string::npos);
  options.listen = {"nonsense"};
  CHECK_FALSE(HttpServer::start(options, {}, *f.log, registry));
}

TEST_CASE("many clients at once get their own answers", "[runtime][server]") {
  Fixture f;
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      RawClient client = f.connect();
      for (int i = 0; i < 50; ++i) {
        const std::string body = std::to_string(t) + "-" + std::to_string(i);
        client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
        const auto answer = client.read_answer();
        if (answer && answer->body == "POST /echo\n" + body) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 16 * 50);
}
