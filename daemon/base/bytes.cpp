#include "daemon/base/bytes.hpp"

#include <array>

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace plumbline {

void ByteWriter::varint(std::uint64_t v) {
  while (v >= 0x80) {
    u8(static_cast<std::uint8_t>(v) | 0x80);
    v >>= 7;
  }
  u8(static_cast<std::uint8_t>(v));
}

std::uint64_t ByteReader::long_varint() {
  std::uint64_t v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const std::uint64_t byte = u8();
    if (!ok_) return 0;
    if (shift == 63 && byte > 1) break;  // does not fit 64 bits
    v |= (byte & 0x7f) << shift;
    if (byte < 0x80) return v;
  }
  ok_ = false;
  return 0;
}

std::string_view ByteReader::raw(std::size_t n) {
  if (!ok_ || n > left()) {
    ok_ = false;
    return {};
  }
  const std::string_view bytes(at_, n);
  at_ += n;
  return bytes;
}

std::uint64_t ByteReader::be(std::size_t n) {
  std::uint64_t v = 0;
  for (const char c : raw(n)) v = v << 8 | static_cast<std::uint8_t>(c);
  return v;
}

std::uint64_t ByteReader::le(std::size_t n) {
  std::uint64_t v = 0;
  int shift = 0;
  for (const char c : raw(n)) {
    v |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(c)) << shift;
    shift += 8;
  }
  return v;
}

namespace {

// Slicing-by-8 tables for the reflected Castagnoli polynomial 0x82f63b78.
using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;
constexpr CrcTables make_crc_tables() {
  CrcTables t{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = (c >> 1) ^ ((c & 1) != 0 ? 0x82f63b78u : 0u);
    t[0][i] = c;
  }
  for (std::uint32_t i = 0; i < 256; ++i)
    for (std::size_t s = 1; s < 8; ++s) t[s][i] = (t[s - 1][i] >> 8) ^ t[0][t[s - 1][i] & 0xff];
  return t;
}
constexpr CrcTables crc_tables = make_crc_tables();

std::uint32_t crc32c_tables(std::uint32_t c, std::string_view bytes) {
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  while (left >= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    word ^= c;
    c = crc_tables[7][word & 0xff] ^ crc_tables[6][(word >> 8) & 0xff] ^ crc_tables[5][(word >> 16) & 0xff] ^
        crc_tables[4][(word >> 24) & 0xff] ^ crc_tables[3][(word >> 32) & 0xff] ^ crc_tables[2][(word >> 40) & 0xff] ^
        crc_tables[1][(word >> 48) & 0xff] ^ crc_tables[0][word >> 56];
    at += 8;
    left -= 8;
  }
  for (; left > 0; --left, ++at) c = (c >> 8) ^ crc_tables[0][(c ^ static_cast<std::uint8_t>(*at)) & 0xff];
  return c;
}

#if defined(__x86_64__)
// The processor's instruction: 8 bytes a cycle with a latency of three, so three streams run side by side and are joined by
// shifting: crc(a ++ b) is crc(a) moved over b's length, xor crc(b).
constexpr std::size_t stream_bytes = 1024;

// What a register value becomes when `stream_bytes` zero bytes follow: one table per byte of it.
using ShiftTables = std::array<std::array<std::uint32_t, 256>, 4>;
ShiftTables make_shift_tables() {
  const std::string zeroes(stream_bytes, '\0');
  ShiftTables t{};
  for (std::uint32_t k = 0; k < 4; ++k)
    for (std::uint32_t i = 0; i < 256; ++i) t[k][i] = crc32c_tables(i << (8 * k), zeroes);
  return t;
}

std::uint64_t word_at(const char* at) {
  std::uint64_t v = 0;
  std::memcpy(&v, at, 8);
  return v;
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::uint32_t start, std::string_view bytes) {
  static const ShiftTables shift = make_shift_tables();
  const auto moved = [](std::uint32_t c) {
    return shift[0][c & 0xff] ^ shift[1][(c >> 8) & 0xff] ^ shift[2][(c >> 16) & 0xff] ^ shift[3][c >> 24];
  };
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t c = start;
  for (; left >= 3 * stream_bytes; left -= 3 * stream_bytes, at += 3 * stream_bytes) {
    std::uint64_t c1 = 0, c2 = 0;
    for (std::size_t i = 0; i < stream_bytes; i += 8) {
      c = __builtin_ia32_crc32di(c, word_at(at + i));
      c1 = __builtin_ia32_crc32di(c1, word_at(at + stream_bytes + i));
      c2 = __builtin_ia32_crc32di(c2, word_at(at + 2 * stream_bytes + i));
    }
    c = moved(static_cast<std::uint32_t>(c)) ^ c1;
    c = moved(static_cast<std::uint32_t>(c)) ^ c2;
  }
  for (; left >= 8; left -= 8, at += 8) c = __builtin_ia32_crc32di(c, word_at(at));
  auto out = static_cast<std::uint32_t>(c);
  for (; left > 0; --left, ++at) out = __builtin_ia32_crc32qi(out, static_cast<std::uint8_t>(*at));
  return out;
}
#endif

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
#if defined(__x86_64__)
  static const bool fast = __builtin_cpu_supports("sse4.2") != 0;
  if (fast) return ~crc32c_sse42(~0u, bytes);
#endif
  return ~crc32c_tables(~0u, bytes);
}

std::uint64_t hash64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string hash128_hex(std::string_view bytes) {
  const XXH128_hash_t h = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", h.high64, h.low64);
}

}  // namespace plumbline
