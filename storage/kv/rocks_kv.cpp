#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <limits>

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/file_system.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/statistics.h>
#include <rocksdb/transaction_log.h>
#include <rocksdb/write_batch.h>

#include "daemon/base/check.hpp"
#include "daemon/base/mutex.hpp"
#include "daemon/base/text.hpp"
#include "storage/kv/batch_impl.hpp"
#include "storage/kv/close_mark.hpp"
#include "storage/kv/file_tree.hpp"
#include "storage/kv/files.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/kv/log_judge.hpp"
#include "storage/kv/rocks_log.hpp"
#include "storage/kv/rocks_options.hpp"
#include "storage/kv/slices.hpp"
#include "storage/kv/space_probe.hpp"
#include "storage/kv/table_file.hpp"
#include "storage/kv/table_judge.hpp"

namespace plumbline::storage::kv {

namespace {

const std::string nothing_dropped = "; nothing was dropped: restore the file from a backup or move the directory away";

Error read_error(const rocksdb::Status& status, std::string_view what) {
  const Code code = status.IsCorruption() ? Code::corrupt : Code::io;
  return {code, std::string(what) + ": " + status.ToString()};
}

// A write that fails is our trouble and may pass: the sender keeps the batch and tries again.
Error write_error(const rocksdb::Status& status) {
  if (status.IsCorruption()) return {Code::corrupt, "write refused: " + status.ToString()};
  if (status.IsNoSpace()) return {Code::unavailable, "the data disk is full: " + status.ToString()};
  return {Code::unavailable, "the data disk refuses writes: " + status.ToString()};
}

class RocksCursor final : public Cursor {
 public:
  explicit RocksCursor(std::unique_ptr<rocksdb::Iterator> iterator) : iterator_(std::move(iterator)) {}
  void seek(std::string_view key) override { iterator_->Seek(slice(key)); }
  void next() override { iterator_->Next(); }
  bool valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return view(iterator_->key()); }
  std::string_view value() const override { return view(iterator_->value()); }
  Status status() const override {
    const rocksdb::Status status = iterator_->status();
    if (!status.ok()) return fail(read_error(status, "scan"));
    return {};
  }

 private:
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

}  // namespace

class RocksKv final : public Kv {
 public:
  RocksKv(std::chrono::milliseconds pause, Log& log, Registry& registry)
      : log_(log),
        write_failures_(registry.counter("plumbline_store_write_failures_total",
                                         "Batches the journal refused because the disk is full or broken.")),
        pause_(pause) {}
  ~RocksKv() override {
    if (auto status = close(); !status) log_.error("closing the store failed", {{"error", status.error().message}});
  }

  Status open(const Options& options) {
    auto file_system = std::make_shared<SpaceProbe>(
        options.file_system ? options.file_system : rocksdb::FileSystem::Default(), options.path);
    disk_ = file_system;
    path_ = options.path;
    env_ = rocksdb::NewCompositeEnv(with_judged_tables(file_system));
    info_log_ = std::make_shared<RocksLog>(log_);
    read_only_ = options.read_only;
    if (!read_only_) {
      PLUMBLINE_CHECK_OK(FileTree(file_system).make(options.path));
      remove_unfinished(*file_system);
      PLUMBLINE_CHECK_OK(check_close_mark(options.path, file_system, log_));
      PLUMBLINE_CHECK_OK(check_logs(options.path, file_system, log_));
    }
    const auto descriptors = family_descriptors(rocksdb::NewLRUCache(options.block_cache_bytes));
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    rocksdb::DBOptions how = db_options(env_.get(), info_log_);
    statistics_ = rocksdb::CreateDBStatistics();
    statistics_->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
    how.statistics = statistics_;
    PLUMBLINE_CHECK_OK(check_families(how, descriptors));
    const rocksdb::Status status = read_only_ ? rocksdb::DB::OpenForReadOnly(how, options.path, descriptors, &handles, &db)
                                              : rocksdb::DB::Open(how, options.path, descriptors, &handles, &db);
    if (!status.ok()) return fail(open_error(status, options.path));
    db_.reset(db);
    for (int i = 0; i < family_count; ++i) handles_[static_cast<std::size_t>(i)] = handles[static_cast<std::size_t>(i)];
    if (!read_only_) kill_point("kv.opened");
    return {};
  }

