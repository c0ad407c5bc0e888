// Bits, most significant first, in a byte string. The writer gathers 64 bits before it touches memory: codecs write a few
// bits per value, and a byte-wise writer costs more than the codec.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace plumbline::storage::codec {

class BitWriter {
 public:
  // The lowest `n` bits of `v`, n in 0..64.
  void write(std::uint64_t v, int n) {
    if (n == 0) return;
    if (n < 64) v &= (1ull << n) - 1;
    const int room = 64 - used_;
    if (n < room) {
      word_ |= v << (room - n);
      used_ += n;
      return;
    }
    const int rest = n - room;  // bits that go into the next word
    word_ |= rest == 0 ? v : v >> rest;
    flush_word();
    if (rest > 0) word_ = v << (64 - rest);
    used_ = rest;
  }
  void bit(bool v) { write(v ? 1 : 0, 1); }

  std::size_t size_bytes() const { return bytes_.size() + static_cast<std::size_t>(used_ + 7) / 8; }
  std::size_t memory_bytes() const { return bytes_.capacity() + sizeof *this; }
  // Everything written, padded with zero bits to a byte.
  std::string str() const {
    std::string out = bytes_;
    for (int i = 0; i < (used_ + 7) / 8; ++i) out.push_back(static_cast<char>(word_ >> (56 - 8 * i)));
    return out;
  }

 private:
  void flush_word() {
    char raw[8];
    for (int i = 0; i < 8; ++i) raw[i] = static_cast<char>(word_ >> (56 - 8 * i));
    bytes_.append(raw, 8);
    word_ = 0;
  }
  std::string bytes_;
  std::uint64_t word_ = 0;
  int used_ = 0;  // bits of word_, 0..63
};

// Never reads past its end: a short input turns ok() false and yields zeros.
class BitReader {
 public:
  explicit BitReader(std::string_view bytes) : bytes_(bytes), end_(bytes.size() * 8) {}
  bool ok() const { return ok_; }
  std::size_t left() const { return end_ - at_; }

  std::uint64_t read(int n) {
    if (n == 0) return 0;
    if (static_cast<std::size_t>(n) > left()) {
      ok_ = false;
      at_ = end_;
      return 0;
    }
    if (n > 56) {  // one 8-byte load gives at least 57 bits from any bit offset
      const std::uint64_t high = read(32);
      return (high << (n - 32)) | read(n - 32);
    }
    const std::uint64_t word = load(at_ / 8) << (at_ % 8);
    at_ += static_cast<std::size_t>(n);
    return word >> (64 - n);
  }
  bool bit() { return read(1) != 0; }

 private:
  std::uint64_t load(std::size_t byte) const {
    if (bytes_.size() - byte >= 8) {
      std::uint64_t raw;
      std::memcpy(&raw, bytes_.data() + byte, 8);
      return __builtin_bswap64(raw);  // x86-64 and arm64, both little-endian
    }
    std::uint64_t word = 0;
    for (std::size_t i = 0; byte + i < bytes_.size(); ++i)
      word |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes_[byte + i])) << (56 - 8 * i);
    return word;
  }
  std::string_view bytes_;
  std::size_t at_ = 0;
  std::size_t end_;
  bool ok_ = true;
};

}  // namespace plumbline::storage::codec
