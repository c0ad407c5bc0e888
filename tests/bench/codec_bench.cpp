// codec_bench [FOLDER...]: bytes per sample and speed of the metric engine's codecs, on synthetic columns of
// known entropy and on recorded ones. A folder holds scrapes of one target in the text format, sorted by
// name. Checks every value.
//
// "entropy" is what the generator's own draws carried: the sum of -log2 p of each, which no codec can beat on
// average that knows nothing but the column itself. Recorded series have none. Speed is per CPU second of one
// core.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "storage/codec/block16.hpp"
#include "storage/codec/times.hpp"
#include "storage/codec/value_group.hpp"

using namespace plumbline::storage::codec;

namespace {

using Column = std::vector<double>;
using Random = std::mt19937_64;

struct Set {
  std::string name;
  std::vector<Column> columns;
  double bits = 0;  // entropy of all columns; 0: unknown
};

double now() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double uniform(Random& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}
double log_uniform(Random& random, double low, double high) {
  return low * std::pow(high / low, uniform(random));
}

// Own draws rather than <random>'s distributions: the same columns with every library.
double poisson(Random& random, double rate, double& bits) {
  // Inversion from zero; e^-rate underflows beyond 700, so that great rates are sums of smaller ones.
  double left = rate;
  double k = 0;
  while (left > 0) {
    const double part = std::min(left, 500.0);
    double p = std::exp(-part);
    double u = uniform(random);
    double i = 0;
    while (u > p && i < 2000) {
      u -= p;
      i += 1;
      p *= part / i;
    }
    k += i;
    left -= part;
  }
  bits += (rate - k * std::log(rate) + std::lgamma(k + 1)) / std::log(2);
  return k;
}

Column counter(Random& random, double rate, std::size_t n, double& bits) {
  Column out;
  double v = std::floor(log_uniform(random, 1, 1e8));
  for (std::size_t i = 0; i < n; ++i) out.push_back(v += poisson(random, rate, bits));
  return out;
}

// Twelve buckets of one histogram. The entropy is that of each column alone, which knowing its neighbour
// could beat.
void histogram(Random& random, double rate, std::size_t n, Set& set) {
  constexpr int buckets = 12;
  std::vector<Column> out(buckets, Column(n));
  double share[buckets];
  double all = 0;
  for (int b = 0; b < buckets; ++b) all += share[b] = std::exp(-0.5 * (b - 4.5) * (b - 4.5) / 4);
  double count[buckets] = {};
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0;
    double below = 0;
    for (int b = 0; b < buckets; ++b) {
      double ignored = 0;
      const double d = poisson(random, rate * share[b] / all, ignored);
      below += rate * share[b] / all;
      (void)d;
      count[b] += d;
      sum += count[b];
      out[static_cast<std::size_t>(b)][i] = sum;
      // What a column alone carries: its own increase, Poisson of the rates below it.
      const double increase = i == 0 ? 0 : sum - out[static_cast<std::size_t>(b)][i - 1];
      if (i > 0) set.bits += (below - increase * std::log(below) + std::lgamma(increase + 1)) / std::log(2);
    }
  }
  for (Column& c : out) set.columns.push_back(std::move(c));
}

Column ratio(Random& random, std::size_t n, double& bits) {  // two decimals, noise around a level
  Column out;
  const double level = std::floor(1000 + uniform(random) * 8000);
  const auto spread = static_cast<std::uint64_t>(log_uniform(random, 40, 2000));
  for (std::size_t i = 0; i < n; ++i) {
    out.push_back((level + static_cast<double>(random() % spread)) / 100);
    bits += std::log2(static_cast<double>(spread));
  }
  return out;
}

Column byte_gauge(Random& random, std::size_t n, double& bits) {  // a random walk in pages
  Column out;
  const auto spread = static_cast<std::uint64_t>(log_uniform(random, 100, 10000));
  double v = std::floor(log_uniform(random, 1e5, 1e7));
  for (std::size_t i = 0; i < n; ++i) {
    out.push_back(v * 4096);
    v += static_cast<double>(random() % spread) - static_cast<double>(spread / 2);
    bits += std::log2(static_cast<double>(spread));
  }
  return out;
}

