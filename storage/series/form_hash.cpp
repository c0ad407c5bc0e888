#include "storage/series/form_hash.hpp"

#include <random>
#include <string>

#include "daemon/base/check.hpp"

namespace plumbline::storage::series {

FormKey::FormKey() {
  std::random_device device;  // getrandom or RDRAND: not a seed for a generator that could be wound back
  const auto draw = [&device] { return static_cast<std::uint64_t>(device()) << 32 | device(); };
  for (LevelKey& level : levels_)
    for (std::uint64_t& k : level) k = draw();
  for (FoldKey& fold_key : fold_)
    for (U128& k : fold_key) k = static_cast<U128>(draw()) << 64 | draw();
  salt_ = draw() | 1;
}

FormHash FormKey::hash_long(std::string_view bytes) const {
  std::string shorter;
  std::string current;
  for (std::size_t level = 0; level < levels; ++level) {
    if (bytes.size() <= block_bytes) {
      const Sums sums = nh<true>(bytes, levels_[level].data());
      return {fold(sums.a, fold_[0]), fold(sums.b, fold_[1])};
    }
    shorter.clear();
    for (std::size_t at = 0; at < bytes.size(); at += block_bytes) {
      const Sums sums = nh<true>(bytes.substr(at, block_bytes), levels_[level].data());
      shorter.append(reinterpret_cast<const char*>(&sums), sizeof sums);
    }
    current.swap(shorter);
    bytes = current;
  }
  PLUMBLINE_CHECK(false, "a label form of more than a terabyte");
}

}  // namespace plumbline::storage::series
