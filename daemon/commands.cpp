#include "daemon/commands.hpp"

#include <cstdio>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "daemon/application.hpp"
#include "daemon/base/text.hpp"
#include "daemon/runtime/signals.hpp"

namespace plumbline::daemon {
namespace {

void print_errors(const std::vector<std::string>& errors) {
  for (const std::string& e : errors) fmt::print(stderr, "{}\n", e);
}

// application/x-www-form-urlencoded
std::string form_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if ((u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') || u == '-' || u == '_' || u == '.') out += c;
    else out += fmt::format("%{:02X}", u);
  }
  return out;
}

std::string series_text(const boost::json::object& metric) {
  std::vector<model::Label> labels;
  for (const auto& [name, value] : metric) labels.push_back({std::string(name), std::string(value.as_string())});
  return model::Labels::trusted(std::move(labels)).str();
}

std::string point_text(const boost::json::value& point) {
  const auto& pair = point.as_array();
  return fmt::format("{} @[{}]", std::string_view(pair.at(1).as_string()), format_number(pair.at(0).to_number<double>()));
}

void print_table(const boost::json::object& data) {
  const std::string_view type = data.at("resultType").as_string();
  const boost::json::value& result = data.at("result");
  if (type == "scalar" || type == "string") {
    fmt::print("{}\n", point_text(result));
    return;
  }
  for (const auto& item : result.as_array()) {
    const auto& series = item.as_object();
    const std::string name = series_text(series.at("metric").as_object());
    if (type == "vector") {
      fmt::print("{} => {}\n", name, point_text(series.at("value")));
      continue;
    }
    fmt::print("{} =>\n", name);
    for (const auto& point : series.at("values").as_array()) fmt::print("{}\n", point_text(point));
  }
}

}  // namespace

int serve(const std::string& config_file, const config::Overrides& overrides) {
  auto checked = load_and_check(config_file, overrides);
  if (!checked) {
    print_errors(checked.error());
    return 1;
  }
  Application application(config_file, overrides, std::move(*checked));
  // Signals before any other thread, so that all of them inherit the mask.
  Mutex mutex;
  Condition wake;
  bool stop = false;
  auto signals = runtime::Signals::start([&](runtime::Signal signal) {
    if (signal == runtime::Signal::reload) {
      // A refused reload has logged its reasons; the old configuration goes on.
      if (const auto reloaded = application.reload(); !reloaded) return;
      return;
    }
    Lock lock(mutex);
    stop = true;
    wake.notify_all();
  });
  if (!signals) {
    fmt::print(stderr, "{}\n", signals.error().message);
    return 1;
  }
  if (const auto started = application.start(); !started) {
    application.log().error("cannot start", {{"error", started.error().message}});
    return 1;
  }
  {
    Lock lock(mutex);
    while (!stop) wake.wait(mutex);
  }
  application.stop();
  return 0;
}

int check(const std::string& config_file) {
  const auto checked = load_and_check(config_file, {});
  if (!checked) {
    print_errors(checked.error());
    return 1;
  }
  std::size_t rules = 0;
  for (const auto& group : checked->rules.groups) rules += group.rules.size();
  fmt::print("{}: good: {} rules in {} groups, {} slos, {} drift rules, {} receivers, {} scrape jobs\n", config_file, rules,
             checked->rules.groups.size(), checked->rules.slos.size(), checked->rules.drift.size(),
             checked->rules.receivers.size(), checked->jobs.size());
  return 0;
}

int query(const QueryArguments& arguments) {
  const auto complain = [](std::string_view what) {
    fmt::print(stderr, "plumbline query: {}\n", what);
    return 1;
  };
  const bool range = !arguments.start.empty();
  std::string base = arguments.url;
  while (base.ends_with('/')) base.pop_back();
  auto url = http::parse_url(base + (range ? "/api/v1/query_range" : "/api/v1/query"));
  if (!url) return complain(url.error().message);
  http::ClientRequest request;
  request.method = "POST";
  request.url = std::move(*url);
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  request.body = "query=" + form_encode(arguments.expression);
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) request.body += fmt::format("&{}={}", name, form_encode(value));
  };
  if (range) {
    SystemClock clock;
    add("start", arguments.start);
    add("end", arguments.end.empty() ? fmt::format("{:.3f}", static_cast<double>(clock.now_ms()) / 1000.0) : arguments.end);
    add("step", arguments.step.empty() ? "60s" : arguments.step);
  } else {
    add("time", arguments.time);
  }
  request.timeout = std::chrono::minutes(3);  // above the daemon's own query timeout
  auto client = runtime::HttpClient::make();
  if (!client) return complain(client.error().message);
  const auto response = (*client)->send(request);
  if (!response) return complain(response.error().message);
  try {
    const auto answer = boost::json::parse(response->body);
    if (answer.at("status").as_string() != "success")
      return complain(std::string_view(answer.at("error").as_string()));
    if (arguments.format == "json") fmt::print("{}\n", response->body);
    else print_table(answer.at("data").as_object());
    if (const auto* warnings = answer.as_object().if_contains("warnings"))
      for (const auto& w : warnings->as_array()) fmt::print(stderr, "warning: {}\n", std::string_view(w.as_string()));
  } catch (const std::exception& e) {
    return complain(fmt::format("{} answered {} with something that is not a query answer: {}", arguments.url,
                                response->status, e.what()));
  }
  return 0;
}

}  // namespace plumbline::daemon