Column full_floats(Random& random, std::size_t n, double& bits) {
  Column out;
  for (std::size_t i = 0; i < n; ++i)
    out.push_back(std::bit_cast<double>(0x3fe0000000000000ull | random() >> 12));
  bits += 52 * static_cast<double>(n);
  return out;
}

Column decimal_counter(Random& random, std::size_t n, double& bits) {  // seconds with two decimals
  Column out;
  const double rate = log_uniform(random, 0.5, 1000);
  double v = std::floor(log_uniform(random, 100, 1e8));
  for (std::size_t i = 0; i < n; ++i) out.push_back((v += poisson(random, rate, bits)) / 100);
  return out;
}

Column integer_gauge(Random& random, std::size_t n,
                     double& bits) {  // steps of a two-sided geometric distribution
  Column out;
  const double q = 1 - 1 / log_uniform(random, 1.2, 200);
  double v = std::floor(log_uniform(random, 10, 1e6));
  for (std::size_t i = 0; i < n; ++i) {
    const double a = std::floor(std::log(1 - uniform(random)) / std::log(q));
    const double b = std::floor(std::log(1 - uniform(random)) / std::log(q));
    out.push_back(v += a - b);
    bits -= std::log2((1 - q) / (1 + q)) + std::abs(a - b) * std::log2(q);
  }
  return out;
}

Set node_like(std::uint64_t seed, std::size_t columns, std::size_t n) {
  Random random(seed);
  Set set{"node", {}, 0};
  for (std::size_t i = 0; i < columns; ++i) {
    const double kind = uniform(random);
    if (kind < 0.71) {
      set.columns.emplace_back(n, uniform(random) < 0.5 ? 0.0 : std::floor(log_uniform(random, 1, 1e10)));
      set.bits += 8;  // which value
    } else if (kind < 0.88) {
      set.columns.push_back(counter(random, log_uniform(random, 0.02, 100), n, set.bits));
    } else if (kind < 0.94) {
      set.columns.push_back(decimal_counter(random, n, set.bits));
    } else {
      set.columns.push_back(integer_gauge(random, n, set.bits));
    }
  }
  return set;
}

template <class Make>
Set of_class(std::string name, std::size_t columns, Make make) {
  Set set{std::move(name), {}, 0};
  while (set.columns.size() < columns) set.columns.push_back(make(set.bits));
  return set;
}

std::vector<Set> fleet(std::uint64_t seed, std::size_t scale, std::size_t n) {
  Random random(seed);
  std::vector<Set> sets;
  sets.push_back(of_class("counters", 40 * scale, [&](double& bits) {
    return counter(random, log_uniform(random, 0.1, 1000), n, bits);
  }));
  sets.push_back({"buckets", {}, 0});
  for (std::size_t i = 0; i < 2 * scale; ++i) histogram(random, log_uniform(random, 1, 1000), n, sets.back());
  sets.push_back(of_class("ratios", 12 * scale, [&](double& bits) { return ratio(random, n, bits); }));
  sets.push_back(
      of_class("byte gauges", 11 * scale, [&](double& bits) { return byte_gauge(random, n, bits); }));
  sets.push_back(of_class("floats", 12 * scale, [&](double& bits) { return full_floats(random, n, bits); }));
  return sets;
}

// Series that every scrape has, by name.
Set recorded(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& f : std::filesystem::directory_iterator(folder)) files.push_back(f.path());
  std::sort(files.begin(), files.end());
  std::map<std::string, Column> series;
  for (const auto& file : files) {
    std::ifstream in(file);
    std::string line;
    while (std::getline(in, line)) {
      if (line.empty() || line[0] == '#') continue;
      const auto space = line.rfind(' ');
      series[line.substr(0, space)].push_back(std::strtod(line.c_str() + space + 1, nullptr));
    }
  }
  std::size_t longest = 0;
  for (const auto& [name, column] : series) longest = std::max(longest, column.size());
  Set set{std::filesystem::path(folder).filename().string(), {}, 0};
  for (auto& [name, column] : series)
    if (column.size() == longest) set.columns.push_back(std::move(column));
  return set;
}

