#include "storage/codec/tans.hpp"

#include <algorithm>
#include <cstring>

#include "daemon/base/check.hpp"

namespace plumbline::storage::codec {
namespace {

static_assert(std::endian::native == std::endian::little,
              "words are read and written as they stand in memory");

std::uint64_t load(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, 8);
  return word;
}
void store(char* at, std::uint64_t word) {
  std::memcpy(at, &word, 8);
}

// The order in which states are given to tokens: a stride that visits each of the 512 once and spreads every
// token.
constexpr std::uint32_t stride = (model_total >> 1) + (model_total >> 3) + 3;

std::array<std::uint8_t, model_total> spread(const Model& model) {
  std::array<std::uint8_t, model_total> tokens{};
  std::uint32_t at = 0;
  for (std::size_t t = 0; t < token_count; ++t)
    for (std::uint32_t i = 0; i < model[t]; ++i) {
      tokens[at] = static_cast<std::uint8_t>(t);
      at = (at + stride) % model_total;
    }
  return tokens;
}

struct RawTable {
  std::array<std::uint64_t, token_count> base{};
  std::array<std::uint8_t, token_count> bits{};
};
constexpr RawTable raw_table = [] {
  RawTable out;
  for (std::size_t t = 0; t < token_count; ++t) {
    out.base[t] = t < 16 ? t : (4 + (t & 3)) << (t / 4 - 2);
    out.bits[t] = static_cast<std::uint8_t>(t < 16 ? 0 : t / 4 - 2);
  }
  return out;
}();

// log2(1 + i / 256) * 256, by squaring: constant expressions have no std::log2.
constexpr std::array<std::uint16_t, 257> log_table = [] {
  std::array<std::uint16_t, 257> out{};
  for (std::size_t i = 0; i <= 256; ++i) {
    double x = 1 + static_cast<double>(i) / 256;
    double log = 0;
    double weight = 1;
    for (int bit = 0; bit < 20; ++bit) {
      if (x >= 2) {
        x /= 2;
        log += weight;
      }
      x *= x;
      weight /= 2;
    }
    out[i] = static_cast<std::uint16_t>(log * 256 + 0.5);
  }
  return out;
}();

}  // namespace

std::uint32_t log2_fixed(std::uint32_t x) {
  const int n = 31 - std::countl_zero(x | 1);
  const std::uint32_t fraction = n >= 8 ? (x >> (n - 8)) & 255 : (x << (8 - n)) & 255;
  return static_cast<std::uint32_t>(n) * 256 + log_table[fraction];
}

Model make_model(std::span<const std::uint32_t, token_count> counts) {
  std::uint64_t total = 0;
  for (const std::uint32_t c : counts) total += c;
  PLUMBLINE_CHECK(total > 0, "a model of something");
  Model model{};
  std::uint32_t sum = 0;
  for (std::size_t t = 0; t < token_count; ++t) {
    if (counts[t] == 0) continue;
    const std::uint64_t share = (counts[t] * std::uint64_t{model_total} + total / 2) / total;
    model[t] = static_cast<std::uint16_t>(std::max<std::uint64_t>(1, share));
    sum += model[t];
  }
  // What rounding left over goes to or comes from the most frequent, where it matters least.
  const auto most = [&] { return std::max_element(model.begin(), model.end()); };
  if (sum < model_total) *most() = static_cast<std::uint16_t>(*most() + model_total - sum);
  for (; sum > model_total; --sum) --*most();
  return model;
}

// Per token the bit length of its share, as the difference from the one before in unary, and the bits below
// the leading one; after a nought, the number of further noughts. Ends where the shares are complete.
void write_model(BitWriter& out, const Model& model) {
  int last = 0;
  std::uint32_t sum = 0;
  for (std::size_t t = 0; sum < model_total; ++t) {
    const int width = std::bit_width(model[t]);
    const int difference = width - last;
    const int steps = difference > 0 ? 2 * difference - 1 : -2 * difference;
    out.write((1ull << (steps + 1)) - 2, steps + 1);
    last = width;
    if (width > 0) {
      out.write(model[t], width - 1);
      sum += model[t];
      continue;
    }
    std::uint64_t run = 1;
    while (model[t + 1] == 0) {
      ++run;
      ++t;
    }
    const int digits = std::bit_width(run);
    out.write(0, digits - 1);
    out.write(run, digits);
  }
}

