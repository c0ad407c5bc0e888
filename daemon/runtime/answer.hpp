// Responses as bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/runtime/head.hpp"
#include "proto/http.hpp"

namespace plumbline::runtime {

// What the request asks of its answer's form.
struct AnswerStyle {
  bool keep_alive = true;
  bool head_only = false;  // HEAD: the headers of the answer without its body
  bool accepts_gzip = false;
};

// Whether an Accept-Encoding header allows gzip.
bool accepts_gzip(std::string_view accept_encoding);

// Status line, headers and body. Adds Date, Content-Length, Connection, nosniff and a Content-Security-Policy that allows
// nothing (a handler that serves pages sets its own); compresses text over 1 KiB when the style allows it.
std::string serialise(http::Response response, const AnswerStyle& style, std::int64_t now_unix_s);

// Prometheus' error envelope for what the server itself answers.
http::Response refusal_response(const Refusal& refusal);

}  // namespace plumbline::runtime
