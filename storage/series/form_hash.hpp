// The keyed 128-bit hash that stands for a raw form.
//
// Why it is an identity. The index takes two forms with one hash for one series, so a collision must not happen, by chance or by
// intent. XXH3 with a secret promises nothing against forms chosen to collide: over long inputs it adds up 32x32-bit products.
// This is NH (Black et al., "UMAC", 1999) with 64-bit words, twice with a shifted key, and a multilinear hash of each sum
// to 64 bits: for any two different forms, chosen without knowledge of the key, the chance of one hash is below 2^-120 over
// the choice of the key. The key is random per process and no hash leaves it, so nobody can choose better. Among a billion
// forms (2^30) the chance that any two are mixed up is then below 2^-61; memory fails more often.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace plumbline::storage::series {

struct FormHash {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  bool operator==(const FormHash&) const = default;
  std::uint32_t tag() const { return static_cast<std::uint32_t>(a >> 32); }
};

// Threads: any (immutable).
class FormKey {
 public:
  FormKey();  // from the system's randomness
  FormHash hash(std::string_view bytes) const {
    if (bytes.size() > block_bytes) return hash_long(bytes);
    const Sums sums = nh<true>(bytes, levels_[0].data());
    return {fold(sums.a, fold_[0]), fold(sums.b, fold_[1])};
  }
  // 32 bits for a hash table whose entries are compared by content; `salt` tells families of keys apart.
  std::uint32_t tag(std::string_view bytes, std::uint32_t salt) const {
    if (bytes.size() > block_bytes) return static_cast<std::uint32_t>((hash_long(bytes).a + salt * salt_) >> 32);
    return static_cast<std::uint32_t>((fold(nh<false>(bytes, levels_[0].data()).a, fold_[0]) + salt * salt_) >> 32);
  }

 private:
  __extension__ using U128 = unsigned __int128;
  static constexpr std::size_t block_bytes = 1024;  // longer forms are hashed block by block, then their hashes
  // Each level shortens by 32: seven reach 1 GiB in the fifth.
  static constexpr std::size_t levels = 7;
  using LevelKey = std::array<std::uint64_t, block_bytes / 8 + 2>;
  using FoldKey = std::array<U128, 3>;
  struct Sums {
    U128 a = 0;
    U128 b = 0;
  };

  static std::uint64_t word(const char* at) {
    std::uint64_t v;
    std::memcpy(&v, at, 8);
    return v;
  }
  // At most block_bytes. The last 16 bytes are read again where the length is no multiple: given the length, which is added,
  // the words still say which bytes they are.
  template <bool twice>
  static Sums nh(std::string_view bytes, const std::uint64_t* key) {
    Sums out{bytes.size(), bytes.size()};
    const char* at = bytes.data();
    const auto add = [&](const char* from) {
      const std::uint64_t x = word(from);
      const std::uint64_t y = word(from + 8);
      out.a += static_cast<U128>(x + key[0]) * (y + key[1]);
      if constexpr (twice) out.b += static_cast<U128>(x + key[2]) * (y + key[3]);
      key += 2;
    };
    std::size_t left = bytes.size();
    for (; left >= 16; left -= 16, at += 16) add(at);
    if (left == 0) return out;
    if (bytes.size() >= 16) {
      add(at + left - 16);
    } else {
      char padded[16] = {};
      std::memcpy(padded, at, left);
      add(padded);
    }
    return out;
  }
  static std::uint64_t fold(U128 sum, const FoldKey& key) {
    const U128 mixed = key[0] + key[1] * static_cast<std::uint64_t>(sum) + key[2] * static_cast<std::uint64_t>(sum >> 64);
    return static_cast<std::uint64_t>(mixed >> 64);
  }
  FormHash hash_long(std::string_view bytes) const;

  std::array<LevelKey, levels> levels_;
  std::array<FoldKey, 2> fold_;
  std::uint64_t salt_;
};

}  // namespace plumbline::storage::series
