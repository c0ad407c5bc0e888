#include <cmath>
#include <string>

#include "tests/bench/peers/traffic.hpp"

// Model servers as teams instrument them, and a month of one counter.
namespace plumbline::bench {

using Kind = Generator::Kind;

Workload make_fleet(std::uint64_t seed, double scale, std::int64_t hours) {
  static const char* const models[] = {"ranker", "embedder", "fraud", "translate", "captions", "forecast", "search", "chat"};
  static const char* const frameworks[] = {"onnxruntime", "torchserve", "triton", "vllm"};
  const std::vector<double> bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5};
  Random random(seed);
  Workload w;
  w.scrapes = hours * 240;
  const auto servers = std::max<std::int64_t>(2, std::llround(100 * scale));
  for (std::int64_t i = 0; i < servers; ++i) {
    Target target;
    target.offset_ms = scrape_offset(random);
    const std::string model = models[random.below(8)];
    const LabelList common{{"instance", "10.2." + std::to_string(i / 200) + "." + std::to_string(i % 200 + 10) + ":8000"},
                           {"job", "model-server"},
                           {"model", model},
                           {"version", "v" + std::to_string(1 + random.below(4))},
                           {"zone", "eu-central-1" + std::string(1, static_cast<char>('a' + random.below(3)))}};
    const auto add = [&](const std::string& name, Generator g, LabelList more = {}) {
      LabelList labels{{"__name__", name}};
      labels.insert(labels.end(), common.begin(), common.end());
      labels.insert(labels.end(), more.begin(), more.end());
      if (g.state.empty()) g.state = {0};
      target.add(std::move(labels), std::move(g));
    };
    const double rate = 20 + 3000 * random.unit() * random.unit();  // requests in a scrape interval
    const auto counter = [&](double mean) { return Generator{Kind::counter, mean, 0, {std::floor(mean * 1000 * random.unit())}}; };
    const auto ratio = [&] { return Generator{Kind::ratio, 0.06, 0, {0.5}}; };
    const auto bytes = [&](double size) { return Generator{Kind::bytes, size / 4096 / 200, 0, {size}}; };
    add("inference_requests_total", counter(rate), {{"code", "200"}});
    add("inference_requests_total", counter(rate / 90), {{"code", "400"}});
    add("inference_requests_total", counter(rate / 300), {{"code", "500"}});
    add("inference_requests_total", counter(rate / 2000), {{"code", "503"}});
    target.add_histogram("inference_duration_seconds", bounds, common, rate, 0.04, random);
    target.add_histogram("inference_queue_seconds", bounds, common, rate, 0.008, random);
    target.add_histogram("inference_batch_seconds", bounds, common, rate / 8, 0.1, random);
    add("inference_tokens_total", counter(rate * 180), {{"direction", "in"}});
    add("inference_tokens_total", counter(rate * 60), {{"direction", "out"}});
    add("model_cache_hits_total", counter(rate * 0.7));
    add("model_cache_misses_total", counter(rate * 0.3));
    for (const char* gpu : {"0", "1"}) {
      add("gpu_utilization_ratio", ratio(), {{"gpu", gpu}});
      add("gpu_memory_utilization_ratio", ratio(), {{"gpu", gpu}});
      add("gpu_memory_used_bytes", bytes(16e9), {{"gpu", gpu}});
      add("gpu_power_watts", {Kind::full, 240, 0, {240}}, {{"gpu", gpu}});
    }
    add("model_confidence_mean_ratio", ratio());
    add("model_drift_psi", {Kind::full, 0.08, 0, {0.08}});
    add("model_prediction_mean", {Kind::full, 0.31, 0, {0.31}});
    add("model_feature_missing_ratio", ratio());
    add("process_resident_memory_bytes", bytes(3e9));
    add("process_virtual_memory_bytes", bytes(2e10));
    add("process_cpu_seconds_total", {Kind::decimal_counter, 1400, 0, {1e6 * random.unit()}});
    add("process_open_fds", {Kind::walk, 3, 0, {60}});
    add("process_threads", {Kind::walk, 0.8, 0, {24}});
    add("process_start_time_seconds", {Kind::constant, 0, 0, {1.6e9 + static_cast<double>(random.below(100'000'000)) / 100}});
    add("inference_in_flight", {Kind::walk, 4, 0, {12}});
    add("inference_batch_size", {Kind::walk, 2, 0, {8}});
    add("model_loaded", {Kind::constant, 0, 0, {1}});
    add("model_info", {Kind::constant, 0, 0, {1}}, {{"framework", frameworks[random.below(4)]}, {"sha", std::to_string(random.next())}});
    add("inference_errors_total", counter(rate / 400), {{"stage", "preprocess"}});
    add("inference_errors_total", counter(rate / 900), {{"stage", "predict"}});
    add("model_replicas_ready", {Kind::constant, 0, 0, {3}});
    add("up", {Kind::constant, 0, 0, {1}});
    add("scrape_duration_seconds", {Kind::full, 0.012, 0, {0.012}});
    w.targets.push_back(std::move(target));
  }
  return w;
}

Workload make_history(std::uint64_t seed, double scale, std::int64_t days) {
  Random random(seed);
  Workload w;
  w.scrapes = days * 5'760;
  const auto targets = std::max<std::int64_t>(2, std::llround(40 * scale));
  for (std::int64_t i = 0; i < targets; ++i) {
    Target target;
    target.offset_ms = scrape_offset(random);
    for (int s = 0; s < 25; ++s) {
      const double mean = 0.2 + 60 * random.unit() * random.unit();
      target.add({{"__name__", "http_requests_total"},
                  {"handler", "/api/v1/resource/" + std::to_string(s)},
                  {"instance", "web-" + std::to_string(i) + ":8080"},
                  {"job", "history"}},
                 {Kind::counter, mean, 0, {std::floor(1e4 * random.unit())}});
    }
    w.targets.push_back(std::move(target));
  }
  return w;
}

}  // namespace plumbline::bench
