#include "tests/bench/peers/traffic.hpp"

#include <snappy.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

namespace plumbline::bench {
namespace {

void put_varint(std::string& out, std::uint64_t v) {
  while (v >= 0x80) {
    out += static_cast<char>(v | 0x80);
    v >>= 7;
  }
  out += static_cast<char>(v);
}

std::size_t varint_bytes(std::uint64_t v) { return (static_cast<std::size_t>(std::bit_width(v | 1)) + 6) / 7; }

void put_text(std::string& out, char tag, std::string_view text) {
  out += tag;
  put_varint(out, text.size());
  out += text;
}

std::string number(double v) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", v);
  return text;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string encode_labels(LabelList labels) {
  std::sort(labels.begin(), labels.end());
  std::string out;
  std::string one;
  for (const auto& [name, value] : labels) {
    one.clear();
    put_text(one, '\x0a', name);
    put_text(one, '\x12', value);
    put_text(out, '\x0a', one);
  }
  return out;
}

std::string selector(const LabelList& labels) {
  std::string out = "{";
  for (const auto& [name, value] : labels) {
    if (out.size() > 1) out += ',';
    out += name + "=" + quoted(value);
  }
  return out + "}";
}

void Generator::next(Random& random, double* out) {
  double& v = state[0];
  const auto step = [&] { return a * (2 * random.unit() - 1); };
  switch (kind) {
    case Kind::constant: break;
    case Kind::counter: v += random.poisson(a); break;
    case Kind::decimal_counter:
      v += random.poisson(a);
      *out = v / 100.0;
      return;
    case Kind::walk: v = std::max(0.0, v + std::round(step())); break;
    case Kind::ratio: v = std::clamp(std::round((v + step()) * 100.0) / 100.0, 0.0, 1.0); break;
    case Kind::bytes: v = std::max(4096.0, v + 4096.0 * std::round(step())); break;
    case Kind::full: v += 0.02 * a * random.normal() + 0.05 * (a - v); break;
    case Kind::full_counter: {
      const double n = random.poisson(a);
      if (n > 0) v += n * b * (0.5 + random.unit());
      break;
    }
    case Kind::histogram: {
      // Durations spread log-normally around b: the share of each bucket is fixed by where it stands among the buckets.
      const std::size_t buckets = state.size() - 2;
      double total = 0;
      for (std::size_t i = 0; i < buckets; ++i) {
        const double x = (static_cast<double>(i) - 0.4 * static_cast<double>(buckets)) / (0.18 * static_cast<double>(buckets));
        total += random.poisson(a * 0.22 * std::exp(-0.5 * x * x));
        state[i] += total;
      }
      if (total > 0) state[buckets] += total * b * (0.8 + 0.4 * random.unit());
      state[buckets + 1] = state[buckets - 1];
      std::copy(state.begin(), state.end(), out);
      return;
    }
  }
  *out = v;
}

void Target::add(LabelList series, Generator generator) {
  raw.push_back(encode_labels(series));
  labels.push_back(std::move(series));
  generators.push_back(std::move(generator));
}

void Target::add_histogram(const std::string& name, const std::vector<double>& bounds, const LabelList& common, double rate,
                           double seconds, Random& random) {
  const auto one = [&](const std::string& suffix, const char* bound) {
    LabelList series{{"__name__", name + suffix}};
    series.insert(series.end(), common.begin(), common.end());
    if (bound != nullptr) series.emplace_back("le", bound);
    raw.push_back(encode_labels(series));
    labels.push_back(std::move(series));
  };
  char text[40];
  for (const double bound : bounds) {
    std::snprintf(text, sizeof text, "%g", bound);
    one("_bucket", text);
  }
  one("_bucket", "+Inf");
  one("_sum", nullptr);
  one("_count", nullptr);
  Generator g{Generator::Kind::histogram, rate, seconds, std::vector<double>(bounds.size() + 3)};
  double scratch[64];
  for (int i = static_cast<int>(random.below(50)); i >= 0; --i) g.next(random, scratch);  // it did not start just now
  generators.push_back(std::move(g));
}

void Target::scrape(Random& random, std::vector<double>& out) {
  out.resize(raw.size());
  std::size_t at = 0;
  for (Generator& g : generators) {
    g.next(random, &out[at]);
    at += g.state.size();
  }
}

std::int64_t scrape_offset(Random& random) {
  const auto x = static_cast<std::int64_t>(random.below(10'000));
  return x < 4'400 ? x + 1'000 : x + 3'600;  // 1.0..5.4 s and 8.0..13.6 s
}

void RequestWriter::add(std::size_t target, std::string_view raw, const std::int64_t* times, const double* values,
                        std::size_t count) {
  const auto connection = static_cast<std::uint32_t>(target % connections);
  Pending& p = pending_[connection];
  std::size_t size = raw.size();
  for (std::size_t i = 0; i < count; ++i) size += 2 + 10 + varint_bytes(static_cast<std::uint64_t>(times[i]));
  p.body += '\x0a';
  put_varint(p.body, size);
  p.body += raw;
  for (std::size_t i = 0; i < count; ++i) {
    const auto t = static_cast<std::uint64_t>(times[i]);
    p.body += '\x12';
    p.body += static_cast<char>(10 + varint_bytes(t));
    p.body += '\x09';
    char bits[8];
    std::memcpy(bits, &values[i], sizeof bits);
    p.body.append(bits, sizeof bits);
    p.body += '\x10';
    put_varint(p.body, t);
    p.time_ms = std::max(p.time_ms, times[i]);
  }
  p.samples += static_cast<std::uint32_t>(count);
  if (p.samples >= samples_per_request) flush(connection);
}

void RequestWriter::flush(std::uint32_t connection) {
  Pending& p = pending_[connection];
  if (p.samples == 0) return;
  snappy::Compress(p.body.data(), p.body.size(), &packed_);
  const RequestHeader header{p.time_ms, connection, p.samples, static_cast<std::uint32_t>(packed_.size()), 0};
  file_.write(reinterpret_cast<const char*>(&header), sizeof header);
  file_.write(packed_.data(), static_cast<std::streamsize>(packed_.size()));
  ++requests_;
  samples_ += p.samples;
  raw_bytes_ += p.body.size();
  bytes_ += packed_.size();
  p.body.clear();
  p.samples = 0;
  p.time_ms = 0;
}

bool RequestWriter::finish() {
  for (std::uint32_t c = 0; c < connections; ++c) flush(c);
  file_.close();
  return !file_.fail();
}

void Ledger::watch(const std::string& query_selector, std::size_t target, std::size_t series) {
  watched_[{target, series}].selector = query_selector;
}

bool Ledger::watched(std::size_t target, std::size_t series) const { return watched_.contains({target, series}); }

void Ledger::wrote(std::size_t target, std::size_t series, std::int64_t time_ms, double value) {
  if (newest_.size() <= target) newest_.resize(target + 1);
  auto& times = newest_[target];
  if (times.size() <= series) times.resize(series + 1);
  times[series] = std::max(times[series], time_ms);
  if (const auto found = watched_.find({target, series}); found != watched_.end()) found->second.samples[time_ms] = value;
}

std::string Ledger::json(std::int64_t end_ms, const RequestWriter& writer) const {
  constexpr std::int64_t lookback_ms = 300'000;
  std::uint64_t all = 0;
  std::uint64_t live = 0;
  for (const auto& target : newest_) {
    for (const std::int64_t t : target) {
      all += t != 0;
      live += t > end_ms - lookback_ms;
    }
  }
  std::string out = "{\"end_ms\":" + std::to_string(end_ms) + ",\"series\":" + std::to_string(all) +
                    ",\"series_live\":" + std::to_string(live) + ",\"samples\":" + std::to_string(writer.samples()) +
                    ",\"distinct\":" + std::to_string(distinct_ != 0 ? distinct_ : writer.samples()) +
                    ",\"requests\":" + std::to_string(writer.requests()) +
                    ",\"bytes_raw\":" + std::to_string(writer.raw_bytes()) + ",\"bytes\":" + std::to_string(writer.bytes()) +
                    ",\"watched\":[";
  bool first = true;
  for (const auto& [place, w] : watched_) {
    if (w.samples.empty()) continue;
    long double sum = 0;
    for (const auto& [t, v] : w.samples) sum += v;
    out += std::string(first ? "" : ",") + "{\"selector\":" + quoted(w.selector) + ",\"count\":" + std::to_string(w.samples.size()) +
           ",\"sum\":" + number(static_cast<double>(sum)) + ",\"last_ms\":" + std::to_string(w.samples.rbegin()->first) +
           ",\"last\":" + number(w.samples.rbegin()->second) + "}";
    first = false;
  }
  return out + "]}";
}

}  // namespace plumbline::bench