  Status write(Batch batch, Sync sync) override {
    if (batch.empty()) return {};
    PLUMBLINE_CHECK_OK(open_still());
    PLUMBLINE_CHECK_OK(not_paused());
    PLUMBLINE_CHECK_OK(keep_something_to_flush());
    rocksdb::WriteBatch out(batch.bytes() + 64);
    ByteReader ops(batch.impl_->ops.str());
    while (!ops.done()) {
      const auto op = static_cast<BatchOp>(ops.u8());
      auto* family = handle(static_cast<Family>(ops.u8()));
      const auto key = slice(ops.sized());
      const auto value = slice(ops.sized());
      rocksdb::Status status;
      if (op == BatchOp::put) status = out.Put(family, key, value);
      if (op == BatchOp::remove) status = out.Delete(family, key);
      if (op == BatchOp::remove_range) status = out.DeleteRange(family, key, value);
      PLUMBLINE_CHECK(status.ok(), "a batch can be built in memory");
    }
    rocksdb::WriteOptions how;
    how.sync = sync == Sync::yes;
    kill_point("kv.write.before");
    const rocksdb::Status status = db_->Write(how, &out);
    kill_point("kv.write.after");
    return written(status);
  }

  Status sync_journal() override {
    PLUMBLINE_CHECK_OK(open_still());
    return written(db_->SyncWAL());
  }

  Result<std::optional<std::string>> get(Family family, std::string_view key) const override {
    PLUMBLINE_CHECK_OK(open_still());
    std::string value;
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), handle(family), slice(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return fail(read_error(status, std::string("get from ") + family_name(family)));
    return value;
  }

  Status scan(Family family, std::string_view from, std::string_view to, const Visitor& visit,
              bool reverse) const override {
    PLUMBLINE_CHECK_OK(open_still());
    rocksdb::ReadOptions how;
    const rocksdb::Slice lower = slice(from);
    const rocksdb::Slice upper = slice(to);
    how.iterate_lower_bound = &lower;
    if (!to.empty()) how.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(how, handle(family)));
    if (reverse)
      it->SeekToLast();
    else
      it->SeekToFirst();
    while (it->Valid()) {
      if (!visit(view(it->key()), view(it->value()))) break;
      if (reverse)
        it->Prev();
      else
        it->Next();
    }
    if (!it->status().ok())
      return fail(read_error(it->status(), std::string("scan of ") + family_name(family)));
    return {};
  }

