// The kill points of a salvage: no daemon passes them.
#pragma once

#include <array>
#include <string_view>

namespace plumbline::storage::kv {

inline constexpr std::array<std::string_view, 5> salvage_kill_points{
    "salvage.rescued", "salvage.written", "salvage.planned", "salvage.moved", "salvage.cleared",
};

}  // namespace plumbline::storage::kv
