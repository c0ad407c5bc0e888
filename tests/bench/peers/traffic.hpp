#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/bench/peers/random.hpp"

// What is sent: targets with their series, how values come about, and the file of encoded requests.
namespace plumbline::bench {

using LabelList = std::vector<std::pair<std::string, std::string>>;

// The labels as remote write carries them, sorted by name.
std::string encode_labels(LabelList labels);
// name{a="b",...}: selects exactly this series.
std::string selector(const LabelList& labels);

// Values of one series, or of the series of one histogram. Counters only grow; see next().
struct Generator {
  enum class Kind {
    constant,         // a
    counter,          // + Poisson(a)
    decimal_counter,  // + Poisson(a) hundredths
    walk,             // integers: + up to a either way, never below 0
    ratio,            // two decimals in 0..1, wandering by up to a
    bytes,            // multiples of 4096, wandering by up to a pages
    full,             // a double with every digit, wandering around a
    full_counter,     // a sum of durations: + Poisson(a) of about b seconds each, every digit
    histogram,        // width - 2 cumulative buckets, sum, count: Poisson(a) observations of about b seconds
  };
  Kind kind = Kind::constant;
  double a = 0;
  double b = 0;
  std::vector<double> state;  // one per series
  void next(Random& random, double* out);
};

// What is scraped together: all samples of a scrape carry the same millisecond.
struct Target {
  std::vector<LabelList> labels;
  std::vector<std::string> raw;  // encode_labels of each
  std::vector<Generator> generators;
  std::int64_t offset_ms = 0;  // of its scrapes in the interval
  void add(LabelList series, Generator generator);
  void add_histogram(const std::string& name, const std::vector<double>& bounds, const LabelList& common, double rate, double seconds,
                     Random& random);
  void scrape(Random& random, std::vector<double>& out);
};

struct Workload {
  std::vector<Target> targets;
  std::int64_t interval_ms = 15'000;
  std::int64_t scrapes = 0;
};

Workload make_fleet(std::uint64_t seed, double scale, std::int64_t hours);
Workload make_node(std::uint64_t seed, double scale);
Workload make_explosion(std::uint64_t seed, double scale);
Workload make_history(std::uint64_t seed, double scale, std::int64_t days);

// The file of encoded requests: for each a header and a snappy body; read by Sender.
struct RequestHeader {
  std::int64_t time_ms;  // of its newest sample: how far one connection may run ahead of the other
  std::uint32_t connection;
  std::uint32_t samples;
  std::uint32_t bytes;
  std::uint32_t reserved;
};
inline constexpr std::uint32_t connections = 2;
inline constexpr std::uint32_t samples_per_request = 2'000;

class RequestWriter {
 public:
  explicit RequestWriter(const std::string& path) : file_(path, std::ios::binary | std::ios::trunc) {}
  // A target stays on one connection, so that its samples keep their order. `series`: see Ledger.
  void add(std::size_t target, std::string_view raw, std::int64_t time_ms, double value) { add(target, raw, &time_ms, &value, 1); }
  void add(std::size_t target, std::string_view raw, const std::int64_t* times, const double* values, std::size_t count);
  bool finish();
  std::uint64_t requests() const { return requests_; }
  std::uint64_t samples() const { return samples_; }
  std::uint64_t raw_bytes() const { return raw_bytes_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Pending {
    std::string body;
    std::uint32_t samples = 0;
    std::int64_t time_ms = 0;
  };
  void flush(std::uint32_t connection);

  std::ofstream file_;
  Pending pending_[connections];
  std::string packed_;
  std::uint64_t requests_ = 0, samples_ = 0, raw_bytes_ = 0, bytes_ = 0;
};

// What a correct store answers: some series are remembered whole (last write wins), of the others their newest time.
class Ledger {
 public:
  void watch(const std::string& query_selector, std::size_t target, std::size_t series);
  void wrote(std::size_t target, std::size_t series, std::int64_t time_ms, double value);
  bool watched(std::size_t target, std::size_t series) const;
  void distinct(std::uint64_t samples) { distinct_ = samples; }
  // JSON: series and samples in all, and of each watched series count, sum and last value.
  std::string json(std::int64_t end_ms, const RequestWriter& writer) const;

 private:
  using Place = std::pair<std::size_t, std::size_t>;
  struct Watched {
    std::string selector;
    std::map<std::int64_t, double> samples;
  };
  std::map<Place, Watched> watched_;
  std::vector<std::vector<std::int64_t>> newest_;
  std::uint64_t distinct_ = 0;
};

// Query times are `query_phase_ms` past a multiple of 15 s, and no sample of a generated workload lies within a second of
// that phase or of phase 0: whether a window's left edge is open (Prometheus 3) or closed (2.42) cannot matter.
inline constexpr std::int64_t query_phase_ms = 6'500;
std::int64_t scrape_offset(Random& random);

// Fill the file from a workload; the newest samples lie just before end_ms.
void emit_in_order(Workload& workload, std::uint64_t seed, std::int64_t end_ms, RequestWriter& writer, Ledger& ledger);
// Scrapes come late by up to 12 h; 1% of the samples are sent twice, another 1% first with another value.
void emit_disorder(Workload& workload, std::uint64_t seed, std::int64_t end_ms, RequestWriter& writer, Ledger& ledger);
// 50 samples of a series at a time: for loading much history quickly.
void emit_blocks(Workload& workload, std::uint64_t seed, std::int64_t end_ms, RequestWriter& writer, Ledger& ledger);
// Replays a recording of run.py --record, moved so that it ends at end_ms. False: it cannot be read.
bool emit_recording(const std::string& path, std::int64_t end_ms, RequestWriter& writer, Ledger& ledger);

}  // namespace plumbline::bench
