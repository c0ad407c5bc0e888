// Seeded damage for decoder tests: flips, cuts, doublings, splices. Prints its seed, so that a failure can be replayed.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>
#include <string>

namespace plumbline::test {

inline std::uint64_t fuzz_seed() {
  const char* given = std::getenv("PLUMBLINE_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  WARN("PLUMBLINE_SEED=" << seed);
  return seed;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}
  std::string operator()(std::string bytes) {
    const int times = 1 + static_cast<int>(below(4));
    for (int i = 0; i < times && !bytes.empty(); ++i) {
      const std::size_t at = below(bytes.size());
      switch (below(5)) {
        case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8))); break;
        case 1: bytes[at] = static_cast<char>(below(256)); break;
        case 2: bytes.resize(at); break;
        case 3: bytes.insert(at, bytes.substr(below(bytes.size()), below(64))); break;
        case 4: bytes.erase(at, below(16)); break;
      }
    }
    return bytes;
  }

 private:
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
  std::mt19937_64 random_;
};

}  // namespace plumbline::test
