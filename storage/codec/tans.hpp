// The entropy stage of the value groups and time columns: u64 residuals become a token (coded with tANS after
// a model that several columns share) and raw low bits. Within a percent of the entropy of the tokens, two to
// three ns per value to read.
//
// Bytes of a stream: the raw bits, least significant first, padded to a byte; then the tANS bits, which are
// written from the last token to the first and read backwards from a sentinel bit.
// storage/format/value_group.md specifies both.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/codec/bit_stream.hpp"

namespace plumbline::storage::codec {

// Tokens 0..15 are values; above, four tokens per power of two (the two bits below the leading one), the rest
// is raw.
inline constexpr std::size_t token_count = 256;
inline std::uint8_t token_of(std::uint64_t v) {
  const int n = 63 - std::countl_zero(v | 8);  // both are computed: which it is cannot be predicted
  const std::uint64_t great = static_cast<std::uint64_t>(4 * n) + ((v >> (n - 2)) & 3);
  return static_cast<std::uint8_t>(v < 16 ? v : great);
}
inline int token_raw_bits(std::size_t token) {
  return token < 16 ? 0 : static_cast<int>(token / 4) - 2;
}
inline std::uint64_t token_base(std::size_t token) {
  return token < 16 ? token : (4 + (token & 3)) << (token / 4 - 2);
}

// 256 * log2(x) within 1: integer arithmetic, so that every machine takes the same decisions.
std::uint32_t log2_fixed(std::uint32_t x);

// How often each token occurs among 512: nought for tokens that do not.
inline constexpr int model_bits = 9;
inline constexpr std::uint32_t model_total = 1u << model_bits;
using Model = std::array<std::uint16_t, token_count>;

// Scales counts (not all nought) to a model.
Model make_model(std::span<const std::uint32_t, token_count> counts);
void write_model(BitWriter& out, const Model& model);
// False when the bits end early or are no model.
bool read_model(BitReader& in, Model& model);

class TansEncoder {
 public:
  explicit TansEncoder(const Model& model);
  // Appends the stream of these values (tokens[i] == token_of(values[i]), each in the model; not empty).
  void encode(std::span<const std::uint8_t> tokens, std::span<const std::uint64_t> values,
              std::string& out) const;

 private:
  struct Symbol {
    std::uint32_t delta_bits = 0;
    std::int32_t delta_state = 0;
  };
  std::array<Symbol, token_count> symbols_{};
  std::array<std::uint16_t, model_total> states_{};
};

class TansDecoder {
 public:
  explicit TansDecoder(const Model& model);
  // False when `stream` is not exactly values.size() values. Not for an empty span. `padded` is scratch.
  bool decode(std::string_view stream, std::span<std::uint64_t> values, std::string& padded,
              std::vector<std::uint8_t>& tokens) const;

 private:
  struct State {
    std::uint16_t next = 0;
    std::uint8_t bits = 0;
    std::uint8_t token = 0;
  };
  std::array<State, model_total> states_{};
};

}  // namespace plumbline::storage::codec
