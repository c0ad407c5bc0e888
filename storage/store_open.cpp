// Opening: format check, index, journal replay. And the way out.
#include <charconv>

#include "daemon/base/handoff.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/store_backup.hpp"
#include "storage/store_impl.hpp"
#include "storage/store_keys.hpp"
#include "storage/store_record.hpp"
#include "storage/store_values.hpp"

namespace plumbline::storage {

namespace {
// journal: encoding, the wait for the journal's lock, its write and, with journal.sync: always, its sync.
constexpr const char* stage_help = "How long a write took: to find its series, to journal it, to put it into the heads.";
// What a start hands over at once: at some 10 bytes a sample it is decoded to half a megabyte, which stays in a core's cache; a record may be
// larger. The first batches are small: the engines begin at once, and in small journals, too, while others are read.
constexpr std::size_t replay_batch_bytes_first = 1u << 10;
constexpr std::size_t replay_batch_bytes = 256u << 10;
// What was decoded into the records of a batch until they are dropped instead of used again. Large records come to lie in any of them and
// would be kept in all: the three batches that go round hold what 4 MiB of the journal and one record each are decoded to.
constexpr std::size_t replay_reuse_bytes = 4u << 20;
}  // namespace

Result<std::unique_ptr<Store>> Store::open(Options options, Clock& clock, Log& log, Registry& registry) {
  auto store = std::make_unique<KvStore>(std::move(options), clock, log, registry);
  PLUMBLINE_CHECK_OK(store->open());
  return store;
}

KvStore::KvStore(Options options, Clock& clock, Log& log, Registry& registry)
    : options_(std::move(options)),
      clock_(clock),
      log_(log),
      registry_(registry),
      samples_total_(registry.counter("plumbline_store_samples_total", "Samples stored, histograms among them.")),
      rows_total_(registry.counter("plumbline_store_rows_total", "Rows stored.")),
      labels_total_(registry.counter("plumbline_store_labels_total", "Late labels stored.")),
      seal_seconds_(registry.histogram("plumbline_store_seal_seconds", "How long sealing the head took.")),
      resolve_seconds_(registry.histogram("plumbline_store_stage_seconds", stage_help, {{"stage", "resolve"}})),
      journal_seconds_(registry.histogram("plumbline_store_stage_seconds", stage_help, {{"stage", "journal"}})),
      append_seconds_(registry.histogram("plumbline_store_stage_seconds", stage_help, {{"stage", "append"}})),
      seal_failures_(registry.counter("plumbline_store_seal_failures_total",
                                      "Seals that failed; the head stays and the next upkeep tries again.")) {
  closed_ = true;  // until open() succeeds: a store that failed half way must not seal what it has
}

KvStore::~KvStore() {
  if (auto status = close(); !status)
    log_.error("closing the store failed; the journal has everything", {{"error", status.error().message}});
}

Status KvStore::open() {
  const kv::FileTree tree(options_.file_system);
  PLUMBLINE_CHECK_OK(refuse_unusual_directory(tree, options_.path));
  PLUMBLINE_TRY(kv_, kv::Kv::open({options_.path, options_.block_cache_bytes, options_.file_system, options_.retry_pause}, log_, registry_));
  PLUMBLINE_TRY(const int format, check_format());
  PLUMBLINE_TRY(files_, kv::TableFiles::open({options_.path + "/segments", options_.block_cache_bytes, options_.file_system}));
  PLUMBLINE_TRY(journal_, journal::Journal::open({.directory = options_.path + "/journal", .file_system = options_.file_system,
                                                  .retry_pause = options_.retry_pause}, log_, registry_));
  series_ = std::make_unique<series::SeriesEngine>(*kv_, *files_, log_, registry_, options_.decoded_cache_bytes);
  events_ = std::make_unique<events::EventEngine>(*kv_, log_, registry_);
  PLUMBLINE_CHECK_OK(load_positions());
  PLUMBLINE_CHECK_OK(load_metadata());
  if (format == 1) PLUMBLINE_CHECK_OK(upgrade_from_v1());
  PLUMBLINE_CHECK_OK(replay());
  kv::kill_point("open.replayed");
  PLUMBLINE_CHECK_OK(series_->remove_orphans());
  // Only in our own directory: others may keep theirs in the configured one.
  if (const Status removed = remove_unfinished_backups(tree, options_.path + "/backups", log_); !removed)
    log_.warn("an unfinished backup stays", {{"directory", options_.path + "/backups"}, {"error", removed.error().message}});
  if (options_.journal_sync.policy == SyncPolicy::interval)
    syncer_ = std::make_unique<Syncer>(*journal_, options_.journal_sync.interval, log_, registry_);
  closed_ = false;
  return {};
}

Result<int> KvStore::check_format() {
  PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, format_key()));
  if (!stored) {
    // Every store gets its format before anything else: without it this is a fresh one, or not one of ours.
    bool empty = true;
    PLUMBLINE_CHECK_OK(kv_->scan(kv::Family::journal, "", "", [&](std::string_view, std::string_view) {
      empty = false;
      return false;
    }));
    if (!empty) return fail(Code::corrupt, options_.path + ": the format version is missing beside a journal");
    kv::Batch batch;
    batch.put(kv::Family::meta, format_key(), std::to_string(format_version));
    PLUMBLINE_CHECK_OK(kv_->write(std::move(batch), kv::Sync::yes));
    kv::kill_point("open.format");
    return format_version;
  }
  int version = 0;
  const auto [end, error] = std::from_chars(stored->data(), stored->data() + stored->size(), version);
  if (error != std::errc() || end != stored->data() + stored->size() || version < 1)
    return fail(Code::corrupt, options_.path + ": the format version does not read as a number");
  if (version > format_version)
    return fail(Code::unsupported, options_.path + " has format " + *stored + ", this Plumbline reads up to format " +
                                       std::to_string(format_version) +
                                       ": start the newer Plumbline that wrote it, or give another data directory");
  return version;
}

