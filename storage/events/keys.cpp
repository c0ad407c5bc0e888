#include "storage/events/keys.hpp"

#include <algorithm>

#include "daemon/base/bytes.hpp"
#include "storage/kv/kv.hpp"

namespace plumbline::storage::events {
namespace {

constexpr std::uint8_t directory_bit = 0x80;
// A longer id is cut and ends in its hash; the reader compares the whole id with the row anyway.
constexpr std::size_t id_bytes_max = 128;

std::uint16_t vshard_of(std::uint64_t hash) { return static_cast<std::uint16_t>(hash % kv::vshards); }

std::string day_key(std::uint16_t vshard, std::uint8_t kind, Day day) {
  ByteWriter out;
  out.raw(kv::key_prefix(vshard));
  out.u8(kind);
  out.be32(day);
  return out.take();
}

// What follows the day in an id key: enough to rebuild the block's key.
constexpr std::size_t id_suffix_bytes = 4 + 1 + 8 + 8 + 8 + 4;

}  // namespace

Day day_of(std::int64_t time_ns) { return time_ns < 0 ? 0 : static_cast<Day>(time_ns / day_ns); }

std::string BlockKey::encode() const {
  ByteWriter out;
  out.raw(day_key(vshard_of(stream), static_cast<std::uint8_t>(kind), day));
  out.be64(stream);
  out.be_i64(min_time);
  out.be64(seal);
  out.be32(number);
  return out.take();
}

std::optional<BlockKey> BlockKey::decode(std::string_view key) {
  ByteReader in(key);
  in.raw(kv::key_prefix_bytes);
  const auto kind = model::event_kind_of(in.u8());
  BlockKey out;
  out.day = in.be32();
  out.stream = in.be64();
  out.min_time = in.be_i64();
  out.seal = in.be64();
  out.number = in.be32();
  if (!in.ok() || !in.done() || !kind) return std::nullopt;
  out.kind = *kind;
  return out;
}

std::string DirectoryKey::encode() const {
  ByteWriter out;
  out.raw(day_key(vshard_of(stream), static_cast<std::uint8_t>(kind) | directory_bit, day));
  out.be64(stream);
  out.be64(seal);
  return out.take();
}

std::optional<DirectoryKey> DirectoryKey::decode(std::string_view key) {
  ByteReader in(key);
  in.raw(kv::key_prefix_bytes);
  const std::uint8_t byte = in.u8();
  const auto kind = model::event_kind_of(byte & static_cast<std::uint8_t>(~directory_bit));
  DirectoryKey out;
  out.day = in.be32();
  out.stream = in.be64();
  out.seal = in.be64();
  if (!in.ok() || !in.done() || !kind || (byte & directory_bit) == 0) return std::nullopt;
  out.kind = *kind;
  return out;
}

std::string block_day_key(std::uint16_t vshard, EventKind kind, Day day) {
  return day_key(vshard, static_cast<std::uint8_t>(kind), day);
}

std::string directory_day_key(std::uint16_t vshard, EventKind kind, Day day) {
  return day_key(vshard, static_cast<std::uint8_t>(kind) | directory_bit, day);
}

std::string_view field_of(IdKind kind) {
  switch (kind) {
    case IdKind::trace: return model::field::trace_id;
    case IdKind::span: return model::field::span_id;
    case IdKind::prediction: return model::field::prediction_id;
  }
  return {};
}

std::optional<IdKind> id_kind_of(std::string_view field) {
  for (const IdKind kind : id_kinds)
    if (field_of(kind) == field) return kind;
  return std::nullopt;
}

std::string id_prefix(IdKind kind, std::string_view id) {
  const std::uint64_t hash = hash64(id);
  ByteWriter out;
  out.raw(kv::key_prefix(vshard_of(hash)));
  out.u8(static_cast<std::uint8_t>(kind));
  if (id.size() <= id_bytes_max) {
    out.sized(id);
    return out.take();
  }
  ByteWriter cut;
  cut.raw(id.substr(0, id_bytes_max - 8));
  cut.be64(hash);
  out.sized(cut.str());
  return out.take();
}

std::string id_key(IdKind kind, std::string_view id, const BlockKey& block) {
  ByteWriter out;
  out.raw(id_prefix(kind, id));
  out.be32(block.day);
  out.u8(static_cast<std::uint8_t>(block.kind));
  out.be64(block.stream);
  out.be_i64(block.min_time);
  out.be64(block.seal);
  out.be32(block.number);
  return out.take();
}

std::optional<BlockKey> block_of_id_key(std::string_view key) {
  if (key.size() < kv::key_prefix_bytes + 2 + id_suffix_bytes) return std::nullopt;
  ByteReader in(key.substr(key.size() - id_suffix_bytes));
  BlockKey out;
  out.day = in.be32();
  const auto kind = model::event_kind_of(in.u8());
  out.stream = in.be64();
  out.min_time = in.be_i64();
  out.seal = in.be64();
  out.number = in.be32();
  if (!kind) return std::nullopt;
  out.kind = *kind;
  return out;
}

std::string label_key(std::string_view model, std::string_view prediction_id) {
  ByteWriter names;
  names.sized(model);
  names.sized(prediction_id);
  return kv::key_prefix(vshard_of(hash64(names.str()))) + names.str();
}

std::string prefix_end(std::string prefix) {
  while (!prefix.empty() && static_cast<std::uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<std::uint8_t>(prefix.back()) + 1);
  return prefix;
}

}  // namespace plumbline::storage::events
