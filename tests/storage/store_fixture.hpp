// A store in a temporary directory that a test may close, copy as a crash would leave it, and open again; and a naive model.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "storage/kv/fault_file_system.hpp"
#include "storage/storage.hpp"
#include "tests/support/support.hpp"

namespace plumbline::test {

using model::Labels;
using model::Matcher;
using model::Sample;
using storage::WriteBatch;

// A compaction may remove a file under the copy: then it is made again.
inline void copy_tree(const std::string& from, const std::string& to) {
  namespace fs = std::filesystem;
  for (int attempt = 0;; ++attempt) {
    std::error_code error;
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive, error);
    if (!error) return;
    REQUIRE(attempt < 20);
  }
}

// Of the byte at this place the bits of the mask.
inline void flip(const std::filesystem::path& path, std::uintmax_t at, int mask) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get());
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(byte ^ mask));
}

struct StoreFixture {
  TempDir directory;
  ManualClock clock;
  std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  storage::Options options;
  std::unique_ptr<storage::Store> store;
  int copies = 0;

  StoreFixture() {
    options.path = directory.path("data");
    options.retry_pause = Millis(0);
    options.journal_sync.policy = storage::SyncPolicy::never;  // tests that cut the power ask for more
  }
  // On a disk that misbehaves, as the process that runs on it now.
  void use(const storage::kv::FaultDisk& disk) {
    options.path = std::string(storage::kv::FaultDisk::root) + "/data";
    options.file_system = disk.file_system();
  }
  Result<std::unique_ptr<storage::Store>> try_open() { return storage::Store::open(options, clock, *log, registry); }
  void open() {
    auto opened = try_open();
    if (!opened) FAIL(opened.error().message);
    store = std::move(*opened);
  }
  void reopen() {
    store.reset();
    open();
  }
  // Goes on with the files as they are now, as after kill -9. The store that wrote them goes on elsewhere and is dropped.
  void lose_process() {
    const std::string copy = directory.path("copy" + std::to_string(++copies));
    copy_tree(options.path, copy);
    store.reset();
    options.path = copy;
    open();
  }
};

inline std::vector<Sample> read_all(const storage::Reader& reader, const Labels& labels,
                                    model::TimeRange range = {}) {
  std::vector<Sample> out;
  storage::SeriesQuery query;
  for (const auto& l : labels) query.matchers.push_back(Matcher::equal(l.name, l.value));
  query.range = range;
  const auto status = reader.select(query, [&](const Labels& found, std::span<const Sample> samples) {
    if (found == labels) out.assign(samples.begin(), samples.end());
    return true;
  });
  REQUIRE(status);
  return out;
}

inline WriteBatch one_series(Labels labels, std::vector<Sample> samples) {
  WriteBatch batch;
  batch.series.push_back({std::move(labels), std::move(samples)});
  return batch;
}

// Doubles that break codecs: payload NaNs, signed zeros, denormals, infinities, neighbours, counters, noise.
inline double adversarial(std::mt19937_64& random, double previous) {
  switch (random() % 12) {
    case 0: return model::stale_nan;
    case 1: return std::bit_cast<double>(0x7ff8000000000000ull | (random() & 0xffff));
    case 2: return -0.0;
    case 3: return 0.0;
    case 4: return std::bit_cast<double>(random());
    case 5: return std::numeric_limits<double>::denorm_min() * static_cast<double>(random() % 5);
    case 6: return (random() & 1) ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity();
    case 7: return 9007199254740993.0 + static_cast<double>(random() % 3);
    case 8: return previous;
    case 9: return previous + 1;
    case 10: return static_cast<double>(random() % 100000) / 100;
    default: return std::nextafter(previous, 1e300);
  }
}

}  // namespace plumbline::test