Status KvStore::load_positions() {
  Lock lock(upkeep_mutex_);
  PLUMBLINE_TRY(const auto stored, kv_->get(kv::Family::meta, positions_key()));
  if (stored) {
    const auto positions = decode_positions(*stored);
    if (!positions) return fail(positions.error().in(options_.path));
    trimmed_ = positions->trimmed;
    sealed_ = positions->sealed;
  }
  return series_->load(sealed_);
}

Status KvStore::load_metadata() {
  Status damage;
  const std::string prefix = metadata_prefix();
  std::map<std::string, MetricMetadata, std::less<>> all;
  PLUMBLINE_CHECK_OK(
      kv_->scan(kv::Family::meta, prefix, after_prefix(prefix), [&](std::string_view key, std::string_view value) {
        auto m = decode_metadata(key.substr(prefix.size()), value);
        if (!m) {
          damage = fail(m.error().in(options_.path));
          return false;
        }
        std::string name = m->metric;
        all[std::move(name)] = std::move(*m);
        return true;
      }));
  WriteLock lock(metadata_mutex_);
  metadata_ = std::move(all);
  return damage;
}

Status KvStore::replay() {
  const Steady start = clock_.steady();
  std::uint64_t trimmed = 0;
  {
    Lock lock(upkeep_mutex_);
    trimmed = trimmed_;
  }
  std::uint64_t records = 0;
  std::uint64_t samples = 0;
  std::uint64_t rows = 0;
  const auto where = [&](std::uint64_t sequence) { return options_.path + ": journal record " + std::to_string(sequence); };
  const auto apply = [&](std::uint64_t sequence, Record& record) -> Status {
    Status done = series_->replay(record.definitions, {record.runs, record.samples, record.histogram_runs, record.histograms});
    if (done) done = apply_facts(record.metadata, record.state);
    if (!done) return fail(done.error().in(where(sequence)));
    ++records;
    samples += record.samples.size() + record.histograms.size();
    for (const model::StreamRows& stream : record.events) rows += stream.rows.size();
    events_->append(record.events, record.labels);
    return {};
  };
  // While one batch of records goes into the engines, the next one is read, checked and decoded.
  struct Batch {
    std::uint64_t first = 0;  // sequence
    std::size_t count = 0;
    std::size_t bytes = 0;
    std::size_t bytes_ever = 0;   // that were decoded into `records`
    std::vector<Record> records;  // the first `count`; the others wait to be used again
  };
  Handoff<Batch> engines([&](Batch& batch) -> Status {
    for (std::size_t i = 0; i < batch.count; ++i) PLUMBLINE_CHECK_OK(apply(batch.first + i, batch.records[i]));
    return {};
  });
  Batch batch;
  std::size_t batch_bytes = replay_batch_bytes_first;
  const auto hand_over = [&]() -> Status {
    PLUMBLINE_TRY(batch, engines.put(std::move(batch)));
    if (batch.bytes_ever > replay_reuse_bytes) batch = {};
    batch.count = batch.bytes = 0;
    batch_bytes = std::min(2 * batch_bytes, replay_batch_bytes);
    return {};
  };
  const auto decode = [&](std::uint64_t sequence, std::string_view bytes) -> Status {
    // A hole that a power cut left between two files ends a batch, too.
    if (batch.count > 0 && (batch.bytes >= batch_bytes || sequence != batch.first + batch.count)) PLUMBLINE_CHECK_OK(hand_over());
    if (batch.count == 0) batch.first = sequence;
    if (batch.count == batch.records.size()) batch.records.emplace_back();
    if (const Status decoded = decode_record(bytes, batch.records[batch.count]); !decoded) return fail(decoded.error().in(where(sequence)));
    ++batch.count;
    batch.bytes += bytes.size();
    batch.bytes_ever += bytes.size();
    return {};
  };
  const auto finish = [&]() -> Status {
    PLUMBLINE_CHECK_OK(hand_over());
    return engines.finish();
  };
  if (const Status read = journal_->replay(trimmed, decode, finish); !read) {
    PLUMBLINE_CHECK_OK(finish());  // what is wrong with an earlier record is told first
    return read;
  }
  if (records > 0) {
    note_first_write();
    const auto took = std::chrono::duration<double>(clock_.steady() - start).count();
    log_.info("journal replayed",
              {{"records", records}, {"samples", samples}, {"rows", rows}, {"seconds", took}});
  }
  return {};
}

Status KvStore::alive() const {
  if (closed_.load(std::memory_order_acquire)) return fail(Code::unavailable, "the store is closed");
  return {};
}

Status KvStore::close() {
  if (closed_.exchange(true)) return {};
  WriteLock alive_lock(alive_mutex_);  // waits for every call that is under way
  Lock upkeep(upkeep_mutex_);
  syncer_.reset();
  kv::kill_point("close.before");
  Status sealed = seal_once();
  kv::kill_point("close.sealed");
  journal_.reset();
  Status closed = kv_->close();
  kv::kill_point("close.done");
  return sealed ? closed : sealed;
}

}  // namespace plumbline::storage
