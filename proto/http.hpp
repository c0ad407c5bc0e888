// HTTP messages as plain types: handlers in ingest/, query/ and alerting/ know these and neither Beast nor Asio.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"

namespace plumbline::http {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// A request as the server hands it over: path decoded once, query and form parameters decoded, header names lowercase.
struct Request {
  std::string method;  // upper case
  std::string path;    // decoded, without the query
  Pairs query;         // in order; a name may repeat. For a POST of application/x-www-form-urlencoded the form's
                       // parameters are appended by the server.
  Pairs headers;
  std::string body;    // as sent: still content-encoded
  Pairs path_values;   // values of {name} in the route's pattern
  std::string remote;  // "127.0.0.1:51234"
  std::chrono::milliseconds waited{0};  // for its worker; a query's time limit includes it
  // Requested when the client has closed its side of the connection, or the server's patience at stopping is over: who still
  // works on an answer may give up. Only queries look at it.
  std::stop_token gone = {};

  std::string_view header(std::string_view lower_name) const;         // "" when absent
  std::optional<std::string_view> param(std::string_view name) const;  // the first
  std::vector<std::string_view> params(std::string_view name) const;
  std::string_view path_value(std::string_view name) const;
  // The media type of Content-Type without parameters, lower case.
  std::string content_type() const;
  // The body after Content-Encoding, never larger than bytes_max (one limit on the inflated stream).
  Result<std::string> decoded_body(std::size_t bytes_max) const;
};

struct Response {
  int status = 200;
  Pairs headers;
  std::string body;

  static Response json(std::string body, int status = 200);
  static Response text(std::string body, int status = 200);
  static Response empty(int status) { return {status, {}, {}}; }
  // Prometheus' envelope: {"status":"error","errorType":...,"error":...}; 429 and 503 carry Retry-After.
  static Response error(const Error& error);
  Response& with(std::string name, std::string value) {
    headers.emplace_back(std::move(name), std::move(value));
    return *this;
  }
};

// Runs on a worker thread of its lane and may block; throws nothing.
using Handler = std::function<Response(const Request&)>;

// Lanes have their own bounded queue and workers, so that slow queries never hold up ingest or health checks.
enum class Lane { ingest, query, admin };

struct Route {
  std::string method;   // "GET", "POST"
  std::string pattern;  // "/api/v1/label/{name}/values"; {name} matches one segment
  Handler handler;
  Lane lane = Lane::query;
  std::size_t body_bytes_max = 1 << 20;  // as sent, before Content-Encoding
};
using Routes = std::vector<Route>;

// The client side: scrapes and webhooks.
struct Url {
  std::string scheme;  // http or https
  std::string host;    // without brackets for IPv6
  std::string port;    // numeric; the scheme's default when absent
  std::string target;  // path and query, at least "/"
  std::string text() const;
};
Result<Url> parse_url(std::string_view text);

struct ClientRequest {
  std::string method = "GET";
  Url url;
  Pairs headers;
  std::string body;
  std::chrono::milliseconds timeout{10'000};  // the whole exchange
  std::size_t response_bytes_max = 64 << 20;
};

// Threads: any. Blocks: until the answer, at most request.timeout.
// Fails: io (cannot connect, broken answer), timeout, too_large. A 4xx or 5xx answer is a Response, not an Error.
class Client {
 public:
  virtual ~Client() = default;
  virtual Result<Response> send(const ClientRequest& request) = 0;
};

}  // namespace plumbline::http