  std::unique_ptr<Cursor> cursor(Family family) const override {
    PLUMBLINE_CHECK(open_still(), "no cursor is opened on a closed store");
    return std::make_unique<RocksCursor>(
        std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(rocksdb::ReadOptions(), handle(family))));
  }

  Status drop_range(Family family, std::string_view from, std::string_view to) override {
    PLUMBLINE_CHECK_OK(open_still());
    const rocksdb::Slice begin = slice(from);
    const rocksdb::Slice end = slice(to);
    PLUMBLINE_CHECK_OK(written(rocksdb::DeleteFilesInRange(db_.get(), handle(family), &begin, &end, false)));
    PLUMBLINE_CHECK_OK(keep_something_to_flush());
    return written(db_->DeleteRange(rocksdb::WriteOptions(), handle(family), begin, end));
  }

  Status ingest(Family family, const std::function<Status(const Put&)>& fill) override {
    PLUMBLINE_CHECK_OK(open_still());
    PLUMBLINE_CHECK_OK(not_paused());
    const std::string path = path_ + "/ingest-" + family_name(family) + "-" + std::to_string(++ingests_) + ".sst";
    rocksdb::Options options(db_->GetDBOptions(), db_->GetOptions(handle(family)));
    options.env = env_.get();
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options, handle(family));
    PLUMBLINE_CHECK_OK(written(writer.Open(path)));
    kill_point("kv.ingest.begun");
    bool any = false;
    Status status = fill([&](std::string_view key, std::string_view value) -> Status {
      any = true;
      return written(writer.Put(slice(key), slice(value)));
    });
    if (status && any) status = written(writer.Finish());
    if (status && any) {
      kill_point("kv.ingest.written");
      rocksdb::IngestExternalFileOptions how;
      how.move_files = true;
      status = written(db_->IngestExternalFile(handle(family), {path}, how));
      kill_point("kv.ingest.joined");
    }
    const rocksdb::IOStatus removed = disk_->DeleteFile(path, {}, nullptr);  // a move is a link: the name here stays
    if (!removed.ok() && !removed.IsNotFound() && !removed.IsPathNotFound())
      log_.warn("a temporary file stays", {{"file", path}, {"error", removed.ToString()}});
    return status;
  }

  Status flush() override {
    PLUMBLINE_CHECK_OK(open_still());
    return written(db_->Flush(rocksdb::FlushOptions(), {handles_.begin(), handles_.end()}));
  }

  std::uint64_t disk_bytes() const override {
    if (!open_still()) return 0;
    std::uint64_t total = 0;
    for (auto* family : handles_) {
      std::uint64_t bytes = 0;
      if (db_->GetIntProperty(family, rocksdb::DB::Properties::kTotalSstFilesSize, &bytes)) total += bytes;
    }
    rocksdb::VectorLogPtr logs;
    if (db_->GetSortedWalFiles(logs).ok())
      for (const auto& log : logs) total += log->SizeFileBytes();
    return total;
  }

  Written written_bytes() const override {
    const auto ticker = [this](rocksdb::Tickers which) { return statistics_->getTickerCount(which); };
    return {ticker(rocksdb::WAL_FILE_BYTES), ticker(rocksdb::FLUSH_WRITE_BYTES), ticker(rocksdb::COMPACT_WRITE_BYTES)};
  }

  Status checkpoint(const std::string& directory) override {
    PLUMBLINE_CHECK_OK(open_still());
    if (const rocksdb::Status held = db_->DisableFileDeletions(); !held.ok()) return fail(Code::unavailable, path_ + ": " + held.ToString());
    Status filled = fill_checkpoint(directory);
    const rocksdb::Status released = db_->EnableFileDeletions(false);
    if (!released.ok()) log_.warn("files of the database stay until the next start", {{"error", released.ToString()}});
    return filled;
  }

  // The caller sees to it that no other call is running.
  Status close() override {
    if (!db_ || closed_.exchange(true)) return {};
    // What is in tables needs no log at the next start; and the mark below can name all there is.
    rocksdb::Status flushed;
    if (!read_only_) flushed = db_->Flush(rocksdb::FlushOptions(), {handles_.begin(), handles_.end()});
    if (!flushed.ok()) log_.warn("the database was closed with its log", {{"error", flushed.ToString()}});
    rocksdb::CancelAllBackgroundWork(db_.get(), true);
    for (auto*& family : handles_) {
      const rocksdb::Status status = db_->DestroyColumnFamilyHandle(family);
      if (!status.ok()) log_.warn("a column family did not close", {{"error", status.ToString()}});
      family = nullptr;
    }
    const rocksdb::Status status = db_->Close();
    db_.reset();
    if (!status.ok()) return fail(write_error(status));
    if (!flushed.ok() || read_only_) return {};
    return write_close_mark(path_, disk_);
  }

 private:
  rocksdb::ColumnFamilyHandle* handle(Family family) const { return handles_[static_cast<std::size_t>(family)]; }
  Status open_still() const {
    if (closed_.load()) return fail(Code::unavailable, "the store is closed");
    return {};
  }
  Status written(const rocksdb::Status& status) {
    if (status.ok()) return {};
    write_failures_.add();
    Error error = write_error(status);
    if (error.code == Code::unavailable) {
      Lock lock(pause_mutex_);
      pause_error_ = error;
      pause_until_ = std::chrono::steady_clock::now() + pause_;
      pausing_ = true;
    }
    return fail(std::move(error));
  }

  // The recovery from a full disk begins a new log only when there is something to flush. Otherwise the next write would go into
  // the file that the last one failed in: the library as Debian builds it (asserts on) aborts the process then.
  Status keep_something_to_flush() {
    std::uint64_t entries = 0;
    auto* const family = handle(Family::journal);  // empty since format 2
    if (db_->GetIntProperty(family, rocksdb::DB::Properties::kNumEntriesActiveMemTable, &entries) && entries > 0) return {};
    rocksdb::WriteOptions unlogged;
    unlogged.disableWAL = true;
    return written(db_->Delete(unlogged, family, rocksdb::Slice()));  // a key that nobody has
  }

  // After a refused write the answer is known for a moment without asking: senders that try again at once would hold the
  // mutex that the recovery needs. Then one writer looks whether the disk takes a megabyte, and asks RocksDB to resume (its
  // own recovery looks every five seconds). Not without looking: a recovery that fails makes the error final.
  Status not_paused() {
    if (!pausing_.load(std::memory_order_relaxed)) return {};
    {
      Lock lock(pause_mutex_);
      if (!pausing_) return {};  // another writer has just resumed
      if (std::chrono::steady_clock::now() < pause_until_) {
        write_failures_.add();
        return fail(pause_error_);
      }
      pause_until_ = std::chrono::steady_clock::now() + pause_;  // for the others, while this one asks
    }
    rocksdb::Status status = disk_->probe();
    if (status.ok()) status = db_->Resume();
    if (!status.ok() && !status.IsBusy()) return written(status);  // busy: its own recovery is at it, the write will tell
    Lock lock(pause_mutex_);
    pausing_ = false;
    return {};
  }

  // Files of ingests that a crash cut short.
  void remove_unfinished(rocksdb::FileSystem& file_system) {
    std::vector<std::string> names;
    if (!file_system.GetChildren(path_, {}, &names, nullptr).ok()) return;  // opening will say what is wrong with it
    for (const std::string& name : names) {
      if (!name.starts_with("ingest-")) continue;
      if (const rocksdb::IOStatus removed = file_system.DeleteFile(path_ + "/" + name, {}, nullptr); !removed.ok())
        log_.warn("a temporary file stays", {{"file", name}, {"error", removed.ToString()}});
    }
  }

  // The families are made with the database, before anything is written: one that is missing beside data stood at the end of the
  // manifest, which is gone, and RocksDB would make it anew and drop what its log has for the old one.
  Status check_families(const rocksdb::DBOptions& how, const std::vector<rocksdb::ColumnFamilyDescriptor>& wanted) const {
    std::vector<std::string> known;
    if (!rocksdb::DB::ListColumnFamilies(how, path_, &known).ok()) return {};  // a new directory, or opening will say what is wrong
    const auto missing = std::ranges::find_if(wanted, [&](const auto& family) { return std::ranges::find(known, family.name) == known.end(); });
    if (missing == wanted.end()) return {};
    const auto files = Files::read_only(path_, disk_);
    PLUMBLINE_TRY(const auto names, files->list());
    for (const std::string& name : names) {
      std::uint64_t bytes = 0;
      if (!name.ends_with(".sst") && !(name.ends_with(".log") && disk_->GetFileSize(path_ + "/" + name, {}, &bytes, nullptr).ok() && bytes > 0)) continue;
      PLUMBLINE_TRY(const std::string current, files->read("CURRENT"));
      return fail(Code::corrupt, path_ + "/" + std::string(trim(current)) + ": its end is missing: the family " + missing->name + " is not in it, but " +
                                     name + " is there" + nothing_dropped);
    }
    return {};
  }

  // As RocksDB's own Checkpoint does it, which renames a directory of its own besides.
  Status fill_checkpoint(const std::string& directory) {
    rocksdb::LiveFilesStorageInfoOptions how;
    how.wal_size_for_flush = std::numeric_limits<std::uint64_t>::max();  // never: the log is copied
    std::vector<rocksdb::LiveFileStorageInfo> files;
    if (const rocksdb::Status status = db_->GetLiveFilesStorageInfo(how, &files); !status.ok())
      return fail(Code::unavailable, path_ + ": its files cannot be listed: " + status.ToString());
    PLUMBLINE_TRY(const auto plain, Files::open(directory, disk_));
    const FileTree tree(disk_);
    for (const rocksdb::LiveFileStorageInfo& file : files) {
      const std::string from = file.directory + "/" + file.relative_filename;
      const std::string to = directory + "/" + file.relative_filename;
      if (!file.replacement_contents.empty()) PLUMBLINE_CHECK_OK(plain->replace(file.relative_filename, file.replacement_contents));
      else if (file.trim_to_size) PLUMBLINE_CHECK_OK(tree.copy(from, to, file.size));
      else PLUMBLINE_CHECK_OK(tree.link(from, to));
    }
    return {};
  }

  // RocksDB says of a damaged table at times that the manifest is.
  std::string damaged_table() const {
    const auto found = damaged_tables(path_, disk_);
    return found && !found->empty() ? found->front().second : std::string();
  }

  Error open_error(const rocksdb::Status& status, const std::string& path) const {
    const std::string text = status.ToString();
    if (status.IsIOError() && text.find("LOCK") != std::string::npos)
      return {Code::conflict, path + " is in use by another process: " + text};
    if (status.IsInvalidArgument() && text.find("olumn famil") != std::string::npos)
      return {Code::unsupported, path + " holds families that this version does not know (" + text +
                                     "): it was written by a newer Plumbline; start that version"};
    if (status.IsCorruption()) {
      std::string damage = info_log_->last_damage();
      if (damage.empty()) damage = damaged_table();
      return {Code::corrupt, path + ": " + text + (damage.empty() ? "" : " (" + damage + ")") +
                                 nothing_dropped};
    }
    if (status.IsNoSpace()) return {Code::unavailable, path + ": the data disk is full: " + text};
    const bool of_data = text.find(".sst") != std::string::npos || text.find(".log") != std::string::npos;
    if ((status.IsNotFound() || status.IsPathNotFound()) && !of_data)
      return {Code::corrupt, path + "/CURRENT names a manifest that is not there (" + text + ")" + nothing_dropped};
    return {Code::io, path + ": " + text};
  }

  Log& log_;
  Counter& write_failures_;
  std::string path_;
  bool read_only_ = false;
  std::atomic<std::uint64_t> ingests_{0};
  std::shared_ptr<SpaceProbe> disk_;
  std::unique_ptr<rocksdb::Env> env_;  // destroyed after the database that uses it
  std::shared_ptr<RocksLog> info_log_;
  std::shared_ptr<rocksdb::Statistics> statistics_;
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, family_count> handles_{};
  std::atomic<bool> closed_{false};

  const std::chrono::milliseconds pause_;
  std::atomic<bool> pausing_{false};
  Mutex pause_mutex_;
  Error pause_error_ PLUMBLINE_GUARDED_BY(pause_mutex_);
  std::chrono::steady_clock::time_point pause_until_ PLUMBLINE_GUARDED_BY(pause_mutex_);
};

Result<std::unique_ptr<Kv>> Kv::open(Options options, Log& log, Registry& registry) {
  auto kv = std::make_unique<RocksKv>(options.retry_pause, log, registry);
  PLUMBLINE_CHECK_OK(kv->open(options));
  return kv;
}

}  // namespace plumbline::storage::kv
