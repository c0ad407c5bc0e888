// The store's own values in the family meta. Specified in storage/format/keys.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/storage.hpp"

namespace plumbline::storage {

struct Positions {
  std::uint64_t trimmed = 0;  // the last journal record that sealed files hold
  std::uint64_t sealed = 0;   // the last seal's number
};
std::string encode_positions(const Positions& positions);
Result<Positions> decode_positions(std::string_view value);  // Fails: corrupt

std::string encode_metadata(const MetricMetadata& metadata);  // without the metric: the key names it
// Fails: corrupt, unsupported (a newer version).
Result<MetricMetadata> decode_metadata(std::string_view metric, std::string_view value);

}  // namespace plumbline::storage