[[noreturn]] void wrong(const std::string& what) {
  std::fprintf(stderr, "WRONG ANSWER in %s\n", what.c_str());
  std::exit(1);
}
bool same(const double* a, const double* b, std::size_t n) {
  return std::memcmp(a, b, n * sizeof *a) == 0;
}

void bench_group(const Set& set, std::size_t group_columns) {
  std::size_t samples = 0;
  for (const Column& c : set.columns) samples += c.size();
  std::vector<std::string> groups;
  ValueGroupEncoder encoder;
  double best_encode = 1e9;
  for (int round = 0; round < 5; ++round) {
    groups.clear();
    const double start = now();
    for (std::size_t i = 0; i < set.columns.size(); ++i) {
      encoder.add(set.columns[i]);
      if (encoder.columns() == group_columns || i + 1 == set.columns.size())
        groups.push_back(encoder.finish());
    }
    best_encode = std::min(best_encode, now() - start);
  }
  std::size_t bytes = 0;
  for (const std::string& g : groups) bytes += g.size();
  double best_decode = 1e9;
  std::vector<double> out;
  for (int round = 0; round < 5; ++round) {
    const double start = now();
    for (const std::string& g : groups) {
      auto decoder = ValueGroupDecoder::open(g);
      if (!decoder) wrong(set.name);
      for (std::size_t i = 0; i < decoder->columns(); ++i) {
        out.resize(decoder->length(i));
        if (!decoder->read(i, out)) wrong(set.name);
      }
    }
    best_decode = std::min(best_decode, now() - start);
  }
  std::size_t at = 0;
  for (const std::string& g : groups) {
    auto decoder = ValueGroupDecoder::open(g);
    for (std::size_t i = 0; i < decoder->columns(); ++i, ++at) {
      out.resize(decoder->length(i));
      if (out.size() != set.columns[at].size() || !decoder->read(i, out) ||
          !same(out.data(), set.columns[at].data(), out.size()))
        wrong(set.name);
    }
  }
  const auto n = static_cast<double>(samples);
  std::printf(
      "%-14s %5zu columns, group %3zu: %7.4f B/sample (entropy %7.4f), encode %6.1f M/s, decode %6.1f M/s\n",
      set.name.c_str(), set.columns.size(), group_columns, static_cast<double>(bytes) / n, set.bits / 8 / n,
      n / best_encode / 1e6, n / best_decode / 1e6);
}

void bench_blocks(const Set& set) {
  std::vector<std::uint8_t> memory;
  std::size_t used = 0;
  std::size_t samples = 0;
  for (const Column& c : set.columns) samples += c.size();
  memory.resize(samples * 10 + 4096);
  double best_encode = 1e9;
  for (int round = 0; round < 5; ++round) {
    used = 0;
    const double start = now();
    for (const Column& c : set.columns) {
      std::uint8_t hint = 0;
      for (std::size_t i = 0; i + 16 <= c.size(); i += 16)
        used += encode_block(std::span(c).subspan(i, 16), memory.data() + used, hint);
    }
    best_encode = std::min(best_encode, now() - start);
  }
  double best_decode = 1e9;
  std::array<double, 16> out{};
  bool good = true;
  samples = 0;
  for (int round = 0; round < 5; ++round) {
    std::size_t at = 0;
    samples = 0;
    const double start = now();
    for (const Column& c : set.columns)
      for (std::size_t i = 0; i + 16 <= c.size(); i += 16) {
        at += decode_block(memory.data() + at, out);
        if (round == 0) good &= same(out.data(), c.data() + i, 16);
        samples += 16;
      }
    if (round > 0) best_decode = std::min(best_decode, now() - start);
  }
  if (!good) wrong(set.name + " blocks");
  const auto n = static_cast<double>(samples);
  std::printf("%-14s blocks of 16: %6.3f B/sample, encode %5.2f ns, decode %5.2f ns\n", set.name.c_str(),
              static_cast<double>(used) / n, best_encode / n * 1e9, best_decode / n * 1e9);
}

