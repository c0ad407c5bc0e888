// The head of an HTTP/1.1 request: one strict reading of it, as a pure function.
//
// Request smuggling lives in the difference between two lenient readings (a proxy's and ours), so nothing ambiguous is
// repaired here: what RFC 9112 lets a server accept "for robustness" is refused and the connection closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "proto/http.hpp"

namespace plumbline::runtime {

// Why a request is turned away before any handler sees it.
struct Refusal {
  int status = 400;
  std::string reason;   // stable word for plumbline_http_refused_total{reason=}
  std::string message;  // for the client
};

struct Head {
  std::string method;
  std::string target;   // origin form, as sent: "/a%20b?x=1"
  http::Pairs headers;  // names in lower case, in order
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
  bool expects_continue = false;
};

// Where the head ends (just behind its empty line), or npos when more bytes are needed. Refused at once: a line feed
// without a carriage return, so that such a client does not wait for its timeout. `from` is where the last call stopped.
std::expected<std::size_t, Refusal> find_head_end(std::string_view bytes, std::size_t from);

// `block` ends with the empty line.
std::expected<Head, Refusal> parse_head(std::string_view block, std::size_t headers_max);

// parse_head as a verdict alone.
Status check_head(std::string_view block);

}  // namespace plumbline::runtime
