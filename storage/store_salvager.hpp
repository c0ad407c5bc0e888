// One salvage under way. Internal to the store_salvage*.cpp files, each of which has a part of it.
//
//   run():  finish_moves of an interrupted one -> verify -> new files below salvage-new -> SALVAGING names the moves -> finish_moves -> verify
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <roaring/roaring.hh>

#include "storage/kv/file_tree.hpp"
#include "storage/kv/kv.hpp"
#include "storage/kv/table_file.hpp"
#include "storage/offline.hpp"
#include "storage/series/label_index.hpp"
#include "storage/series/segment.hpp"
#include "storage/series/series_keys.hpp"
#include "storage/series/tier_file.hpp"
#include "storage/store_record.hpp"
#include "storage/store_salvage.hpp"
#include "storage/store_values.hpp"

namespace plumbline::storage {

class Salvager {
 public:
  Salvager(std::string directory, std::shared_ptr<rocksdb::FileSystem> file_system, Log& log)
      : directory_(std::move(directory)), file_system_(std::move(file_system)), tree_(file_system_), log_(log) {}

  Result<SalvageReport> run();

 private:
  // store_salvage.cpp: the order of all, and the store's own few values
  std::string path(std::string_view below) const { return directory_ + "/" + std::string(below); }
  std::string staging(std::string_view below = "") const { return path(salvage_staging) + (below.empty() ? "" : "/") + std::string(below); }
  void lose(std::string file, std::string place, std::string what) { out_.lost.push_back({std::move(file), std::move(place), std::move(what), ""}); }
  void lose(std::vector<model::Problem> more);
  void take(std::string file, std::string what) { out_.taken.push_back({std::move(file), "", std::move(what), ""}); }
  Status put(kv::Family family, std::string_view key, std::string_view value);
  Status remove(kv::Family family, std::string_view key);
  Status write_new_files();
  Status format();
  Status metadata();
  Status positions();
  Status events();
  Status numbers();

  // store_salvage_series.cpp: who has which labels, and the journal, which says it too.
  Status series();
  bool wins_its_labels(series::SeriesId id, const model::Labels& labels);
  Roaring ids_in_segments() const;
  Status series_of_journal();
  Status journal();
  Status check(std::string_view bytes);
  bool filter(std::uint64_t sequence, Record& record);

  // store_salvage_segments.cpp
  Status segments();
  Status refuse_absent_segments();
  Status segment(const kv::TableFiles& old, const kv::TableFiles& fresh, const std::string& name, bool known);
  void saw(const series::SegmentInfo& info);
  Result<std::string> unused_segment_name(std::uint32_t day, std::uint64_t seal, std::uint32_t& generation);
  std::string use(std::string name);
  static Status readable(const std::string& file, const Error& error);

  // store_salvage_tiers.cpp
  using DayTiers = std::set<std::pair<std::uint32_t, std::int64_t>>;  // days and resolutions
  Status tiers(const kv::TableFiles& old, const kv::TableFiles& fresh);
  Status tier(const kv::TableFiles& old, const kv::TableFiles& fresh, const std::string& name, DayTiers& stands);
  Result<std::string> rewrite_tier(const series::TierFile& tier, const kv::TableFiles& fresh);
  Result<std::string> unused_tier_name(std::uint32_t day, std::int64_t resolution);

  // store_salvage_moves.cpp
  Status plan();
  Result<Moves> moves();

  const std::string directory_;
  const std::shared_ptr<rocksdb::FileSystem> file_system_;
  const kv::FileTree tree_;
  Log& log_;
  Registry registry_;
  SalvageReport out_;
  std::unique_ptr<kv::Kv> kv_;  // the new database
  bool whole_ = false;          // the old one is sound
  bool meta_whole_ = false;     // the lists in it are
  bool changed_ = false;        // the new one is another
  series::LabelIndex index_;
  std::optional<Roaring> used_;       // ids that segments have samples of; read when it is asked for
  Roaring losers_;                    // series whose labels another one has
  std::vector<std::string> outdone_;  // keys of such
  Positions positions_;
  std::uint64_t oldest_record_ = 0;
  model::TimeRange bounds_{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()};
  std::vector<std::string> names_;    // in segments/, sorted, with those that are made here
  std::set<std::string> whole_days_;  // yyyymmdd: days of which a segment has all its samples
  std::set<std::string> cut_days_;    // of which a segment lost some
  std::vector<std::string> moved_;    // to be
};

}  // namespace plumbline::storage
