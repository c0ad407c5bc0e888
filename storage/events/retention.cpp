#include "storage/events/retention.hpp"

#include <string>
#include <vector>

#include "storage/events/block.hpp"
#include "storage/events/late_label.hpp"
#include "storage/kv/kill_point.hpp"

namespace plumbline::storage::events {
namespace {

// Removals are written in pieces of this many keys: a day may have a hundred million ids.
constexpr std::size_t piece = 10'000;

class Remover {
 public:
  Remover(kv::Kv& kv, kv::Family family) : kv_(kv), family_(family) {}
  Status remove(std::string_view key) {
    batch_.remove(family_, key);
    return ++pending_ < piece ? Status{} : flush();
  }
  Status flush() {
    if (pending_ == 0) return {};
    pending_ = 0;
    return kv_.write(std::exchange(batch_, kv::Batch()), kv::Sync::no);
  }

 private:
  kv::Kv& kv_;
  const kv::Family family_;
  kv::Batch batch_;
  std::size_t pending_ = 0;
};

// Removes every key of a family that `expired` says, a piece at a time. Returns how many.
template <class Expired>
Result<std::uint64_t> sweep(kv::Kv& kv, kv::Family family, const Expired& expired) {
  std::uint64_t removed = 0;
  std::string from;
  for (;;) {
    std::vector<std::string> keys;
    PLUMBLINE_CHECK_OK(kv.scan(family, from, {}, [&](std::string_view key, std::string_view value) {
      if (expired(key, value)) keys.emplace_back(key);
      return keys.size() < piece;
    }));
    if (keys.empty()) return removed;
    kv::Batch batch;
    for (const std::string& key : keys) batch.remove(family, key);
    PLUMBLINE_CHECK_OK(kv.write(std::move(batch), kv::Sync::no));
    removed += keys.size();
    if (keys.size() < piece) return removed;
    from = keys.back();
  }
}

// The id keys of one block; false when the block is damaged and they cannot be known.
bool ids_of(std::string_view key_bytes, std::string_view bytes, std::vector<std::string>& out) {
  const auto key = BlockKey::decode(key_bytes);
  const auto view = BlockView::open(bytes);
  if (!key || !view) return false;
  for (const IdKind kind : id_kinds) {
    const BlockColumn* column = view->find(field_of(kind));
    if (column == nullptr) continue;
    std::vector<model::Value> values;
    if (!view->decode(*column, 0, view->rows(), values)) return false;
    for (const model::Value& v : values)
      if (const auto* id = std::get_if<std::string>(&v); id != nullptr && !id->empty())
        out.push_back(id_key(kind, *id, *key));
  }
  return true;
}

}  // namespace

Result<DropCounts> drop_days_before(kv::Kv& kv, Day keep_from) {
  DropCounts counts;
  if (keep_from == 0) return counts;
  bool damaged = false;
  for (std::uint32_t v = 0; v < kv::vshards; ++v) {
    const auto vshard = static_cast<std::uint16_t>(v);
    for (const EventKind kind : model::event_kinds) {
      const std::string from = block_day_key(vshard, kind, 0);
      const std::string to = block_day_key(vshard, kind, keep_from);
      // One block at a time: the visitor must not hold more than one block's ids, and the next seek is cheap.
      Remover ids(kv, kv::Family::event_ids);
      std::string next = from;
      bool any = false;
      for (bool found = true; found;) {
        found = false;
        std::vector<std::string> keys;
        PLUMBLINE_CHECK_OK(kv.scan(kv::Family::events, next, to, [&](std::string_view key, std::string_view value) {
          found = any = true;
          ++counts.blocks;
          if (!ids_of(key, value, keys)) damaged = true;
          next = std::string(key) + '\0';
          return keys.size() < piece;
        }));
        for (const std::string& key : keys) PLUMBLINE_CHECK_OK(ids.remove(key));
        counts.ids += keys.size();
      }
      PLUMBLINE_CHECK_OK(ids.flush());
      if (any) kv::kill_point("retain.events.ids");
      // Directories first: a scan that still sees a block must not miss its directory, the other way round is expected.
      bool listed = false;
      const std::string directory_from = directory_day_key(vshard, kind, 0);
      const std::string directory_to = directory_day_key(vshard, kind, keep_from);
      PLUMBLINE_CHECK_OK(kv.scan(kv::Family::events, directory_from, directory_to, [&](std::string_view, std::string_view) {
        listed = true;
        return false;
      }));
      if (listed) PLUMBLINE_CHECK_OK(kv.drop_range(kv::Family::events, directory_from, directory_to));
      if (listed) kv::kill_point("retain.events.listed");
      if (any) PLUMBLINE_CHECK_OK(kv.drop_range(kv::Family::events, from, to));
      if (any) kv::kill_point("retain.events.dropped");
    }
  }
  // The ids of a damaged block are found only by looking at all of them.
  if (damaged) {
    PLUMBLINE_TRY(const std::uint64_t swept, sweep(kv, kv::Family::event_ids, [&](std::string_view key, std::string_view) {
      const auto block = block_of_id_key(key);
      return block && block->day < keep_from;
    }));
    counts.ids += swept;
  }
  PLUMBLINE_TRY(counts.labels, sweep(kv, kv::Family::labels, [&](std::string_view, std::string_view value) {
    const auto label = decode_label(value);
    return label && day_of(label->time_ns) < keep_from;
  }));
  return counts;
}

}  // namespace plumbline::storage::events
