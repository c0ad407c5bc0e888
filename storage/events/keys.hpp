// The keys of the families events, event_ids and labels (layout: storage/format/event_block.md). Integers in keys are
// big-endian, so that bytewise order is the order of kind, day, stream, time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/model/event.hpp"

namespace plumbline::storage::events {

using model::EventKind;
using Day = std::uint32_t;  // UTC days since 1970; earlier rows belong to day 0, keys have no negative days

inline constexpr std::int64_t day_ns = 86'400'000'000'000;
Day day_of(std::int64_t time_ns);

// A sealed block, in family events.
struct BlockKey {
  EventKind kind = EventKind::log;
  Day day = 0;
  std::uint64_t stream = 0;  // fingerprint
  std::int64_t min_time = 0;
  std::uint64_t seal = 0;
  std::uint32_t number = 0;  // unique within its seal
  std::string encode() const;
  static std::optional<BlockKey> decode(std::string_view key);
};

// The directory record of the blocks that one seal wrote for a stream fingerprint and day; in family events, with the top
// bit of the kind byte set, so that a scan reads directories without touching blocks.
struct DirectoryKey {
  EventKind kind = EventKind::log;
  Day day = 0;
  std::uint64_t stream = 0;
  std::uint64_t seal = 0;
  std::string encode() const;
  static std::optional<DirectoryKey> decode(std::string_view key);
};

// Where day `day` of a kind begins in a vshard: ranges of days are [from, to) of these.
std::string block_day_key(std::uint16_t vshard, EventKind kind, Day day);
std::string directory_day_key(std::uint16_t vshard, EventKind kind, Day day);

// The id index, family event_ids: which blocks hold a row with that id.
enum class IdKind : std::uint8_t { trace = 1, span = 2, prediction = 3 };
inline constexpr IdKind id_kinds[] = {IdKind::trace, IdKind::span, IdKind::prediction};
std::string_view field_of(IdKind kind);
std::optional<IdKind> id_kind_of(std::string_view field);

std::string id_prefix(IdKind kind, std::string_view id);
std::string id_key(IdKind kind, std::string_view id, const BlockKey& block);
// The block at the end of an id key.
std::optional<BlockKey> block_of_id_key(std::string_view key);

// Late labels, family labels.
std::string label_key(std::string_view model, std::string_view prediction_id);

// The end of all keys that start with `prefix`; `prefix` must not be all 0xff.
std::string prefix_end(std::string prefix);

}  // namespace plumbline::storage::events
