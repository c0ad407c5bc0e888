// Repair of a damaged data directory: storage/offline.hpp.
#include <algorithm>
#include <charconv>

#include "storage/events/salvage.hpp"
#include "storage/events/verify.hpp"
#include "storage/kv/files.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/kv/rescue.hpp"
#include "storage/store_backup.hpp"
#include "storage/store_keys.hpp"
#include "storage/store_offline.hpp"
#include "storage/store_salvager.hpp"

namespace plumbline::storage {

Result<SalvageReport> Salvager::run() {
  PLUMBLINE_TRY(const bool interrupted, tree_.exists(path(salvaging_mark)));
  if (interrupted) {
    PLUMBLINE_TRY(const Moves moves, read_moves(directory_, file_system_));
    out_.ended = kept_of(moves);
    PLUMBLINE_CHECK_OK(finish_moves(directory_, file_system_));
  }
  PLUMBLINE_CHECK_OK(tree_.remove(path(salvage_staging)));
  PLUMBLINE_TRY(VerifyReport before, verify_locked(directory_, file_system_, log_));
  if (before.problems.empty()) {
    out_.after = std::move(before);
    return std::move(out_);
  }
  out_.found = std::move(before.problems);
  PLUMBLINE_CHECK_OK(write_new_files());
  PLUMBLINE_CHECK_OK(plan());
  kv::kill_point("salvage.planned");
  PLUMBLINE_CHECK_OK(finish_moves(directory_, file_system_));
  PLUMBLINE_TRY(out_.after, verify_locked(directory_, file_system_, log_));
  return std::move(out_);
}

void Salvager::lose(std::vector<model::Problem> more) { std::ranges::move(more, std::back_inserter(out_.lost)); }

Status Salvager::put(kv::Family family, std::string_view key, std::string_view value) {
  changed_ = true;
  kv::Batch batch;
  batch.put(family, key, value);
  return kv_->write(std::move(batch), kv::Sync::no);
}

Status Salvager::remove(kv::Family family, std::string_view key) {
  changed_ = true;
  kv::Batch batch;
  batch.remove(family, key);
  return kv_->write(std::move(batch), kv::Sync::no);
}

Status Salvager::write_new_files() {
  PLUMBLINE_CHECK_OK(tree_.make(staging("database")));
  PLUMBLINE_TRY(auto rescued, kv::rescue(directory_, staging("database"), file_system_, log_, registry_));
  kv_ = std::move(rescued.kv);
  whole_ = rescued.whole;
  meta_whole_ = rescued.meta_whole;
  changed_ = !whole_;
  lose(std::move(rescued.lost));
  kv::kill_point("salvage.rescued");
  PLUMBLINE_CHECK_OK(format());
  PLUMBLINE_CHECK_OK(metadata());
  PLUMBLINE_CHECK_OK(series());
  PLUMBLINE_CHECK_OK(positions());
  PLUMBLINE_CHECK_OK(journal());
  PLUMBLINE_CHECK_OK(segments());
  PLUMBLINE_CHECK_OK(events());
  PLUMBLINE_CHECK_OK(numbers());
  kv::kill_point("salvage.written");
  return kv_->close();
}

Status Salvager::format() {
  PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, format_key()));
  int version = 0;
  const bool reads = stored && std::from_chars(stored->data(), stored->data() + stored->size(), version).ec == std::errc();
  if (reads && version != format_version)
    return fail(Code::unsupported, directory_ + " has format " + *stored + ", and this Plumbline salvages format " + std::to_string(format_version));
  if (!reads) PLUMBLINE_CHECK_OK(put(kv::Family::meta, format_key(), std::to_string(format_version)));
  return {};
}

Status Salvager::metadata() {
  std::vector<std::string> bad;
  const std::string prefix = metadata_prefix();
  PLUMBLINE_CHECK_OK(kv_->scan(kv::Family::meta, prefix, after_prefix(prefix), [&](std::string_view key, std::string_view value) {
    if (!decode_metadata(key.substr(prefix.size()), value)) bad.emplace_back(key);
    return true;
  }));
  for (const std::string& key : bad) {
    lose("family meta", "metadata of " + key.substr(prefix.size()), "it does not decode; the next scrape or write brings it again");
    PLUMBLINE_CHECK_OK(remove(kv::Family::meta, key));
  }
  return {};
}

// The database may be an older one than the journal and the segments: what is not in the journal any more was sealed.
Status Salvager::positions() {
  PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, positions_key()));
  if (stored) {
    if (const auto decoded = decode_positions(*stored)) positions_ = *decoded;
    else changed_ = true;
  }
  if (!whole_ && oldest_record_ > positions_.trimmed + 1) {
    lose("journal", "", "records " + std::to_string(positions_.trimmed + 1) + " to " + std::to_string(oldest_record_ - 1) +
                            " are not in it: they were sealed, or they are lost");
    positions_.trimmed = oldest_record_ - 1;
  }
  return {};
}

Status Salvager::events() {
  if (whole_) {
    PLUMBLINE_TRY(const auto found, storage::events::verify(*kv_));
    if (found.problems.empty()) return {};
  }
  changed_ = true;
  PLUMBLINE_TRY(auto salvaged, storage::events::salvage(*kv_));
  lose(std::move(salvaged.lost));
  positions_.sealed = std::max(positions_.sealed, salvaged.last_seal);
  return {};
}

// The store's own few values, where they are missing or behind what was found.
Status Salvager::numbers() {
  PLUMBLINE_TRY(const auto next, kv_->get(kv::Family::meta, series::next_id_key()));
  const auto next_id = next ? series::decode_next_id(*next) : Result<std::uint32_t>(fail(Code::corrupt, ""));
  if (next_id ? *next_id < index_.next_id() && !whole_ : next.has_value() || !whole_)
    PLUMBLINE_CHECK_OK(put(kv::Family::meta, series::next_id_key(), series::encode_next_id(index_.next_id())));
  PLUMBLINE_TRY(const auto bounds, kv_->get(kv::Family::meta, series::bounds_key()));
  const bool has_samples = bounds_.min <= bounds_.max;
  if (has_samples && (!bounds || !series::decode_bounds(*bounds) || !whole_)) {
    if (const auto had = bounds ? series::decode_bounds(*bounds) : Result<model::TimeRange>(bounds_)) {
      bounds_.min = std::min(bounds_.min, had->min);
      bounds_.max = std::max(bounds_.max, had->max);
    }
    PLUMBLINE_CHECK_OK(put(kv::Family::meta, series::bounds_key(), series::encode_bounds(bounds_)));
  }
  return changed_ ? put(kv::Family::meta, positions_key(), encode_positions(positions_)) : Status{};
}

Result<SalvageReport> salvage(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system, Log& log) {
  const kv::FileTree tree(file_system);
  PLUMBLINE_TRY(const bool interrupted, tree.exists(directory + "/" + std::string(salvaging_mark)));
  if (!interrupted) {
    PLUMBLINE_CHECK_OK(refuse_unusual_directory(tree, directory));
    PLUMBLINE_CHECK_OK(check_data_directory(directory, file_system));
  }
  PLUMBLINE_TRY(const auto lock, kv::DirectoryLock::hold(directory, file_system));
  return Salvager(directory, std::move(file_system), log).run();
}

}  // namespace plumbline::storage