void bench_times(const char* name, const std::vector<std::int64_t>& times, double entropy_bits) {
  std::string bytes;
  constexpr int rounds = 2000;
  double start = now();
  for (int i = 0; i < rounds; ++i) {
    bytes.clear();
    encode_times(times, bytes);
  }
  const double encode = now() - start;
  std::vector<std::int64_t> back(times.size());
  start = now();
  for (int i = 0; i < rounds; ++i)
    if (!decode_times(bytes, back)) wrong(name);
  const double decode = now() - start;
  if (back != times) wrong(name);
  const auto n = static_cast<double>(times.size()) * rounds;
  std::string block(block_bytes_max + block_slack, '\0');
  auto* raw = reinterpret_cast<std::uint8_t*>(block.data());
  std::size_t block_bytes = 0;
  start = now();
  for (int i = 0; i < rounds; ++i)
    for (std::size_t k = 0; k + 16 <= times.size(); k += 16)
      block_bytes += encode_times_block(std::span(times).subspan(k, 16), raw);
  const double block_encode = now() - start;
  start = now();
  for (int i = 0; i < rounds; ++i)
    for (std::size_t k = 0; k + 16 <= times.size(); k += 16)
      decode_times_block(raw, std::span(back).subspan(0, 16));
  const double block_decode = now() - start;
  std::printf(
      "times %-18s %4zu: %5zu bytes (entropy %5.0f), encode %5.2f ns, decode %5.2f ns; blocks %6.1f bytes, "
      "%5.2f ns, %5.2f ns\n",
      name, times.size(), bytes.size(), entropy_bits / 8, encode / n * 1e9, decode / n * 1e9,
      static_cast<double>(block_bytes) / rounds / static_cast<double>(times.size() / 16),
      block_encode / n * 1e9, block_decode / n * 1e9);
}

void times() {
  Random random(5);
  std::vector<std::int64_t> grid, jitter, wide, gaps, arbitrary;
  std::int64_t a = 1'700'000'000'123, gap = a;
  double jitter_bits = 0, arbitrary_bits = 0;
  for (int i = 0; i < 480; ++i) {
    grid.push_back(a + i * 15000);
    jitter.push_back(a + i * 15000 + static_cast<std::int64_t>(random() % 7) - 3);
    wide.push_back(a + i * 15000 + static_cast<std::int64_t>(random() % 101));
    jitter_bits += std::log2(7.0);
    gap += random() % 40 == 0 ? 15000 * static_cast<std::int64_t>(2 + random() % 9) : 15000;
    gaps.push_back(gap);
    arbitrary.push_back((arbitrary.empty() ? a : arbitrary.back()) + 1 +
                        static_cast<std::int64_t>(random() % 65536));
    arbitrary_bits += 16;
  }
  bench_times("grid", grid, 0);
  bench_times("grid, jitter 3 ms", jitter, jitter_bits);
  bench_times("grid, 0..100 ms", wide, 480 * std::log2(101.0));
  bench_times("gaps", gaps, 480 * (-0.975 * std::log2(0.975) - 0.025 * std::log2(0.025 / 9)));
  bench_times("arbitrary", arbitrary, arbitrary_bits);
}

}  // namespace

int main(int argc, char** argv) {
  times();
  const Set node = node_like(1, 4000, 240);
  for (const std::size_t group : {64, 128, 250}) bench_group(node, group);
  const std::vector<Set> classes = fleet(2, 8, 480);
  Set all{"fleet", {}, 0};
  // As a store sorts them: siblings together, the classes in turn.
  for (std::size_t part = 0; part < 8; ++part)
    for (const Set& s : classes) {
      const std::size_t n = s.columns.size() / 8;
      all.columns.insert(all.columns.end(), s.columns.begin() + static_cast<std::ptrdiff_t>(part * n),
                         s.columns.begin() + static_cast<std::ptrdiff_t>((part + 1) * n));
    }
  for (const Set& s : classes) all.bits += s.bits;
  for (const std::size_t group : {64, 128, 250}) bench_group(all, group);
  for (const Set& s : classes) bench_group(s, 64);
  bench_blocks(node);
  bench_blocks(all);
  for (const Set& s : classes) bench_blocks(s);
  for (int i = 1; i < argc; ++i) {
    const Set real = recorded(argv[i]);
    bench_group(real, 254);
    bench_group(real, 1000);
    bench_blocks(real);
  }
}
