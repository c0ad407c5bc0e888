// The live segments, in the order in which reads want them.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "storage/series/segment.hpp"

namespace plumbline::storage::series {

// By day, then seal. Replaced as a whole: readers keep the list that they started with.
using Segments = std::vector<std::shared_ptr<const Segment>>;

inline void sort_segments(Segments& list) {
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
    return std::tuple(a->day(), a->seal(), a->info().name) < std::tuple(b->day(), b->seal(), b->info().name);
  });
}

}  // namespace plumbline::storage::series
