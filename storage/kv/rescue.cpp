#include "storage/kv/rescue.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/file_system.h>
#include <rocksdb/write_batch.h>

#include "daemon/base/text.hpp"
#include "storage/kv/close_mark.hpp"
#include "storage/kv/file_tree.hpp"
#include "storage/kv/files.hpp"
#include "storage/kv/log_judge.hpp"
#include "storage/kv/log_salvage.hpp"
#include "storage/kv/rocks_log.hpp"
#include "storage/kv/rocks_options.hpp"
#include "storage/kv/slices.hpp"
#include "storage/kv/table_file.hpp"
#include "storage/kv/table_judge.hpp"
#include "storage/kv/table_salvage.hpp"

namespace plumbline::storage::kv {

namespace {

constexpr std::size_t batch_bytes_max = 1u << 20;
constexpr std::string_view seed_key;  // the empty one, which nothing has

std::optional<Family> family_of(std::string_view name) {
  for (int i = 0; i < family_count; ++i)
    if (name == family_name(static_cast<Family>(i))) return static_cast<Family>(i);
  return std::nullopt;
}

// RocksDB numbers families as they are made, and ours are made in their order.
class LogRecord final : public rocksdb::WriteBatch::Handler {
 public:
  explicit LogRecord(Batch& out) : out_(out) {}
  rocksdb::Status PutCF(std::uint32_t family, const rocksdb::Slice& key, const rocksdb::Slice& value) override {
    if (family < family_count) out_.put(static_cast<Family>(family), view(key), view(value));
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(std::uint32_t family, const rocksdb::Slice& key) override {
    if (family < family_count) out_.remove(static_cast<Family>(family), view(key));
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteRangeCF(std::uint32_t family, const rocksdb::Slice& from, const rocksdb::Slice& to) override {
    if (family < family_count) out_.remove_range(static_cast<Family>(family), view(from), view(to));
    return rocksdb::Status::OK();
  }
  void LogData(const rocksdb::Slice&) override {}

 private:
  Batch& out_;
};

class Rescue {
 public:
  Rescue(const std::string& from, const std::string& to, std::shared_ptr<rocksdb::FileSystem> file_system, Log& log, Registry& registry)
      : from_(from), to_(to), file_system_(std::move(file_system)), tree_(file_system_), log_(log), registry_(registry) {}

  Result<Rescued> run() {
    PLUMBLINE_TRY(names_, database_files(from_, file_system_));
    PLUMBLINE_TRY(const auto changed, compare_close_mark(from_, file_system_, log_));
    PLUMBLINE_TRY(const auto tables, damaged_tables(from_, file_system_));
    PLUMBLINE_TRY(const auto logs, damaged_logs(from_, file_system_));
    for (const auto& [name, what] : tables)
      if (!name.starts_with("ingest-")) damaged_[name] = what;
    if (changed.empty() && tables.empty() && logs.empty()) {
      PLUMBLINE_TRY(const bool same, copy());
      if (same) return Rescued{std::move(kv_), true, true, {}};
    }
    const bool meta_whole = logs.empty() && meta_reads(changed);
    for (const auto& [name, what] : changed)
      if (!std::ranges::binary_search(names_, name)) lost_.push_back({name, "", what, ""});
    PLUMBLINE_CHECK_OK(link_tables());
    PLUMBLINE_CHECK_OK(open());
    PLUMBLINE_CHECK_OK(drop_seeds());
    for (const auto& [name, what] : damaged_) PLUMBLINE_CHECK_OK(table(name, what));
    PLUMBLINE_CHECK_OK(write_rest());
    const auto files = Files::read_only(from_, file_system_);
    for (const std::string& name : names_)
      if (name.ends_with(".log")) PLUMBLINE_CHECK_OK(log_file(*files, name));
    PLUMBLINE_CHECK_OK(write_rest());
    return Rescued{std::move(kv_), false, meta_whole, std::move(lost_)};
  }

 private:
  std::string from(const std::string& name) const { return from_ + "/" + name; }
  std::string to(const std::string& name) const { return to_ + "/" + name; }

  Status open() {
    PLUMBLINE_TRY(kv_, Kv::open({.path = to_, .file_system = file_system_}, log_, registry_));
    return {};
  }

  // A database that opens as it is lacks no table, and a block that is damaged elsewhere costs the family meta nothing.
  bool meta_reads(const std::vector<std::pair<std::string, std::string>>& changed) const {
    for (const auto& [name, what] : changed)
      if (name.ends_with(".log") || !std::ranges::binary_search(names_, name)) return false;
    Registry unseen;
    const auto as_it_is = Kv::open({.path = from_, .file_system = file_system_, .read_only = true}, log_, unseen);
    return as_it_is && (*as_it_is)->scan(Family::meta, "", "", [](std::string_view, std::string_view) { return true; });
  }

  // False: it is damaged in a way that shows only now. Then `to` is empty again.
  Result<bool> copy() {
    for (const std::string& name : names_) {
      if (name.starts_with("CLOSED") || name.starts_with("ingest-")) continue;
      PLUMBLINE_CHECK_OK(name.ends_with(".sst") ? tree_.link(from(name), to(name)) : tree_.copy(from(name), to(name)));
    }
    Status read = open();
    for (int i = 0; read && i < family_count; ++i)
      read = kv_->scan(static_cast<Family>(i), "", "", [](std::string_view, std::string_view) { return true; });
    if (read) return true;
    if (read.error().code != Code::corrupt && read.error().code != Code::io) return fail(read.error());
    kv_.reset();
    // That may cost nothing: each table and log that does is named by itself.
    lost_.push_back({"the database's list of its files", "", "it does not read; it is made anew of the tables and logs", ""});
    log_.warn("the copy of the database does not read", {{"error", read.error().message}});
    PLUMBLINE_CHECK_OK(tree_.remove(to_));
    PLUMBLINE_CHECK_OK(tree_.make(to_));
    return false;
  }

  // A manifest is made of the tables by RocksDB, which reads all of them. It is not given the logs: of those it would drop the
  // records of families that have no table yet.
  Status link_tables() {
    bool any = false;
    for (const std::string& name : names_) {
      if (!name.ends_with(".sst") || name.starts_with("ingest-") || damaged_.contains(name)) continue;
      PLUMBLINE_CHECK_OK(tree_.link(from(name), to(name)));
      any = true;
    }
    if (!any) return {};
    PLUMBLINE_CHECK_OK(link_seeds());
    const auto env = rocksdb::NewCompositeEnv(with_judged_tables(file_system_));
    const auto descriptors = family_descriptors(rocksdb::NewLRUCache(8 << 20));
    const rocksdb::Status repaired = rocksdb::RepairDB(to_, db_options(env.get(), std::make_shared<RocksLog>(log_)), descriptors,
                                                       descriptors.front().options);
    if (repaired.IsNoSpace()) return fail(Code::unavailable, to_ + ": the disk is full: " + repaired.ToString());
    if (!repaired.ok()) return fail(Code::io, to_ + ": no manifest could be made of the tables: " + repaired.ToString());
    return {};
  }

  // The manifest that RocksDB makes has the families of the tables alone, and a family that is made later has another number than its
  // logs expect: so every family has a table, which a new database wrote.
  Status link_seeds() {
    const std::string seeds = to("seeds");
    PLUMBLINE_TRY(auto fresh, Kv::open({.path = seeds, .file_system = file_system_}, log_, registry_));
    Batch batch;
    for (int i = 0; i < family_count; ++i) batch.put(static_cast<Family>(i), seed_key, "");
    PLUMBLINE_CHECK_OK(fresh->write(std::move(batch), Sync::no));
    PLUMBLINE_CHECK_OK(fresh->close());
    fresh.reset();
    unsigned long number = 0;
    for (const std::string& name : names_)
      if (name.ends_with(".sst")) number = std::max(number, std::strtoul(name.c_str(), nullptr, 10));
    PLUMBLINE_TRY(const auto names, tree_.list(seeds));
    for (const std::string& name : names) {
      if (!name.ends_with(".sst")) continue;
      char table[32];
      std::snprintf(table, sizeof table, "%06lu.sst", ++number);
      PLUMBLINE_CHECK_OK(tree_.link(seeds + "/" + name, to(table)));
    }
    return tree_.remove(seeds);
  }

  Status drop_seeds() {
    for (int i = 0; i < family_count; ++i) batch_.remove(static_cast<Family>(i), seed_key);
    return write_rest();
  }

  Status table(const std::string& name, const std::string& what) {
    std::uint64_t differing = 0;
    std::string first;
    const auto rest = salvage_table(from(name), file_system_, [&](std::string_view family, std::string_view key, std::string_view value) -> Status {
      const auto ours = family_of(family);
      if (!ours) return {};
      PLUMBLINE_TRY(const auto there, kv_->get(*ours, key));
      if (there) {
        if (*there != value && ++differing == 1) first = "the first is " + hex(key) + " of family " + std::string(family_name(*ours));
        return {};
      }
      batch_.put(*ours, key, value);
      return batch_.bytes() < batch_bytes_max ? Status{} : write_rest();
    });
    if (!rest && rest.error().code != Code::corrupt && rest.error().code != Code::io) return fail(rest.error());
    if (rest && rest->family.empty()) {
      lost_.push_back({name, "", "nothing of it is taken: it does not say of which family it is", ""});
      return {};
    }
    if (!rest) {
      lost_.push_back({name, "", "nothing of it reads: " + rest.error().message, ""});
      return {};
    }
    if (rest->read < rest->entries)
      lost_.push_back({name, "family " + (rest->family == "default" ? "meta" : rest->family),
                       std::to_string(rest->entries - rest->read) + " of " + std::to_string(rest->entries) + " entries do not read: " + what, ""});
    if (differing > 0)
      lost_.push_back({name, "", "it has other values than sound tables of " + std::to_string(differing) +
                                     " keys, and theirs stay, which may be the older ones; " + first, ""});
    return {};
  }

  Status log_file(const Files& files, const std::string& name) {
    PLUMBLINE_TRY(const std::string bytes, files.read(name));
    PLUMBLINE_TRY(const auto gaps, salvage_log(bytes, [&](std::string_view record) -> Status {
      LogRecord handler(batch_);
      const rocksdb::WriteBatch batch{std::string(record)};
      if (const rocksdb::Status status = batch.Iterate(&handler); !status.ok())
        lost_.push_back({name, "", "a record does not decode: " + status.ToString(), ""});
      return batch_.bytes() < batch_bytes_max ? Status{} : write_rest();
    }));
    for (const LogGap& gap : gaps)
      lost_.push_back({name, "offset " + std::to_string(gap.offset),
                       std::to_string(gap.bytes) + (gap.at_end ? " bytes at the end do not read" : " bytes do not read, others follow them"), ""});
    return {};
  }

  Status write_rest() {
    Batch out = std::move(batch_);
    batch_ = Batch();
    return kv_->write(std::move(out), Sync::no);
  }

  const std::string from_;
  const std::string to_;
  const std::shared_ptr<rocksdb::FileSystem> file_system_;
  const FileTree tree_;
  Log& log_;
  Registry& registry_;
  std::vector<std::string> names_;
  std::map<std::string, std::string> damaged_;  // tables, and what is wrong
  std::unique_ptr<Kv> kv_;
  Batch batch_;
  std::vector<model::Problem> lost_;
};

}  // namespace

Result<std::vector<std::string>> database_files(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system) {
  PLUMBLINE_TRY(auto names, FileTree(file_system).list(directory));
  std::erase_if(names, [](const std::string& n) {
    return n != "CURRENT" && n != "IDENTITY" && !n.starts_with("CLOSED") && !n.starts_with("MANIFEST-") && !n.starts_with("OPTIONS-") &&
           !n.ends_with(".sst") && !n.ends_with(".log") && !n.ends_with(".dbtmp");
  });
  return names;
}

Result<Rescued> rescue(const std::string& from, const std::string& to, const std::shared_ptr<rocksdb::FileSystem>& file_system, Log& log,
                       Registry& registry) {
  return Rescue(from, to, file_system, log, registry).run();
}

}  // namespace plumbline::storage::kv
