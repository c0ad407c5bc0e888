// What still reads of a RocksDB log with damage in it.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"

namespace plumbline::storage::kv {

struct LogGap {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  bool at_end = false;  // nothing that reads follows: a crash may have torn it
};
// Visits every logical record that is whole, in order, whatever stands between. An error of `visit` ends it. Pure.
Result<std::vector<LogGap>> salvage_log(std::string_view bytes, const std::function<Status(std::string_view record)>& visit);

}  // namespace plumbline::storage::kv
