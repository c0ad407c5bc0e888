// store_bench [SERIES] [SCRAPES]: samples per CPU second through Store::write, sealing and reading included and apart.
// Batches of 2,000 samples, one per series, as remote write sends them. Checks what it reads; prints one line per phase.
#include <ctime>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "storage/storage.hpp"

using namespace plumbline;

namespace {

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);  // RocksDB's background threads included
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double value(int series, int scrape) {
  if (series % 10 < 7) return series;                                    // most series are constant
  return series % 10 < 9 ? scrape * (series % 50) : 0.25 * ((series * 7 + scrape * 13) % 1000);
}

}  // namespace

int main(int argc, char** argv) {
  const int series_count = argc > 1 ? std::atoi(argv[1]) : 60'000;
  const int scrapes = argc > 2 ? std::atoi(argv[2]) : 60;
  constexpr int batch_samples = 2000;
  SystemClock clock;
  const auto log = make_stderr_log(LogLevel::warn);
  Registry registry;
  storage::Options options;
  std::string path = (std::filesystem::temp_directory_path() / "plumbline-store-bench-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) return 1;
  options.path = path;
  auto store = storage::Store::open(options, clock, *log, registry);
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().message.c_str());
    return 1;
  }
  std::vector<model::Labels> labels;
  for (int i = 0; i < series_count; ++i)
    labels.push_back(model::Labels::of({{"__name__", "metric_" + std::to_string(i % 300)},
                                        {"instance", "host-" + std::to_string(i / 3000) + ":9100"},
                                        {"job", "node"},
                                        {"mode", "mode-" + std::to_string(i % 7)},
                                        {"device", "device-" + std::to_string(i)}}));
  const std::int64_t base = clock.now_ms() - scrapes * 15'000ll;
  double cpu = 0;
  double first_cpu = 0;
  for (int scrape = 0; scrape < scrapes; ++scrape) {
    for (int from = 0; from < series_count; from += batch_samples) {
      storage::WriteBatch batch;  // built outside of the clock: decoding is the receiver's cost
      for (int i = from; i < std::min(series_count, from + batch_samples); ++i)
        batch.series.push_back({labels[static_cast<std::size_t>(i)], {{base + scrape * 15'000ll, value(i, scrape)}}});
      const double start = cpu_seconds();
      if (auto receipt = (*store)->write(std::move(batch)); !receipt) {
        std::fprintf(stderr, "%s\n", receipt.error().message.c_str());
        return 1;
      }
      (scrape == 0 ? first_cpu : cpu) += cpu_seconds() - start;
    }
  }
  const double samples = static_cast<double>(series_count) * (scrapes - 1);
  std::printf("new series: %.0f per CPU second\n", series_count / first_cpu);
  std::printf("write: %.2f M samples per CPU second (batches of %d)\n", samples / cpu / 1e6, batch_samples);
  const auto head = (*store)->stats();
  std::printf("head: %.0f bytes per series, %.2f per sample\n", static_cast<double>(head.head_bytes) / series_count,
              static_cast<double>(head.head_bytes) / static_cast<double>(head.head_samples));

  const auto read = [&](const char* where) {
    const double start = cpu_seconds();
    std::uint64_t count = 0;
    std::uint64_t wrong = 0;
    const auto status = (*store)->select({}, [&](const model::Labels& l, std::span<const model::Sample> found) {
      const int i = std::atoi(std::string(l.get("device")).c_str() + 7);
      for (std::size_t k = 0; k < found.size(); ++k)
        if (found[k].v != value(i, static_cast<int>(k)) || found[k].t != base + static_cast<std::int64_t>(k) * 15'000) ++wrong;
      count += found.size();
      return true;
    });
    const double took = cpu_seconds() - start;
    std::printf("read from %s: %.1f M samples per CPU second\n", where, static_cast<double>(count) / took / 1e6);
    return status && wrong == 0 && count == static_cast<std::uint64_t>(series_count) * static_cast<std::uint64_t>(scrapes);
  };
  bool right = read("the head");
  const double start = cpu_seconds();
  if (auto status = (*store)->seal(); !status) {
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    return 1;
  }
  std::printf("seal: %.2f M samples per CPU second\n", (samples + series_count) / (cpu_seconds() - start) / 1e6);
  right = read("chunks") && right;
  store->reset();
  std::filesystem::remove_all(path);
  std::printf("answers: %s\n", right ? "right" : "WRONG");
  return right ? 0 : 1;
}
