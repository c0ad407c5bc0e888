// segment_bench [node|fleet|target] [DIRECTORY]: sizes by part and CPU times of sealed segments. node: 3,027 series of each of
// 20 hosts; fleet: 60 series of each of 1,000; target: 500 series of one. 240 scrapes at 15 s with some ms of jitter. Checks
// what it reads.
#include <ctime>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "daemon/base/bytes.hpp"
#include "storage/kv/kv.hpp"
#include "storage/series/segment_writer.hpp"

using namespace plumbline;
using namespace plumbline::storage;
using series::SeriesRef;

namespace {

constexpr int scrapes = 240;
constexpr std::uint32_t day = 20000;

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

struct Series {
  SeriesRef ref;
  std::uint32_t metric = 0;
  std::uint32_t host = 0;
  std::vector<double> values;
};

// As node_exporter's are: 71 % constant, integer counters, counters with two decimals, integer gauges, a few true floats.
std::vector<double> column(std::uint32_t metric, std::mt19937_64& random) {
  std::mt19937_64 of_metric(metric * 77 + 5);
  const auto kind = of_metric() % 1000;
  const auto pace = static_cast<double>(of_metric() % 60);
  std::poisson_distribution<int> step(pace + 0.2);
  std::vector<double> out(scrapes);
  double v = of_metric() % 4 == 0 ? 0 : static_cast<double>(of_metric() % 100000);
  if (kind < 710) {
    if (of_metric() % 5 == 0) v += static_cast<double>(random() % 1000);
    if (of_metric() % 3 == 0) v = 0;
  }
  for (double& x : out) {
    if (kind >= 710 && kind < 850) v += step(random);
    if (kind >= 850 && kind < 920) v += static_cast<double>(random() % 1500) / 100;
    if (kind >= 920 && kind < 995) v = std::max(0.0, v + static_cast<double>(random() % 21) - 10);
    if (kind >= 995) v = static_cast<double>(random() % 1'000'000) / 7;
    x = kind >= 850 && kind < 920 ? std::round(v * 100) / 100 : v;
  }
  return out;
}

template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::exit(1);
  }
  return std::move(*result);
}

