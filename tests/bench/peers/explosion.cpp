#include <cmath>
#include <string>

#include "tests/bench/peers/traffic.hpp"

// 25,000 pods that nobody has seen before, 40 series each, as cadvisor and kube-state-metrics label them.
namespace plumbline::bench {
namespace {

using Kind = Generator::Kind;

std::string hex(Random& random, int digits) {
  std::string out;
  for (int i = 0; i < digits; ++i) out += "0123456789abcdef"[random.below(16)];
  return out;
}

std::string pod_suffix(Random& random) {
  std::string out;
  for (int i = 0; i < 5; ++i) out += "bcdfghjklmnpqrstvwxz2456789"[random.below(27)];
  return out;
}

}  // namespace

Workload make_explosion(std::uint64_t seed, double scale) {
  static const char* const counters[] = {
      "container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total", "container_fs_reads_total",
      "container_fs_writes_total", "container_fs_reads_bytes_total", "container_fs_writes_bytes_total",
      "container_memory_failcnt", "container_oom_events_total", "container_sockets_created_total",
      "container_memory_failures_total", "container_network_receive_bytes_total",
      "container_network_receive_packets_total", "container_network_receive_errors_total",
      "container_network_receive_packets_dropped_total", "container_network_transmit_bytes_total",
      "container_network_transmit_packets_total", "container_network_transmit_errors_total",
      "container_network_transmit_packets_dropped_total"};
  static const char* const gauges[] = {
      "container_memory_usage_bytes", "container_memory_working_set_bytes", "container_memory_rss",
      "container_memory_cache", "container_memory_mapped_file", "container_threads", "container_processes",
      "container_sockets", "container_file_descriptors"};
  static const char* const constants[] = {
      "kube_pod_info", "kube_pod_created", "kube_pod_start_time", "kube_pod_status_ready", "kube_pod_container_info",
      "kube_pod_container_status_ready", "kube_pod_container_status_running", "kube_pod_container_status_restarts_total",
      "kube_pod_container_resource_requests", "kube_pod_container_resource_limits", "container_spec_memory_limit_bytes"};
  Random random(seed);
  Workload w;
  w.scrapes = 20;
  const auto nodes = std::max<std::int64_t>(2, std::llround(250 * scale));
  const auto apps = 200;
  for (std::int64_t n = 0; n < nodes; ++n) {
    Target target;
    target.offset_ms = scrape_offset(random);
    const std::string node = "ip-10-0-" + std::to_string(n / 256) + "-" + std::to_string(n % 256) + ".eu-central-1.compute.internal";
    for (int p = 0; p < 100; ++p) {
      const auto app = std::to_string(random.below(apps));
      const std::string uid = hex(random, 8) + "-" + hex(random, 4) + "-4" + hex(random, 3) + "-a" + hex(random, 3) + "-" + hex(random, 12);
      const LabelList common{{"container", "service-" + app},
                             {"instance", node + ":10250"},
                             {"job", "kubelet"},
                             {"namespace", "team-" + std::to_string(random.below(40))},
                             {"node", node},
                             {"pod", "service-" + app + "-" + hex(random, 10) + "-" + pod_suffix(random)},
                             {"uid", uid}};
      const auto add = [&](const char* name, Generator g) {
        LabelList labels{{"__name__", name}};
        labels.insert(labels.end(), common.begin(), common.end());
        target.add(std::move(labels), std::move(g));
      };
      for (const char* name : counters) {
        if (random.below(2) == 0) add(name, {Kind::constant, 0, 0, {0}});
        else add(name, {Kind::counter, 500 * random.unit() * random.unit(), 0, {0}});
      }
      for (const char* name : gauges) add(name, {Kind::bytes, random.below(3) == 0 ? 0.0 : 40.0, 0, {4096.0 * static_cast<double>(random.below(60'000))}});
      for (const char* name : constants) add(name, {Kind::constant, 0, 0, {static_cast<double>(random.below(3))}});
      add("container_cpu_user_seconds_total", {Kind::decimal_counter, 300 * random.unit(), 0, {0}});
      add("container_cpu_system_seconds_total", {Kind::decimal_counter, 90 * random.unit(), 0, {0}});
    }
    w.targets.push_back(std::move(target));
  }
  return w;
}

}  // namespace plumbline::bench
