// Foreign JSON as a small tree that keeps what a DOM would lose: the text of each number (so that integers
// beyond 2^53 and every decimal are read exactly), the order of keys, and keys that appear twice. Bounded in
// depth and in nodes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/error.hpp"

namespace plumbline::ingest {

struct JsonNode {
  enum class Kind : std::uint8_t { null, boolean, number, string, array, object };
  Kind kind = Kind::null;
  bool truth = false;              // boolean
  std::string key;                 // when it is a member of an object
  std::string text;                // string: its value; number: as it was written
  std::vector<JsonNode> children;  // array, object

  bool is(Kind k) const { return kind == k; }
  const JsonNode* find(std::string_view name) const;  // the first member of this name
  JsonNode* find(std::string_view name) { return const_cast<JsonNode*>(std::as_const(*this).find(name)); }
  std::optional<double> number() const;         // of a number; the nearest double, infinite when out of range
  std::optional<std::int64_t> integer() const;  // of a number without fraction or exponent that fits
  std::string_view kind_name() const;           // "a number", "an object", for messages
};

struct JsonLimits {
  int depth_max = 16;                 // nesting; records need 3, log pushes 5
  std::size_t nodes_max = 1'000'000;  // about 100 bytes each: 100 MB at the worst
};

// One document, whole. Fails: invalid_input "<what> at offset N"; over depth or nodes it says which.
Result<JsonNode> parse_json(std::string_view text, const JsonLimits& limits);

// A JSON array of rows, one at a time, so that a big array costs no more than its biggest row. nodes_max is
// per row. The visitor gets the 1-based row number. Fails as parse_json, and names the row.
Status parse_json_rows(std::string_view text, const JsonLimits& limits,
                       const std::function<void(std::size_t row, JsonNode node)>& visit);

// The first string member with one of these names, objects inside objects included down to `depth_max`; for
// log lines. Gives up silently on text that is not JSON: a log line may be anything.
std::optional<std::string> find_json_string(std::string_view text, std::span<const std::string_view> names,
                                            int depth_max);

}  // namespace plumbline::ingest
