#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <thread>

#include "daemon/runtime/http_client.hpp"
#include "daemon/runtime/http_server.hpp"
#include "tests/runtime/raw_client.hpp"

using namespace plumbline;
using namespace plumbline::runtime;

namespace {

// A listener that answers one connection with exactly these bytes, or with silence.
class CannedServer {
 public:
  explicit CannedServer(std::string bytes) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at);
    ::listen(fd_, 8);
    socklen_t size = sizeof at;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    port = ntohs(at.sin_port);
    thread_ = std::thread([this, answer = std::move(bytes)] {
      const int client = ::accept(fd_, nullptr, nullptr);
      if (client < 0) return;
      char buffer[4096];
      std::string seen;
      while (seen.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = ::recv(client, buffer, sizeof buffer, 0);
        if (n <= 0) break;
        seen.append(buffer, static_cast<std::size_t>(n));
      }
      asked = true;
      asked.notify_all();
      ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      if (answer.empty()) ::recv(client, buffer, sizeof buffer, 0);  // silent until the peer gives up
      ::close(client);
    });
  }
  ~CannedServer() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  http::ClientRequest request(const std::string& target = "/x") const {
    http::ClientRequest request;
    request.url = *http::parse_url("http://127.0.0.1:" + std::to_string(port) + target);
    return request;
  }
  int port = 0;
  std::atomic<bool> asked{false};  // the head of a request has come, or never will

 private:
  int fd_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("the client talks to the server", "[runtime][client]") {
  http::Routes routes;
  http::Route route;
  route.method = "POST";
  route.pattern = "/hook";
  route.handler = [](const http::Request& request) {
    return http::Response::text(std::string(request.header("x-test")) + "|" + request.body + "|" +
                                std::string(request.header("host")), 202).with("X-Back", "yes");
  };
  routes.push_back(route);
  const auto log = make_null_log();
  Registry registry;
  ServerOptions options;
  options.listen = {"127.0.0.1:0"};
  auto server = HttpServer::start(options, routes, *log, registry);
  REQUIRE(server);
  const std::string port = std::to_string((*server)->ports()[0]);
  auto client = HttpClient::make();
  REQUIRE(client);
  for (const std::string host : {"127.0.0.1", "localhost"}) {
    http::ClientRequest request;
    request.method = "POST";
    request.url = *http::parse_url("http://" + host + ":" + port + "/hook");
    request.headers = {{"X-Test", "a"}};
    request.body = "payload";
    const auto response = (*client)->send(request);
    REQUIRE(response);
    CHECK(response->status == 202);
    CHECK(response->body == "a|payload|" + host + ":" + port);
    CHECK(std::find(response->headers.begin(), response->headers.end(),
                    std::pair<std::string, std::string>("x-back", "yes")) != response->headers.end());
  }
  http::ClientRequest missing;
  missing.url = *http::parse_url("http://127.0.0.1:" + port + "/nowhere");
  CHECK((*client)->send(missing)->status == 404);

  std::vector<std::future<int>> answers;
  for (int i = 0; i < 20; ++i)
    answers.push_back(std::async(std::launch::async, [&] {
      http::ClientRequest request;
      request.method = "POST";
      request.url = *http::parse_url("http://127.0.0.1:" + port + "/hook");
      const auto response = (*client)->send(request);
      return response ? response->status : -1;
    }));
  for (auto& answer : answers) CHECK(answer.get() == 202);
}

TEST_CASE("a server that says nothing costs the deadline and no more", "[runtime][client]") {
  CannedServer server("");
  auto client = HttpClient::make();
  http::ClientRequest request = server.request();
  request.timeout = Millis(50);
  const auto response = (*client)->send(request);
  REQUIRE_FALSE(response);
  CHECK(response.error().code == Code::timeout);
}

TEST_CASE("answers over the limit are refused", "[runtime][client]") {
  auto client = HttpClient::make();
  for (const std::string& answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + std::string(5000, 'x'),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + std::string(5000, 'x') + "\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n" + std::string(5000, 'x')}) {
    CannedServer server(answer);
    http::ClientRequest request = server.request();
    request.response_bytes_max = 1000;
    const auto response = (*client)->send(request);
    REQUIRE_FALSE(response);
    CHECK(response.error().code == Code::too_large);
  }
}

TEST_CASE("answers are read as HTTP says, and broken ones are errors", "[runtime][client]") {
  auto client = HttpClient::make();
  {
    CannedServer server("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    CHECK((*client)->send(server.request())->body == "hi");
  }
  {
    CannedServer server("HTTP/1.0 200 OK\r\n\r\nuntil the end");
    CHECK((*client)->send(server.request())->body == "until the end");
  }
  {
    CannedServer server("HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n");
    CHECK((*client)->send(server.request())->status == 302);  // never followed
  }
  for (const std::string answer : {"garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "HTTP/1.1 200 OK\r\n"}) {
    CannedServer server(answer);
    const auto response = (*client)->send(server.request());
    REQUIRE_FALSE(response);
    CHECK(response.error().code == Code::io);
  }
}

TEST_CASE("nobody listening is an io error that names the place", "[runtime][client]") {
  int port = 0;
  {
    CannedServer gone("x");
    port = gone.port;
    test::RawClient wake(port);
    wake.finish_sending();
    wake.read_to_end();
  }
  auto client = HttpClient::make();
  http::ClientRequest request;
  request.url = *http::parse_url("http://127.0.0.1:" + std::to_string(port) + "/");
  const auto response = (*client)->send(request);
  REQUIRE_FALSE(response);
  CHECK(response.error().code == Code::io);
  CHECK(response.error().message.find(std::to_string(port)) != std::string::npos);
}

TEST_CASE("what would break the request's framing is refused", "[runtime][client]") {
  auto client = HttpClient::make();
  http::ClientRequest request;
  request.url = *http::parse_url("http://127.0.0.1:1/");
  request.headers = {{"X", "a\r\nY: b"}};
  CHECK((*client)->send(request).error().code == Code::invalid_input);
  request.headers = {{"X\r\n", "a"}};
  CHECK((*client)->send(request).error().code == Code::invalid_input);
  request.headers.clear();
  request.url.target = "/a b";
  CHECK((*client)->send(request).error().code == Code::invalid_input);
  request.url.target = "/";
  request.method = "GET /";
  CHECK((*client)->send(request).error().code == Code::invalid_input);
}

TEST_CASE("a client that goes down lets its callers go", "[runtime][client]") {
  // Often: a caller that is on its way out while the client is taken down used what was gone.
  for (int round = 0; round < 20; ++round) {
    CannedServer server("");
    auto client = HttpClient::make();
    http::ClientRequest request = server.request();
    request.timeout = Millis(60'000);
    HttpClient* raw = client->get();
    auto pending = std::async(std::launch::async, [raw, request] { return raw->send(request); });
    server.asked.wait(false);
    client->reset();
    const auto response = pending.get();
    REQUIRE_FALSE(response);
    CHECK(response.error().code == Code::cancelled);
  }
}

TEST_CASE("TLS against a plain server is an io error", "[runtime][client]") {
  CannedServer server("HTTP/1.1 400 Bad Request\r\n\r\n");
  auto client = HttpClient::make();
  http::ClientRequest request = server.request();
  request.url.scheme = "https";
  request.timeout = Millis(300);
  const auto response = (*client)->send(request);
  REQUIRE_FALSE(response);
}
