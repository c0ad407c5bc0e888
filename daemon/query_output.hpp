// What `plumbline query` prints: an answer of the HTTP API as a table, as CSV or as PromQL's own text. Pure.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/fwd.hpp>

#include "daemon/base/error.hpp"

namespace plumbline::daemon {

enum class QueryFormat { table, json, csv, promql };
// Fails: invalid_input.
Result<QueryFormat> parse_query_format(std::string_view name);

// `data` is the answer's: {"resultType": ..., "result": ...}. `json` is not rendered here: it is the answer as it came.
//   table   up{job="a"} => 1 @[1700000000]; of a range one line per series and one per sample
//   promql  up{job="a"} 1 @ 1700000000; one line per sample
//   csv     RFC 4180: a header, then one record per sample; a column per label name (the metric's name is __name__; a label that
//           a series has not is empty), then timestamp (Unix seconds) and value
// A native histogram is {count:3, sum:2, (0.5,1]:3}.
// Fails: invalid_input when the data are not of that shape.
Result<std::string> render(const boost::json::object& data, QueryFormat format);

}  // namespace plumbline::daemon
