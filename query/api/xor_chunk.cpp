#include "query/api/xor_chunk.hpp"

#include "daemon/base/check.hpp"
#include "query/api/chunk_bits.hpp"

namespace plumbline::query {

namespace {

void write_step(BitWriter& out, std::int64_t dod) {
  if (dod == 0) return out.write(0, 1);
  struct Bucket {
    int bits;
    std::uint64_t prefix;
    int prefix_bits;
  };
  for (const Bucket b : {Bucket{14, 0b10, 2}, Bucket{17, 0b110, 3}, Bucket{20, 0b1110, 4}})
    if (fits_bits(dod, b.bits)) {
      out.write(b.prefix, b.prefix_bits);
      return out.write(static_cast<std::uint64_t>(dod), b.bits);
    }
  out.write(0b1111, 4);
  out.write(static_cast<std::uint64_t>(dod), 64);
}

}  // namespace

std::string encode_xor_chunk(std::span<const model::Sample> samples) {
  PLUMBLINE_CHECK(!samples.empty() && samples.size() <= 0xffff, "a chunk has 1 to 65,535 samples");
  std::string bytes;
  bytes.push_back(static_cast<char>(samples.size() >> 8));
  bytes.push_back(static_cast<char>(samples.size()));
  BitWriter out(bytes);
  XorField value;
  std::uint64_t delta = 0;  // unsigned: it wraps as upstream's does
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (i == 0) {
      out.varint(samples[0].t);
      value.first(out, samples[0].v);
      continue;
    }
    const std::uint64_t step = static_cast<std::uint64_t>(samples[i].t) - static_cast<std::uint64_t>(samples[i - 1].t);
    if (i == 1)
      out.uvarint(step);
    else
      write_step(out, static_cast<std::int64_t>(step - delta));
    value.next(out, samples[i].v);
    delta = step;
  }
  return bytes;
}

}  // namespace plumbline::query
