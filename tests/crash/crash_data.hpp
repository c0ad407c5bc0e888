// What batch number n holds, as a pure function: the writer writes it, the test expects it.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "storage/storage.hpp"

namespace plumbline::test {

inline constexpr int crash_threads = 2;  // batch n is written by thread n % 2
inline constexpr int crash_series = 50;
inline constexpr int series_per_batch = 10;
inline constexpr int samples_per_series = 4;
inline constexpr int lines_per_batch = 3;
inline constexpr int records_per_batch = 2;
inline constexpr std::int64_t batch_ms = 8;  // between the times of two batches: four samples, 2 ms apart

inline std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdull;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ull;
  return x ^ (x >> 33);
}
inline double crash_value(std::uint64_t seed, std::int64_t n, int i, int k) {
  return std::bit_cast<double>(mix(seed + static_cast<std::uint64_t>(n) * 1000 + static_cast<std::uint64_t>(i * 10 + k)));
}
inline int crash_series_of(std::int64_t n, int i) { return static_cast<int>((n * 7 + i) % crash_series); }
inline model::Labels crash_labels(int series) {
  return model::Labels::of({{"__name__", "crash"}, {"series", std::to_string(series)}});
}
inline model::Labels rewritten_labels(std::int64_t n) {
  return model::Labels::of({{"__name__", "rewritten"}, {"thread", std::to_string(n % crash_threads)}});
}
inline std::int64_t crash_time(std::int64_t base_ms, std::int64_t n, int k) { return base_ms + n * batch_ms + k * 2; }
inline std::string crash_line(std::int64_t n, int i) { return std::to_string(n) + "/" + std::to_string(i); }
inline std::string crash_id(std::int64_t n, int i) { return "p" + crash_line(n, i); }
inline std::string crash_state_key(std::int64_t n) { return "crash/" + std::to_string(n % crash_threads); }

inline storage::WriteBatch crash_batch(std::uint64_t seed, std::int64_t base_ms, std::int64_t n) {
  storage::WriteBatch batch;
  for (int i = 0; i < series_per_batch; ++i) {
    storage::SeriesSamples& s = batch.series.emplace_back();
    s.labels = crash_labels(crash_series_of(n, i));
    for (int k = 0; k < samples_per_series; ++k)
      s.samples.push_back({crash_time(base_ms, n, k), crash_value(seed, n, i, k)});
  }
  // One timestamp that every batch rewrites: the last write must win, before and after recovery.
  batch.series.push_back({rewritten_labels(n), {{base_ms, static_cast<double>(n)}}});
  model::StreamRows& lines = batch.events.emplace_back();
  lines.kind = model::EventKind::log;
  lines.stream = model::Labels::of({{"job", "crash"}, {"shard", std::to_string(n % 5)}});
  for (int i = 0; i < lines_per_batch; ++i)
    lines.rows.push_back({crash_time(base_ms, n, i) * 1'000'000, {{"line", crash_line(n, i)}, {"level", std::string("info")}}});
  model::StreamRows& records = batch.events.emplace_back();
  records.kind = model::EventKind::inference;
  records.stream = model::Labels::of({{"model", "crash"}, {"version", "1"}});
  for (int i = 0; i < records_per_batch; ++i)
    records.rows.push_back({crash_time(base_ms, n, i) * 1'000'000,
                            {{"prediction_id", crash_id(n, i)}, {"feature.x", crash_value(seed, n, i, 7)},
                             {"prediction", static_cast<double>(n)}}});
  batch.labels.push_back({"crash", crash_id(n, 0), static_cast<double>(n), crash_time(base_ms, n, 0) * 1'000'000});
  batch.state.push_back({crash_state_key(n), std::to_string(n)});
  return batch;
}

}  // namespace plumbline::test
