#include "ingest/wire_samples.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

namespace plumbline::ingest {
namespace {

// Tags of prometheus.TimeSeries and prometheus.Sample: field number << 3 | wire type.
constexpr std::uint8_t tag_labels = 0x0a, tag_samples = 0x12;
constexpr std::uint8_t tag_value = 0x09, tag_timestamp = 0x10;

// A time of this century. Shorter ones go to the full decoder, which has a budget: an empty sample is two bytes on the wire and
// sixteen in memory.
constexpr std::uint64_t sample_bytes_min = 7;

// Protobuf varints, at most ten bytes; false at the end of the input or past 64 bits.
inline __attribute__((always_inline)) bool get_varint(const std::uint8_t*& at, const std::uint8_t* end, std::uint64_t& out) {
  if (at != end && *at < 0x80) {
    out = *at++;
    return true;
  }
  std::uint64_t v = 0;
  for (int shift = 0; at != end && shift < 64; shift += 7) {
    const std::uint64_t byte = *at++;
    if (shift == 63 && byte > 1) return false;
    v |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      out = v;
      return true;
    }
  }
  return false;
}

inline __attribute__((always_inline)) bool get_length(const std::uint8_t*& at, const std::uint8_t* end, std::uint64_t& out) {
  return get_varint(at, end, out) && out <= static_cast<std::uint64_t>(end - at);
}

// A field of value zero is not on the wire.
inline __attribute__((always_inline)) bool get_sample(const std::uint8_t* at, const std::uint8_t* end, model::Sample& out) {
  out = {};
  while (at != end) {
    const std::uint8_t tag = *at++;
    if (tag == tag_value) {
      if (end - at < 8) return false;
      std::uint64_t bits = 0;
      std::memcpy(&bits, at, 8);
      out.v = std::bit_cast<double>(bits);
      at += 8;
    } else if (tag == tag_timestamp) {
      std::uint64_t t = 0;
      if (!get_varint(at, end, t)) return false;
      out.t = static_cast<std::int64_t>(t);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

bool read_wire_series(std::string_view message, storage::WireSamples& out) {
  const auto* at = reinterpret_cast<const std::uint8_t*>(message.data());
  const auto* const end = at + message.size();
  std::uint64_t length = 0;
  const auto* const labels = at;
  while (at != end && *at == tag_labels) {
    ++at;
    if (!get_length(at, end, length)) return false;
    at += length;
  }
  const std::string_view label_bytes(message.data(), static_cast<std::size_t>(at - labels));
  const std::size_t first = out.samples.size();
  while (at != end) {
    model::Sample sample;
    if (*at++ != tag_samples || !get_length(at, end, length) || length < sample_bytes_min || !get_sample(at, at + length, sample)) {
      out.samples.resize(first);
      return false;
    }
    at += length;
    out.samples.push_back(sample);
  }
  const std::size_t count = out.samples.size() - first;
  if (count > 0)
    out.series.push_back({label_bytes, static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(count)});
  return true;
}

}  // namespace plumbline::ingest
