// What is told of PromQL queries over HTTP: a counter by result, and a log line for slow ones.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "query/query.hpp"

namespace plumbline::query {

// A query as it was asked.
struct AskedQuery {
  std::string_view expression;
  std::int64_t start_ms = 0, end_ms = 0;
  std::int64_t step_ms = 0;  // 0: an instant query at start_ms
  Millis waited{0};          // for its turn
};

// At most `bytes_max` bytes of a text, cut between letters, and "..." when there is more.
std::string shortened(std::string_view text, std::size_t bytes_max);

// Counts and, when it was slow, logs. `error` is null when the query ended well.
void tell(const QueryWatch& watch, const AskedQuery& asked, const QueryStats& stats, const Error* error);

// The message of a query that had no time left when its turn came.
inline constexpr std::string_view waited_too_long = "query timed out in query queue";

}  // namespace plumbline::query
