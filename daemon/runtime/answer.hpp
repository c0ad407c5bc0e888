// Responses as bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/runtime/head.hpp"
#include "proto/http.hpp"

namespace plumbline::runtime {

// Whether a script of another origin asks, and whether it may read the answer.
struct CrossOrigin {
  std::string origin;    // as the browser names it; empty: nobody asks, or nothing is configured
  bool allowed = false;
};

enum class Coding { identity, gzip, zstd };

// What the request asks of its answer's form.
struct AnswerStyle {
  bool keep_alive = true;
  bool head_only = false;  // HEAD: the headers of the answer without its body
  Coding coding = Coding::identity;
  CrossOrigin cross_origin;
};

// The coding that an Accept-Encoding header likes best; of equals zstd, which costs a quarter of gzip's time.
Coding preferred_coding(std::string_view accept_encoding);

// What scripts of other origins may do here, as Prometheus says it (web.cors.origin).
http::Pairs cors_headers(const CrossOrigin& asked);

// Status line, headers and body. Adds Date, Content-Length, Connection, nosniff, what other origins may do, and a
// Content-Security-Policy that allows nothing (a handler that serves pages sets its own); compresses text over 1 KiB when the
// style allows it. With `rest`, a large body is left there, uncopied, to be sent after what is returned.
std::string serialise(http::Response response, const AnswerStyle& style, std::int64_t now_unix_s, std::string* rest = nullptr);

// Prometheus' error envelope for what the server itself answers.
http::Response refusal_response(const Refusal& refusal);

}  // namespace plumbline::runtime
