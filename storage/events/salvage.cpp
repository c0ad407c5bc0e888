#include "storage/events/salvage.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "daemon/base/text.hpp"
#include "storage/events/block.hpp"
#include "storage/events/directory.hpp"
#include "storage/events/keys.hpp"
#include "storage/events/late_label.hpp"
#include "storage/events/sealer.hpp"
#include "storage/events/verify.hpp"

namespace plumbline::storage::events {

namespace {

constexpr std::size_t batch_bytes_max = 1u << 20;

class Salvage {
 public:
  explicit Salvage(kv::Kv& kv) : kv_(kv) {}

  Result<Salvaged> run() {
    PLUMBLINE_CHECK_OK(blocks());
    PLUMBLINE_CHECK_OK(directories());
    PLUMBLINE_CHECK_OK(drop_where(kv::Family::event_ids, [&](std::string_view key, std::string_view) {
      const auto block = block_of_id_key(key);
      return !block || !sound_.contains(block->encode());
    }));
    PLUMBLINE_CHECK_OK(drop_where(kv::Family::labels, [&](std::string_view key, std::string_view value) {
      const auto label = decode_label(value);
      if (!label) out_.lost.push_back({"family labels", "key " + hex(key), label.error().message, "send the late label again"});
      return !label;
    }));
    PLUMBLINE_CHECK_OK(write_rest());
    return std::move(out_);
  }

 private:
  // Writes are seen by no scan that has begun, so a family may be changed under it.
  Status flushed() { return batch_.bytes() < batch_bytes_max ? Status{} : write_rest(); }
  Status write_rest() {
    kv::Batch out = std::move(batch_);
    batch_ = kv::Batch();
    return kv_.write(std::move(out), kv::Sync::no);
  }

  Status drop_where(kv::Family family, const std::function<bool(std::string_view, std::string_view)>& drop) {
    Status written;
    PLUMBLINE_CHECK_OK(kv_.scan(family, "", "", [&](std::string_view key, std::string_view value) {
      if (drop(key, value)) batch_.remove(family, key);
      written = flushed();
      return written.has_value();
    }));
    return written;
  }

  Status blocks() {
    return drop_where(kv::Family::events, [&](std::string_view key, std::string_view value) {
      if (DirectoryKey::decode(key)) return false;  // below
      const auto block = BlockKey::decode(key);
      std::uint64_t rows = 0;
      const Status good = block ? check_block(*block, value, rows) : Status(fail(Code::corrupt, "the key is neither a block's nor a directory's"));
      if (!good) {
        out_.lost.push_back({"family events", "key " + hex(key), good.error().message + ": its rows are lost", ""});
        return true;
      }
      keep(*block, value);
      return false;
    });
  }

  void keep(const BlockKey& key, std::string_view bytes) {
    const BlockView view = *BlockView::open(bytes);  // check_block() has opened it
    sound_.insert(key.encode());
    out_.last_seal = std::max(out_.last_seal, key.seal);
    auto& blocks = wanted_[DirectoryKey{key.kind, key.day, key.stream, key.seal}.encode()][view.stream().encode()];
    blocks.push_back({key.number, key.min_time, view.max_time(), view.rows()});
    for (const BlockColumn& column : view.columns()) {
      if (!id_kind_of(column.name)) continue;
      std::vector<model::Value> values;
      if (view.decode(column, 0, view.rows(), values)) put_ids(key, column.name, values, batch_);
    }
  }

  // Every one is compared with its blocks; those that are missing are made.
  Status directories() {
    std::map<std::string, std::string> right;
    for (auto& [key, streams] : wanted_) {
      std::vector<DirectoryEntry> entries;
      for (auto& [stream, blocks] : streams) {
        std::ranges::sort(blocks, {}, &SealedBlock::number);
        entries.push_back({stream, blocks});
      }
      right[key] = encode_directory(entries);
    }
    PLUMBLINE_CHECK_OK(drop_where(kv::Family::events, [&](std::string_view key, std::string_view value) {
      if (!DirectoryKey::decode(key)) return false;
      const auto made = right.find(std::string(key));
      const std::uint64_t had = rows_of(value);
      const std::uint64_t has = made == right.end() ? 0 : rows_of(made->second);
      if (had > has) out_.lost.push_back({"family events", "key " + hex(key), std::to_string(had - has) + " rows of " + std::to_string(had) + " are lost", ""});
      return made == right.end();
    }));
    for (const auto& [key, value] : right) {
      batch_.put(kv::Family::events, key, value);
      PLUMBLINE_CHECK_OK(flushed());
    }
    return {};
  }

  static std::uint64_t rows_of(std::string_view directory) {
    std::uint64_t rows = 0;
    if (const auto entries = decode_directory(directory))
      for (const DirectoryEntry& entry : *entries)
        for (const SealedBlock& block : entry.blocks) rows += block.rows;
    return rows;
  }

  kv::Kv& kv_;
  kv::Batch batch_;
  Salvaged out_;
  std::set<std::string> sound_;                                                     // keys of blocks
  std::map<std::string, std::map<std::string, std::vector<SealedBlock>>> wanted_;  // by directory key, by stream
};

}  // namespace

Result<Salvaged> salvage(kv::Kv& kv) { return Salvage(kv).run(); }

}  // namespace plumbline::storage::events
