#include "storage/events/verify.hpp"

#include <algorithm>

#include "daemon/base/text.hpp"
#include "storage/events/block.hpp"
#include "storage/events/directory.hpp"
#include "storage/events/keys.hpp"
#include "storage/events/late_label.hpp"

namespace plumbline::storage::events {

Status check_block(const BlockKey& key, std::string_view bytes, std::uint64_t& rows) {
  PLUMBLINE_TRY(const BlockView view, BlockView::open(bytes));
  PLUMBLINE_TRY(const auto times, view.times());
  std::vector<model::Value> values;
  for (const BlockColumn& column : view.columns()) {
    values.clear();
    PLUMBLINE_CHECK_OK(view.decode(column, 0, view.rows(), values));
  }
  if (view.kind() != key.kind || view.stream().fingerprint() != key.stream) return fail(Code::corrupt, "its stream is not that of its key");
  if (times.empty() || times.front() != key.min_time || times.front() != view.min_time() || times.back() != view.max_time() ||
      !std::ranges::is_sorted(times))
    return fail(Code::corrupt, "its times are not those of its key and header");
  rows += view.rows();
  return {};
}

Result<Findings> verify(const kv::Kv& kv) {
  Findings out;
  const auto tell = [&](std::string_view key, std::string what) {
    out.problems.push_back({"family events", "key " + hex(key), std::move(what), "its rows are lost unless a backup has them"});
  };
  std::uint64_t unlisted = 0;
  Status failed;
  PLUMBLINE_CHECK_OK(kv.scan(kv::Family::events, "", "", [&](std::string_view key, std::string_view value) {
    if (const auto block = BlockKey::decode(key)) {
      ++out.blocks;
      if (const Status good = check_block(*block, value, out.rows); !good) tell(key, good.error().message);
      const auto directory = kv.get(kv::Family::events, DirectoryKey{block->kind, block->day, block->stream, block->seal}.encode());
      if (!directory) failed = fail(directory.error());
      else if (!*directory) ++unlisted;
      return failed.has_value();
    }
    const auto directory = DirectoryKey::decode(key);
    if (!directory) {
      tell(key, "the key is neither a block's nor a directory's");
      return true;
    }
    const auto entries = decode_directory(value);
    if (!entries) {
      tell(key, entries.error().message);
      return true;
    }
    for (const DirectoryEntry& entry : *entries) {
      if (const auto labels = model::Labels::decode(entry.stream); !labels) tell(key, labels.error().message);
      for (const SealedBlock& b : entry.blocks) {
        const BlockKey wanted{directory->kind, directory->day, directory->stream, b.min_time, directory->seal, b.number};
        const auto block = kv.get(kv::Family::events, wanted.encode());
        if (!block) failed = fail(block.error());
        else if (!*block) tell(key, "it names block " + std::to_string(b.number) + ", which is missing");
        else if (const auto view = BlockView::open(**block); view && (view->rows() != b.rows || view->max_time() != b.max_time))
          tell(key, "block " + std::to_string(b.number) + " has other rows than it says");
        if (!failed) return false;
      }
    }
    return true;
  }));
  PLUMBLINE_CHECK_OK(failed);
  if (unlisted > 0)
    out.notes.push_back(std::to_string(unlisted) + " event blocks are in no directory: retention was interrupted and drops them");
  PLUMBLINE_CHECK_OK(kv.scan(kv::Family::event_ids, "", "", [&](std::string_view key, std::string_view) {
    if (!block_of_id_key(key)) out.problems.push_back({"family event_ids", "key " + hex(key), "the key does not decode", ""});
    return true;
  }));
  PLUMBLINE_CHECK_OK(kv.scan(kv::Family::labels, "", "", [&](std::string_view key, std::string_view value) {
    ++out.labels;
    if (const auto label = decode_label(value); !label)
      out.problems.push_back({"family labels", "key " + hex(key), label.error().message, "send the late label again"});
    return true;
  }));
  return out;
}

}  // namespace plumbline::storage::events