bool read_model(BitReader& in, Model& model) {
  model = {};
  int width = 0;
  std::uint32_t sum = 0;
  for (std::size_t t = 0; sum < model_total; ++t) {
    int steps = 0;
    while (in.bit())
      if (++steps > 2 * (model_bits + 1)) return false;
    width += (steps & 1) != 0 ? (steps + 1) / 2 : -(steps / 2);
    if (!in.ok() || t >= token_count || width < 0 || width > model_bits + 1) return false;
    if (width > 0) {
      model[t] = static_cast<std::uint16_t>(1u << (width - 1) | in.read(width - 1));
      sum += model[t];
      continue;
    }
    int digits = 1;
    while (!in.bit())
      if (++digits > 9 || !in.ok()) return false;
    t += (1u << (digits - 1) | in.read(digits - 1)) - 1;
  }
  return in.ok() && sum == model_total;
}

TansEncoder::TansEncoder(const Model& model) {
  std::array<std::uint16_t, token_count> next{};
  std::uint32_t sum = 0;
  for (std::size_t t = 0; t < token_count; ++t) {
    const std::uint32_t share = model[t];
    next[t] = static_cast<std::uint16_t>(sum);
    if (share == 0) continue;
    const int bits_max = share == 1 ? model_bits : model_bits - (std::bit_width(share - 1) - 1);
    symbols_[t].delta_bits = (static_cast<std::uint32_t>(bits_max) << 16) - (share << bits_max);
    symbols_[t].delta_state = static_cast<std::int32_t>(sum) - static_cast<std::int32_t>(share);
    sum += share;
  }
  const auto tokens = spread(model);
  for (std::uint32_t i = 0; i < model_total; ++i)
    states_[next[tokens[i]]++] = static_cast<std::uint16_t>(model_total + i);
}

void TansEncoder::encode(std::span<const std::uint8_t> tokens, std::span<const std::uint64_t> values,
                         std::string& out) const {
  const std::size_t n = tokens.size();
  std::size_t raw_bits = 0;
  for (const std::uint8_t t : tokens) raw_bits += raw_table.bits[t];
  const std::size_t begin = out.size();
  out.resize(begin + (raw_bits + 7) / 8 + (n * model_bits + 2 * model_bits) / 8 + 24);
  char* at = out.data() + begin;
  if (raw_bits > 0) {
    std::uint64_t word = 0;
    int used = 0;  // below 8 between values
    for (std::size_t i = 0; i < n; ++i) {
      const int bits = raw_table.bits[tokens[i]];
      const std::uint64_t v = values[i] - raw_table.base[tokens[i]];
      word |= v << used;
      store(at, word);
      if (used + bits >= 64) {  // the value's upper bits lie in the ninth byte
        at += 8;
        word = v >> (64 - used);  // used > 0: bits is at most 61
        used += bits - 64;
        store(at, word);
      } else {
        used += bits;
      }
      at += used / 8;
      word = used >= 8 ? word >> (used & ~7) : word;
      used &= 7;
    }
    if (used > 0) ++at;
  }
  // Two states in turn, so that the reader's two chains of table look-ups overlap.
  std::uint64_t word = 0;
  int used = 0;
  const auto flush = [&] {
    store(at, word);
    at += used / 8;
    word >>= used & ~7;
    used &= 7;
  };
  std::uint32_t state[2] = {0, 0};
  std::size_t i = n;
  for (; i > 0 && i + 2 > n; --i) {  // each state's first token is free: it begins where that token leaves it
    const Symbol s = symbols_[tokens[i - 1]];
    const std::uint32_t bits = (s.delta_bits + (1u << 15)) >> 16;
    const std::uint32_t value = (bits << 16) - s.delta_bits;
    state[(i - 1) & 1] =
        states_[static_cast<std::uint32_t>(static_cast<std::int32_t>(value >> bits) + s.delta_state)];
  }
  const auto put = [&](std::uint32_t& x, std::uint8_t token) {
    const Symbol s = symbols_[token];
    const std::uint32_t bits = (x + s.delta_bits) >> 16;
    word |= static_cast<std::uint64_t>(x & ((1u << bits) - 1)) << used;
    used += static_cast<int>(bits);
    x = states_[static_cast<std::uint32_t>(static_cast<std::int32_t>(x >> bits) + s.delta_state)];
  };
  for (; i >= 4; i -= 4) {
    put(state[(i - 1) & 1], tokens[i - 1]);
    put(state[i & 1], tokens[i - 2]);
    put(state[(i - 1) & 1], tokens[i - 3]);
    put(state[i & 1], tokens[i - 4]);
    flush();
  }
  for (; i > 0; --i) put(state[(i - 1) & 1], tokens[i - 1]);
  flush();
  if (n > 1) {
    word |= static_cast<std::uint64_t>(state[1] - model_total) << used;
    used += model_bits;
  }
  word |= static_cast<std::uint64_t>(state[0] - model_total) << used;
  used += model_bits;
  word |= 1ull << used;
  used += 8;  // the sentinel and what pads its byte
  flush();
  out.resize(static_cast<std::size_t>(at - out.data()));
}