template <class Run>
void timed(const char* what, double units, const char* unit, int rounds, Run run) {
  double best = 1e9;
  for (int i = 0; i < rounds; ++i) {
    const double start = cpu_seconds();
    run();
    best = std::min(best, cpu_seconds() - start);
  }
  std::printf("%s: %.2f ns per %s, %.1f M per CPU second\n", what, best / units * 1e9, unit, units / best / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string shape = argc > 1 ? argv[1] : "node";
  const std::uint32_t hosts = shape == "node" ? 20 : shape == "fleet" ? 1000 : 1;
  const std::uint32_t metrics = shape == "node" ? 3027 : shape == "fleet" ? 60 : 500;
  std::string path = argc > 2 ? argv[2] : (std::filesystem::temp_directory_path() / "plumbline-segment-bench-XXXXXX").string();
  if (argc <= 2 && mkdtemp(path.data()) == nullptr) return 1;

  std::vector<std::vector<std::int64_t>> times(hosts);
  std::mt19937_64 random(42);
  for (auto& host : times) {
    const std::int64_t start = std::int64_t{day} * series::day_ms + 3'600'000 + static_cast<std::int64_t>(random() % 15000);
    for (int i = 0; i < scrapes; ++i) host.push_back(start + i * 15'000ll + static_cast<std::int64_t>(random() % 7));
  }
  std::vector<Series> all;
  for (std::uint32_t h = 0; h < hosts; ++h)
    for (std::uint32_t m = 0; m < metrics; ++m) {
      const auto id = static_cast<std::uint32_t>(all.size());
      const std::uint64_t hash = hash64(std::to_string(h) + "/" + std::to_string(m));
      all.push_back({{static_cast<std::uint16_t>(hash % kv::vshards), id}, m, h, column(m, random)});
    }
  std::ranges::sort(all, {}, [](const Series& s) { return std::tuple(s.ref.vshard, s.metric, s.host); });
  const double samples = static_cast<double>(all.size()) * scrapes;

  const auto files = must(kv::TableFiles::open({path, 64 << 20, nullptr}));
  series::SegmentInfo info;
  series::SegmentParts parts;
  timed("write", samples, "sample", 3, [&] {
    auto writer = must(series::SegmentWriter::create(*files, day, 1));
    for (const Series& s : all)
      if (auto status = writer->add(s.ref, times[s.host], s.values); !status) std::exit(1);
    info = must(writer->finish());
    parts = writer->parts();
  });
  double summed = 0;
  timed("of that summaries", samples, "sample", 3, [&] {
    for (const Series& s : all) summed += series::summarize(std::span<const double>(s.values)).sum;
  });
  const auto part = [&](const char* what, std::uint64_t bytes) {
    std::printf("  %-10s %9llu bytes, %.4f per sample, %.2f per series\n", what, static_cast<unsigned long long>(bytes),
                static_cast<double>(bytes) / samples, static_cast<double>(bytes) / static_cast<double>(all.size()));
  };
  std::printf("%zu series, %.0f samples\n", all.size(), samples);
  part("file", info.bytes);
  part("values", parts.values);
  part("times", parts.times);
  part("directory", parts.directory);
  part("index", parts.index);
  part("keys", parts.keys);
  part("rest", info.bytes - parts.values - parts.times - parts.directory - parts.index - parts.keys);

  const auto segment = must(series::Segment::open(*files, info.name));
  std::vector<SeriesRef> wanted;
  for (const Series& s : all) wanted.push_back(s.ref);
  std::ranges::sort(wanted);
  std::vector<const Series*> by_id(all.size());
  for (const Series& s : all) by_id[s.ref.id] = &s;
  bool right = true;
  std::uint64_t count = 0;
  timed("read all", samples, "sample", 3, [&] {
    count = 0;
    const auto status = segment->read(wanted, {}, [&](const series::SegmentChunk& chunk) -> Status {
      PLUMBLINE_TRY(const auto t, chunk.times());
      PLUMBLINE_TRY(const auto v, chunk.values());
      right = right && t.back() == times[by_id[chunk.info().id]->host].back() &&
              std::bit_cast<std::uint64_t>(v.back()) == std::bit_cast<std::uint64_t>(by_id[chunk.info().id]->values.back());
      count += v.size();
      return {};
    });
    right = right && status;
  });
  right = right && static_cast<double>(count) == samples;
  timed("read summaries", static_cast<double>(all.size()), "series", 5, [&] {
    right = right && segment->read_summaries(wanted, {}, [&](const series::ChunkInfo& chunk) -> Status {
      summed += chunk.summary.sum;
      return {};
    });
  });
  constexpr int picks = 200;
  timed("one series", picks, "series", 5, [&] {
    for (int i = 0; i < picks; ++i) {
      const std::vector<SeriesRef> one{wanted[random() % wanted.size()]};
      right = right && segment->read(one, {}, [&](const series::SegmentChunk& chunk) -> Status {
        PLUMBLINE_TRY(const auto v, chunk.values());
        summed += v.back();
        return {};
      });
    }
  });
  timed("one series' summaries", picks, "series", 5, [&] {
    for (int i = 0; i < picks; ++i) {
      const std::vector<SeriesRef> one{wanted[random() % wanted.size()]};
      right = right && segment->read_summaries(one, {}, [](const series::ChunkInfo&) -> Status { return {}; });
    }
  });
  series::SegmentCaches caches(64 << 20, 64 << 20);
  const auto with_cache = must(series::Segment::open(*files, info.name, &caches));
  timed("one series' summaries, cached", picks, "series", 20, [&] {
    for (int i = 0; i < picks; ++i) {
      const std::vector<SeriesRef> one{wanted[static_cast<std::size_t>(i) * 7 % wanted.size()]};
      right = right && with_cache->read_summaries(one, {}, [](const series::ChunkInfo&) -> Status { return {}; });
    }
  });
  timed("summaries, cached", static_cast<double>(all.size()), "series", 5, [&] {
    right = right && with_cache->read_summaries(wanted, {}, [&](const series::ChunkInfo& chunk) -> Status {
      summed += chunk.summary.sum;
      return {};
    });
  });
  std::printf("  cache of directories: %.0f bytes per series\n",
              static_cast<double>(caches.directories.bytes()) / static_cast<double>(all.size()));
  std::vector<std::string> problems;
  timed("verify", samples, "sample", 1, [&] { problems = segment->verify(); });
  right = right && problems.empty();
  std::printf("memory of the open segment: %llu bytes; sum %g\n",
              static_cast<unsigned long long>(segment->memory_bytes()), summed);
  if (argc <= 2) std::filesystem::remove_all(path);
  if (!right) std::fprintf(stderr, "a wrong answer\n");
  return right ? 0 : 1;
}
