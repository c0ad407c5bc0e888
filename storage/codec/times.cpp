#include "storage/codec/times.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "daemon/base/bytes.hpp"
#include "storage/codec/decimal.hpp"
#include "storage/codec/tans.hpp"

namespace plumbline::storage::codec {
namespace {

using decimal::minus;
using decimal::unzigzag;
using decimal::zigzag;

// Time i is first + K_i * period + r_i, where K_i is i, or the sum of steps that are one but where scrapes
// are missing.
constexpr std::uint8_t form_gaps = 0x01;         // the steps are written
constexpr std::uint8_t form_jitter = 0x02;       // r is written; else it is nought
constexpr std::uint8_t form_differences = 0x04;  // r as differences
constexpr std::uint8_t form_mask = 0x07;

// How a stream of integers is written: 0..64 is the width of each, less the least; this is zigzagged tokens
// less a center.
constexpr std::uint8_t method_tans = 0x80;

std::int64_t plus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

std::int64_t median(std::vector<std::int64_t> v) {
  const auto middle = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

void put_stream(ByteWriter& out, std::span<const std::int64_t> v) {
  const auto [least, most] = std::minmax_element(v.begin(), v.end());
  const int width = std::bit_width(static_cast<std::uint64_t>(minus(*most, *least)));
  std::string coded;
  std::int64_t center = 0;
  if (width > 1 && v.size() >= 32) {  // below, a model costs more than it saves
    center = median({v.begin(), v.end()});
    std::vector<std::uint64_t> residuals;
    std::vector<std::uint8_t> tokens;
    std::array<std::uint32_t, token_count> histogram{};
    for (const std::int64_t x : v) {
      residuals.push_back(zigzag(minus(x, center)));
      tokens.push_back(token_of(residuals.back()));
      ++histogram[tokens.back()];
    }
    const Model model = make_model(histogram);
    BitWriter bits;
    write_model(bits, model);
    coded = bits.str();
    TansEncoder(model).encode(tokens, residuals, coded);
  }
  if (!coded.empty() && coded.size() < (v.size() * static_cast<std::size_t>(width) + 7) / 8) {
    out.u8(method_tans);
    out.zigzag(center);
    out.sized(coded);
    return;
  }
  BitWriter bits;
  for (const std::int64_t x : v) bits.write(static_cast<std::uint64_t>(minus(x, *least)), width);
  out.u8(static_cast<std::uint8_t>(width));
  out.zigzag(*least);
  out.raw(bits.str());
}

bool get_stream(ByteReader& in, std::span<std::int64_t> v) {
  const std::uint8_t method = in.u8();
  const std::int64_t base = in.zigzag();
  if (method == method_tans) {
    const std::string_view coded = in.sized();
    BitReader bits(coded);
    Model model;
    if (!in.ok() || !read_model(bits, model)) return false;
    std::vector<std::uint64_t> residuals(v.size());
    std::string padded;
    std::vector<std::uint8_t> tokens;
    if (!TansDecoder(model).decode(coded.substr(coded.size() - bits.left() / 8), residuals, padded, tokens))
      return false;
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = plus(unzigzag(residuals[i]), base);
    return true;
  }
  if (method > 64) return false;
  BitReader bits(in.raw((v.size() * method + 7) / 8));
  if (!in.ok()) return false;
  for (std::int64_t& x : v) x = plus(static_cast<std::int64_t>(bits.read(method)), base);
  return true;
}

// The column in one form; `steps` (of each time but the first) is empty when they are all one.
std::string in_form(std::span<const std::int64_t> times, std::int64_t period,
                    std::span<const std::int64_t> steps, bool differences) {
  std::vector<std::int64_t> r;
  r.reserve(times.size());
  std::int64_t on_grid = times[0];
  std::int64_t last = 0;
  bool jitter = false;
  for (std::size_t i = 1; i < times.size(); ++i) {
    const auto step = static_cast<std::uint64_t>(steps.empty() ? 1 : steps[i - 1]);
    on_grid = plus(on_grid, static_cast<std::int64_t>(step * static_cast<std::uint64_t>(period)));
    const std::int64_t off = minus(times[i], on_grid);
    r.push_back(differences ? minus(off, last) : off);
    last = off;
    jitter |= off != 0;
  }
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>((steps.empty() ? 0 : form_gaps) | (jitter ? form_jitter : 0) |
                                   (jitter && differences ? form_differences : 0)));
  out.zigzag(times[0]);
  if (times.size() == 1) return out.take();
  out.zigzag(period);
  if (!steps.empty()) put_stream(out, steps);
  if (jitter) put_stream(out, r);
  return out.take();
}

}  // namespace

void encode_times(std::span<const std::int64_t> times, std::string& out) {
  if (times.empty()) return;
  std::vector<std::int64_t> deltas;
  deltas.reserve(times.size());
  for (std::size_t i = 1; i < times.size(); ++i) deltas.push_back(minus(times[i], times[i - 1]));
  std::int64_t period = deltas.empty() ? 0 : median(deltas);
  // With jitter the median is a little off, and the distance to the grid would grow: the nearest round step
  // is tried first.
  constexpr std::int64_t second = 1000;
  constexpr std::int64_t period_max = 1ll << 40;  // 35 years: no arithmetic below overflows
  const bool usual = period > second && period < period_max;
  if (const std::int64_t round = ((usual ? period : 0) + second / 2) / second * second;
      usual && std::abs(round - period) <= period / 64)
    period = round;
  std::string best = in_form(times, period, {}, false);
  if ((static_cast<std::uint8_t>(best[0]) & form_jitter) != 0) {
    std::string other = in_form(times, period, {}, true);
    if (other.size() < best.size()) best = std::move(other);
    bool gaps = false;
    for (std::int64_t& d : deltas) {
      if (period <= 0 || period > period_max || d < 0 || d > period * 100'000) {
        gaps = false;
        break;
      }
      d = (d + period / 2) / period;
      gaps |= d != 1;
    }
    if (gaps) {
      other = in_form(times, period, deltas, false);
      if (other.size() < best.size()) best = std::move(other);
    }
  }
  out += best;
}

Status decode_times(std::string_view bytes, std::span<std::int64_t> out) {
  const auto broken = [] { return fail(Code::corrupt, "time column that does not add up"); };
  if (out.empty()) return bytes.empty() ? Status() : broken();
  ByteReader in(bytes);
  const std::uint8_t form = in.u8();
  out[0] = in.zigzag();
  if (out.size() == 1) return form == 0 && in.ok() && in.done() ? Status() : broken();
  const auto period = static_cast<std::uint64_t>(in.zigzag());
  if (!in.ok() || (form & ~form_mask) != 0) return broken();
  std::vector<std::int64_t> steps;
  if ((form & form_gaps) != 0) {
    steps.resize(out.size() - 1);
    if (!get_stream(in, steps)) return broken();
  }
  const auto rest = out.subspan(1);
  if ((form & form_jitter) != 0) {
    if (!get_stream(in, rest)) return broken();
  } else {
    std::fill(rest.begin(), rest.end(), 0);
  }
  if (!in.ok() || !in.done()) return broken();
  std::int64_t on_grid = out[0];
  std::int64_t off = 0;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const std::uint64_t step = steps.empty() ? 1 : static_cast<std::uint64_t>(steps[i]);
    on_grid = plus(on_grid, static_cast<std::int64_t>(step * period));
    off = (form & form_differences) != 0 ? plus(off, rest[i]) : rest[i];
    rest[i] = plus(on_grid, off);
  }
  return {};
}

}  // namespace plumbline::storage::codec
