#include "storage/series/chunk.hpp"

#include <cmath>
#include <limits>

#include "daemon/base/bytes.hpp"
#include "storage/codec/gorilla.hpp"
#include "storage/kv/kv.hpp"

namespace plumbline::storage::series {

namespace {

constexpr std::uint8_t encoding_gorilla = 1;
constexpr std::uint8_t flag_stale = 1;

Result<ChunkHeader> read_header(ByteReader& in) {
  ChunkHeader out;
  const std::uint8_t version = in.u8();
  if (in.ok() && version > chunk_version)
    return fail(Code::unsupported, "chunk of version " + std::to_string(version) + ", this Plumbline reads up to " +
                                       std::to_string(chunk_version));
  const std::uint8_t encoding = in.u8();
  if (in.ok() && encoding != encoding_gorilla)
    return fail(Code::unsupported, "chunk of encoding " + std::to_string(encoding) + ", this Plumbline reads 1");
  out.summary.has_stale = (in.u8() & flag_stale) != 0;
  out.series = static_cast<std::uint32_t>(in.varint());
  out.count = static_cast<std::uint32_t>(in.varint());
  out.min_t = in.zigzag();
  out.max_t = static_cast<std::int64_t>(static_cast<std::uint64_t>(out.min_t) + in.varint());
  out.summary.count = static_cast<std::uint32_t>(in.varint());
  out.summary.first = in.f64();
  out.summary.last = in.f64();
  out.summary.min = in.f64();
  out.summary.max = in.f64();
  out.summary.sum = in.f64();
  out.summary.reset_correction = in.f64();
  if (!in.ok() || version == 0 || out.count == 0) return fail(Code::corrupt, "chunk header ends early");
  return out;
}

}  // namespace

ChunkSummary summarize(const std::vector<model::Sample>& samples) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  ChunkSummary out{none, none, none, none, 0, 0, 0, false};
  double compensation = 0;
  double previous = none;
  for (const model::Sample& s : samples) {
    if (model::is_stale(s.v)) {
      out.has_stale = true;
      continue;
    }
    if (out.count++ == 0) out.first = s.v;
    out.last = s.v;
    if (!(out.min <= s.v)) out.min = std::isnan(s.v) ? out.min : s.v;
    if (!(out.max >= s.v)) out.max = std::isnan(s.v) ? out.max : s.v;
    const double total = out.sum + s.v;
    compensation += std::fabs(out.sum) >= std::fabs(s.v) ? (out.sum - total) + s.v : (s.v - total) + out.sum;
    out.sum = total;
    if (s.v < previous) out.reset_correction += previous;
    if (!std::isnan(s.v)) previous = s.v;
  }
  // After an overflow or a NaN the compensation itself is NaN and says nothing.
  if (std::isfinite(out.sum)) out.sum += compensation;
  return out;
}

std::string chunk_key(std::uint16_t vshard, const ChunkKey& key) {
  ByteWriter out;
  out.raw(kv::key_prefix(vshard));
  out.be32(key.day);
  out.be32(key.series);
  out.be_i64(key.min_t);
  out.be64(key.seal);
  return out.take();
}

std::string chunk_key_from(std::uint16_t vshard, std::uint32_t day, std::uint32_t series) {
  ByteWriter out;
  out.raw(kv::key_prefix(vshard));
  out.be32(day);
  out.be32(series);
  return out.take();
}

Result<ChunkKey> parse_chunk_key(std::string_view key) {
  ByteReader in(key);
  in.raw(kv::key_prefix_bytes);
  ChunkKey out;
  out.day = in.be32();
  out.series = in.be32();
  out.min_t = in.be_i64();
  out.seal = in.be64();
  if (!in.ok() || !in.done()) return fail(Code::corrupt, "chunk key of " + std::to_string(key.size()) + " bytes, 31 are right");
  return out;
}

std::string encode_chunk(std::uint32_t series, const std::vector<model::Sample>& samples) {
  const ChunkSummary summary = summarize(samples);
  ByteWriter out;
  out.u8(chunk_version);
  out.u8(encoding_gorilla);
  out.u8(summary.has_stale ? flag_stale : 0);
  out.varint(series);
  out.varint(samples.size());
  out.zigzag(samples.front().t);
  out.varint(static_cast<std::uint64_t>(samples.back().t) - static_cast<std::uint64_t>(samples.front().t));
  out.varint(summary.count);
  out.f64(summary.first);
  out.f64(summary.last);
  out.f64(summary.min);
  out.f64(summary.max);
  out.f64(summary.sum);
  out.f64(summary.reset_correction);
  out.raw(codec::gorilla_encode(samples));
  out.le32(crc32c(out.str()));
  return out.take();
}

Result<ChunkHeader> read_chunk_header(std::string_view value) {
  ByteReader in(value);
  return read_header(in);
}

Status decode_chunk(std::string_view value, model::TimeRange range, std::vector<model::Sample>& out) {
  if (value.size() < 4) return fail(Code::corrupt, "chunk of " + std::to_string(value.size()) + " bytes");
  const std::string_view body = value.substr(0, value.size() - 4);
  ByteReader tail(value.substr(value.size() - 4));
  if (crc32c(body) != tail.le32()) return fail(Code::corrupt, "chunk does not match its checksum");
  ByteReader in(body);
  PLUMBLINE_TRY(const ChunkHeader header, read_header(in));
  codec::GorillaDecoder decoder(in.raw(in.left()), header.count);
  model::Sample sample;
  while (decoder.next(sample)) {
    if (sample.t > range.max) return {};
    if (sample.t >= range.min) out.push_back(sample);
  }
  if (!decoder.ok()) return fail(Code::corrupt, "chunk ends before its last sample");
  return {};
}

}  // namespace plumbline::storage::series
