// Prometheus' JSON envelope and value shapes.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/json_writer.hpp"
#include "proto/http.hpp"
#include "query/query.hpp"

namespace plumbline::query {

// [1435781451.781: whole seconds have no fraction, others exactly three digits.
std::string json_time(std::int64_t t_ms);
void write_labels(JsonWriter& w, const Labels& labels);
// {"resultType":...,"result":...}; empty results are [], never null.
// [{"name":...,"type":"=~","value":...}]
void write_matchers(JsonWriter& w, const model::Matchers& matchers);
// `stats`, when given, is one finished JSON value; `workers` help with many points.
void write_value(JsonWriter& w, const PromValue& value, std::string_view stats = {}, Workers* workers = nullptr);
// As Prometheus' stats=all; without the samples of each step when they were not counted. `waited`: for its turn.
void write_stats(JsonWriter& w, const QueryStats& stats, Millis waited, std::int64_t start_ms, std::int64_t step_ms, bool per_step);

// {"status":"success","data":<data>,"warnings":[..],"infos":[..]}; the lists are left out when they are empty, and cut
// to ten entries each as upstream does.
http::Response prometheus_success(std::string_view data, const std::vector<std::string>& warnings = {},
                                  const std::vector<std::string>& infos = {});
// The data written straight into the body.
http::Response prometheus_success(const std::function<void(JsonWriter&)>& write_data, const std::vector<std::string>& warnings,
                                  const std::vector<std::string>& infos);
// Evaluation errors are 422 "execution", timeouts 503 "timeout", bad requests 400 "bad_data".
http::Response prometheus_error(const Error& error);
// What a route made, or its error.
http::Response prometheus_answer(Result<http::Response> response);

}  // namespace plumbline::query