TansDecoder::TansDecoder(const Model& model) {
  Model next = model;
  const auto tokens = spread(model);
  for (std::uint32_t i = 0; i < model_total; ++i) {
    const std::uint32_t x = next[tokens[i]]++;
    const int bits = model_bits - (static_cast<int>(std::bit_width(x)) - 1);
    states_[i] = {static_cast<std::uint16_t>((x << bits) - model_total), static_cast<std::uint8_t>(bits),
                  tokens[i]};
  }
}

bool TansDecoder::decode(std::string_view stream, std::span<std::uint64_t> values, std::string& padded,
                         std::vector<std::uint8_t>& tokens) const {
  constexpr std::size_t pad = 16;  // on both sides, so that whole words may be loaded at either end
  const std::size_t n = values.size();
  if (stream.empty() || stream.back() == 0) return false;
  padded.resize(std::max(padded.size(), stream.size() + 2 * pad));
  char* const bytes = padded.data() + pad;
  store(bytes - 8, 0);
  std::memcpy(bytes, stream.data(), stream.size());
  store(bytes + stream.size(), 0);
  store(bytes + stream.size() + 8, 0);
  if (tokens.size() < n + 1) tokens.resize(n + 1);

  // The number of bits below the sentinel; signed, so that a read too many shows.
  auto left = static_cast<std::int64_t>(stream.size() - 1) * 8 +
              std::bit_width(static_cast<std::uint8_t>(stream.back())) - 1;
  // The bits before `left`, most significant first; at least 57 of them, or all.
  const auto window = [&] {
    const std::int64_t end = (left + 7) / 8;
    return load(bytes + end - 8) << (end * 8 - left);
  };
  left -= n > 1 ? 2 * model_bits : model_bits;
  if (left < 0) return false;
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  {
    const std::size_t at = static_cast<std::size_t>(left);
    std::uint64_t word = load(bytes + at / 8) >> (at % 8);
    if (n > 1) {
      b = word & (model_total - 1);
      word >>= model_bits;
    }
    a = word & (model_total - 1);
  }
  std::size_t i = 0;
  const auto step = [&](std::uint32_t& x, std::uint64_t& word, std::int64_t& used) {
    const State s = states_[x];
    tokens[i++] = s.token;
    x = s.next + static_cast<std::uint32_t>(word >> 1 >> (63 - s.bits));
    word <<= s.bits;
    used += s.bits;
  };
  while (i + 6 <= n && left >= 4 * model_bits) {
    std::uint64_t word = window();
    std::int64_t used = 0;
    step(a, word, used);
    step(b, word, used);
    step(a, word, used);
    step(b, word, used);
    left -= used;
  }
  while (i + 2 < n) {
    std::uint64_t word = window();
    std::int64_t used = 0;
    step(i % 2 == 0 ? a : b, word, used);
    left -= used;
    if (left < 0) return false;
  }
  for (; i < n; ++i) tokens[i] = states_[i % 2 == 0 ? a : b].token;

  std::size_t at = 0;
  const std::size_t end = stream.size() * 8;
  std::uint8_t largest = 0;
  for (std::size_t k = 0; k < n; ++k) largest = std::max(largest, tokens[k]);
  if (largest < 16) {
    for (std::size_t k = 0; k < n; ++k) values[k] = tokens[k];
  } else if (largest < 4 * 60) {  // at most 57 raw bits: one load holds them
    for (std::size_t k = 0; k < n; ++k) {
      const std::uint8_t t = tokens[k];
      const std::uint64_t word = load(bytes + at / 8) >> (at % 8);
      values[k] = raw_table.base[t] + (word & ((1ull << raw_table.bits[t]) - 1));
      at += raw_table.bits[t];
      if (at > end) return false;
    }
  } else {
    for (std::size_t k = 0; k < n; ++k) {
      const std::uint8_t t = tokens[k];
      const std::size_t shift = at % 8;
      std::uint64_t word = load(bytes + at / 8) >> shift;
      if (shift > 0)
        word |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[at / 8 + 8])) << (64 - shift);
      values[k] = raw_table.base[t] + (word & ((1ull << raw_table.bits[t]) - 1));
      at += raw_table.bits[t];
      if (at > end) return false;
    }
  }
  return left == static_cast<std::int64_t>((at + 7) / 8 * 8);
}

}  // namespace plumbline::storage::codec
