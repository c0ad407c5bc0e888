// Request targets and forms: decoded once, then normalised, then routed. (Routing before decoding, or decoding twice, is how
// path rules are walked around.)
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/runtime/head.hpp"
#include "proto/http.hpp"

namespace plumbline::runtime {

struct Target {
  // Decoded segments; empty ones and "." are dropped, ".." takes its predecessor away. A slash inside a segment came as
  // %2F and is data.
  std::vector<std::string> segments;
  http::Pairs query;
  std::string path() const;  // "/" and the segments
};

std::expected<Target, Refusal> parse_target(std::string_view target);
// "a=1&b=two+words", appended to `out`.
std::optional<Refusal> parse_form(std::string_view text, http::Pairs& out);

}  // namespace plumbline::runtime
