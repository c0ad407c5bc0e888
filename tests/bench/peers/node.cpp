#include <cmath>
#include <string>

#include "tests/bench/peers/traffic.hpp"

// What node_exporter's own test machine exposes, by the shape of its families: 3,027 series a host, most of them still.
namespace plumbline::bench {
namespace {

using Kind = Generator::Kind;
constexpr std::size_t host_series = 3'027;

struct Family {
  const char* name;
  Kind kind;
  int metrics;        // names name_0.., or one name when 1
  const char* label;  // values per metric: label x0..
  int values;
  const char* second;
  int second_values;
};

// Counts per metric: values x second_values.
constexpr Family families[] = {
    {"node_cpu_seconds_total", Kind::decimal_counter, 1, "cpu", 8, "mode", 8},
    {"node_cpu_guest_seconds_total", Kind::decimal_counter, 1, "cpu", 8, "mode", 2},
    {"node_cpu_scaling_frequency_hertz", Kind::walk, 3, "cpu", 8, nullptr, 1},
    {"node_cpu_core_throttles_total", Kind::counter, 1, "cpu", 8, nullptr, 1},
    {"node_interrupts_total", Kind::counter, 1, "cpu", 8, "type", 40},
    {"node_softirqs_total", Kind::counter, 1, "cpu", 8, "vector", 10},
    {"node_softnet_total", Kind::counter, 5, "cpu", 8, nullptr, 1},
    {"node_schedstat_seconds_total", Kind::decimal_counter, 3, "cpu", 8, nullptr, 1},
    {"node_network_statistics_total", Kind::counter, 16, "device", 10, nullptr, 1},
    {"node_network_attributes", Kind::walk, 8, "device", 10, nullptr, 1},
    {"node_disk_statistics_total", Kind::counter, 12, "device", 14, nullptr, 1},
    {"node_disk_time_seconds_total", Kind::decimal_counter, 5, "device", 14, nullptr, 1},
    {"node_filesystem_bytes", Kind::walk, 5, "mountpoint", 20, nullptr, 1},
    {"node_memory_bytes", Kind::walk, 50, nullptr, 1, nullptr, 1},
    {"node_vmstat", Kind::counter, 30, nullptr, 1, nullptr, 1},
    {"node_netstat", Kind::counter, 60, nullptr, 1, nullptr, 1},
    {"node_sockstat", Kind::walk, 15, nullptr, 1, nullptr, 1},
    {"node_systemd_unit_state", Kind::constant, 1, "name", 130, "state", 5},
    {"node_xfs_operations_total", Kind::counter, 40, "device", 2, nullptr, 1},
    {"node_zfs_arc", Kind::counter, 190, nullptr, 1, nullptr, 1},
    {"node_infiniband_packets_total", Kind::counter, 30, "device", 2, "port", 2},
    {"node_mountstats_nfs_operations_total", Kind::counter, 8, "operation", 20, nullptr, 1},
    {"node_hwmon_temp_celsius", Kind::walk, 1, "sensor", 40, nullptr, 1},
    {"node_scrape_collector_duration_seconds", Kind::full, 1, "collector", 4, nullptr, 1},
    {"node_scrape_collector_success", Kind::constant, 1, "collector", 40, nullptr, 1},
    {"node_nfsd_requests_total", Kind::counter, 1, "method", 600, nullptr, 1},  // cut at 3,027
};

Generator generator_for(Kind kind, Random& random) {
  const double start = std::floor(std::exp(22 * random.unit()));
  if (kind == Kind::constant) return {Kind::constant, 0, 0, {random.below(3) == 0 ? 1.0 : 0.0}};
  if (kind == Kind::full) return {Kind::full, 0.004, 0, {0.004}};
  if (random.below(1000) < 640) return {Kind::constant, 0, 0, {random.below(2) == 0 ? 0.0 : start}};  // with the others: 71%
  const double mean = std::exp(8 * random.unit()) - 0.9;
  switch (kind) {
    case Kind::counter: return {Kind::counter, mean, 0, {start}};
    case Kind::decimal_counter: return {Kind::decimal_counter, 1 + 1400 * random.unit(), 0, {start}};
    default: return {Kind::walk, 1 + mean, 0, {start}};
  }
}

}  // namespace

Workload make_node(std::uint64_t seed, double scale) {
  static const char* const modes[] = {"idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"};
  Random random(seed);
  Workload w;
  w.scrapes = 240;
  const auto hosts = std::max<std::int64_t>(2, std::llround(20 * scale));
  for (std::int64_t h = 0; h < hosts; ++h) {
    Target target;
    target.offset_ms = scrape_offset(random);
    const LabelList common{{"instance", "host-" + std::to_string(h) + ".example.net:9100"}, {"job", "node"}};
    for (const Family& f : families) {
      for (int m = 0; m < f.metrics; ++m) {
        for (int v = 0; v < f.values; ++v) {
          for (int s = 0; s < f.second_values; ++s) {
            if (target.raw.size() == host_series) break;
            LabelList labels{{"__name__", f.metrics == 1 ? f.name : f.name + ("_" + std::to_string(m))}};
            labels.insert(labels.end(), common.begin(), common.end());
            if (f.label != nullptr) labels.emplace_back(f.label, std::string(f.label) == "cpu" ? std::to_string(v) : f.label + std::to_string(v));
            if (f.second != nullptr)
              labels.emplace_back(f.second, std::string(f.second) == "mode" ? modes[s] : f.second + std::to_string(s));
            target.add(std::move(labels), generator_for(f.kind, random));
          }
        }
      }
    }
    w.targets.push_back(std::move(target));
  }
  return w;
}

}  // namespace plumbline::bench
