// Which columns of a group share a model. A model costs some twenty bytes, a column coded with another's some
// bits: columns are gathered greedily where that is cheaper, and then each takes the one that is best for it.
//
// Not thread-safe. Deterministic on every machine: costs are integers.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "storage/codec/tans.hpp"

namespace plumbline::storage::codec {

class ModelChooser {
 public:
  // The tokens of the next column, by count.
  void add(std::span<const std::uint32_t, token_count> histogram);
  // The models, and for every column the index of its own.
  std::vector<Model> choose(std::vector<std::size_t>& model_of) const;
  void clear();

 private:
  struct Entry {
    std::uint32_t count;
    std::uint8_t token;
  };
  std::vector<Entry> entries_;
  std::vector<std::size_t> ends_;  // of each column's entries
};

}  // namespace plumbline::storage::codec
