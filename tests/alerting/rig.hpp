// A core on a clock that stands still, a store in memory and a receiver that answers as told.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "alerting/core.hpp"
#include "tests/support/support.hpp"

namespace plumbline::alerting {

class FakeClient final : public http::Client {
 public:
  Result<http::Response> send(const http::ClientRequest& request) override {
    requests.push_back(request);
    if (answers.empty()) return http::Response::text("ok");
    auto answer = answers.front();
    answers.pop_front();
    return answer;
  }
  std::vector<http::ClientRequest> requests;
  std::deque<Result<http::Response>> answers;  // 200 when there are none left
};

// Data by expression, as the test says.
struct FakeData {
  std::map<std::string, std::function<Result<query::Vector>(std::int64_t)>> queries;
  std::function<Result<query::DriftReport>(const query::DriftRequest&)> drift;
  Sources sources() {
    return {[this](std::string_view expr, std::int64_t t) -> Result<query::Vector> {
              const auto it = queries.find(std::string(expr));
              if (it == queries.end()) return query::Vector{};
              return it->second(t);
            },
            [this](const query::DriftRequest& r) { return drift(r); }};
  }
};

inline std::string header(const http::ClientRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.headers)
    if (key == name) return value;
  return "";
}

class Rig {
 public:
  explicit Rig(Sources sources, test::MemoryStore& store, test::ManualClock& clock)
      : clock_(clock),
        log_(make_null_log()),
        core(Core::Needs{std::move(sources),
                         [](std::string_view) { return Status(); },
                         store,
                         store,
                         client,
                         clock,
                         *log_,
                         registry,
                         {},
                         7}) {}

  // One turn of every thread.
  void step() {
    for (const Job& job : core.take_due()) core.run(job);
    core.flush();
    while (core.deliver_one()) {
    }
  }
  void advance(Millis by, Millis grain = Millis(1000)) {
    for (Millis done{0}; done < by; done += grain) {
      clock_.advance(grain);
      step();
    }
  }
  const RuleRuntime& rule(std::size_t unit = 0, std::size_t rule = 0) {
    view_ = core.view();
    return view_.units[unit].rules[rule];
  }
  std::string state(std::size_t unit = 0, std::size_t index = 0) {
    const RuleRuntime& r = rule(unit, index);
    return r.alerts.empty() ? "inactive" : std::string(name_of(r.alerts.begin()->second.state));
  }

 private:
  test::ManualClock& clock_;
  std::unique_ptr<Log> log_;
  View view_;

 public:
  FakeClient client;
  Registry registry;
  Core core;
};

// Samples of a series in the store, stale markers included.
inline std::vector<model::Sample> samples_of(const test::MemoryStore& store, const model::Labels& labels) {
  std::vector<model::Sample> out;
  model::Matchers matchers;
  for (const model::Label& l : labels) matchers.push_back(model::Matcher::equal(l.name, l.value));
  storage::SeriesQuery query;
  query.matchers = matchers;
  const Status done =
      store.select(query, [&](const model::Labels& found, std::span<const model::Sample> samples) {
        if (found == labels) out.assign(samples.begin(), samples.end());
        return true;
      });
  if (!done) out.clear();
  return out;
}

inline RouteSpec simple_route(std::string receiver, Millis wait, Millis interval, Millis repeat) {
  RouteSpec route;
  route.receiver = std::move(receiver);
  route.group_by = {"alertname"};
  route.group_wait = wait;
  route.group_interval = interval;
  route.repeat_interval = repeat;
  return route;
}

inline ReceiverSpec simple_receiver(std::string name,
                                    std::string url = "http://127.0.0.1:9/hook?token=secret") {
  ReceiverSpec receiver;
  receiver.name = std::move(name);
  WebhookSpec hook;
  hook.url = std::move(url);
  receiver.webhooks.push_back(hook);
  return receiver;
}

inline query::Vector one(model::Labels labels, double v) {
  return {{std::move(labels), 0, v}};
}

}  // namespace plumbline::alerting
