#include "proto/http.hpp"

#include <algorithm>

#include <boost/url.hpp>
#include <fmt/format.h>

#include "daemon/base/compression.hpp"
#include "daemon/base/json_writer.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::http {
namespace {

const std::string* find(const Pairs& pairs, std::string_view name) {
  for (const auto& [key, value] : pairs)
    if (key == name) return &value;
  return nullptr;
}

// Prometheus' words for its error types.
std::string_view error_type(Code code) {
  switch (code) {
    case Code::execution: return "execution";
    case Code::not_found: return "not_found";
    case Code::timeout: return "timeout";
    case Code::cancelled: return "canceled";
    case Code::unavailable: return "unavailable";
    case Code::corrupt:
    case Code::io: return "internal";
    default: return "bad_data";
  }
}

// What may stand in a host once it is decoded: it goes into a Host header and a resolver as it is. A registered name has
// RFC 3986's unreserved characters, none of which has a meaning there; an IPv6 literal its own.
bool sound_host(std::string_view host, boost::urls::host_type type) {
  const auto is_alnum = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const std::string_view others = type == boost::urls::host_type::ipv6 ? ":." : "-._~";
  return type != boost::urls::host_type::ipvfuture &&
         std::ranges::all_of(host, [&](char c) { return is_alnum(c) || others.find(c) != std::string_view::npos; });
}

}  // namespace

std::string_view Request::header(std::string_view lower_name) const {
  const std::string* v = find(headers, lower_name);
  return v != nullptr ? std::string_view(*v) : std::string_view();
}

std::optional<std::string_view> Request::param(std::string_view name) const {
  const std::string* v = find(query, name);
  if (v == nullptr) return std::nullopt;
  return *v;
}

std::vector<std::string_view> Request::params(std::string_view name) const {
  std::vector<std::string_view> out;
  for (const auto& [key, value] : query)
    if (key == name) out.push_back(value);
  return out;
}

std::string_view Request::path_value(std::string_view name) const {
  const std::string* v = find(path_values, name);
  return v != nullptr ? std::string_view(*v) : std::string_view();
}

std::string Request::content_type() const {
  const std::string_view v = header("content-type");
  return to_lower(trim(v.substr(0, v.find(';'))));
}

Result<std::string> Request::decoded_body(std::size_t bytes_max) const {
  return decode_content(to_lower(trim(header("content-encoding"))), body, bytes_max);
}

Response Response::json(std::string body, int status) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}

Response Response::text(std::string body, int status) {
  return {status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::move(body)};
}

Response Response::error(const Error& error) {
  std::string body;
  JsonWriter w(body);
  w.begin_object()
      .field("status", "error")
      .field("errorType", error_type(error.code))
      .field("error", error.message)
      .end_object();
  Response response = json(std::move(body), http_status(error.code));
  // One second: the shortest wait that keeps a fleet of senders from spinning.
  if (response.status == 429 || error.code == Code::unavailable) response.with("Retry-After", "1");
  return response;
}

std::string Url::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  const bool default_port = (scheme == "http" && port == "80") || (scheme == "https" && port == "443");
  return fmt::format("{}://{}{}{}{}{}", scheme, v6 ? "[" : "", host, v6 ? "]" : "", default_port ? "" : ":" + port,
                     target);
}

Result<Url> parse_url(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    // Never quotes what stands before an @: it may be a password, and errors are logged.
    std::string shown(text.substr(0, 200));
    if (const std::size_t at = text.rfind('@'); at != std::string_view::npos)
      shown = "..." + std::string(text.substr(at, 200));
    return fail(Code::invalid_input, fmt::format("\"{}\" is not a URL: {}; write http://host:port/path", shown, why));
  };
  const auto parsed = boost::urls::parse_uri({text.data(), text.size()});
  if (!parsed) return bad(parsed.error().message());
  Url url;
  url.scheme = to_lower(std::string(parsed->scheme()));
  if (url.scheme != "http" && url.scheme != "https") return bad("the scheme must be http or https");
  url.host = parsed->host_address();
  if (url.host.empty()) return bad("the host is missing");
  if (!sound_host(url.host, parsed->host_type()))
    return bad("its host may consist of letters, digits and -._~, or be an IPv6 address in brackets");
  if (!std::string_view(parsed->encoded_userinfo().data(), parsed->encoded_userinfo().size()).empty())
    return bad("a user name or password does not belong in it; use basic_auth or a credentials file");
  url.port = std::string(parsed->port());
  if (url.port.empty()) url.port = url.scheme == "https" ? "443" : "80";
  const std::optional<std::int64_t> port = parse_int(url.port);
  if (!port || *port < 1 || *port > 65'535) return bad("the port must be 1 to 65535");
  url.target = std::string(parsed->encoded_path());
  if (url.target.empty()) url.target = "/";
  // "http://[::1]:://x" passes the library with an empty port and the path "://x".
  if (url.target[0] != '/') return bad("what follows the host must be :port or a path that begins with /");
  if (parsed->has_query()) url.target += "?" + std::string(parsed->encoded_query());
  return url;
}

}  // namespace plumbline::http
