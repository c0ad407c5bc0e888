// The write path: refuse what is out of the window, journal the rest as one record, then show it to readers.
#include <algorithm>
#include <chrono>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"
#include "storage/store_impl.hpp"
#include "storage/store_journal.hpp"
#include "storage/store_keys.hpp"

namespace plumbline::storage {

namespace {

// The times that are let in, both ends included.
struct Window {
  std::int64_t min = 0;
  std::int64_t max = 0;
  const char* refuses(std::int64_t t) const { return t < min ? "too_old" : t > max ? "too_new" : nullptr; }
};

class Refusals {
 public:
  template <class Describe>
  void add(const char* reason, const Describe& describe) {
    for (Refusal& r : found_)
      if (r.reason == reason) {
        ++r.count;
        return;
      }
    found_.push_back({reason, describe(), 1});
  }
  std::vector<Refusal> take() { return std::move(found_); }

 private:
  std::vector<Refusal> found_;
};

std::string why(const char* reason, Millis retention, Millis future) {
  if (std::string_view(reason) == "too_old")
    return "is older than the retention of " + format_duration_ms(retention.count());
  return "is more than " + format_duration_ms(future.count()) + " in the future";
}

std::string encode_metadata(const MetricMetadata& m) {
  ByteWriter out;
  out.u8(metadata_version);
  out.sized(m.type);
  out.sized(m.help);
  out.sized(m.unit);
  return out.take();
}

}  // namespace

void KvStore::refuse(WriteBatch& batch, WriteReceipt& receipt) const {
  const std::int64_t now_ns = clock_.now_ns();
  const std::int64_t now_ms = now_ns / 1'000'000;
  // Nothing before 1970: days are counted from there, and no clock of a sender that works is older.
  const Window ms{std::max<std::int64_t>(0, now_ms - options_.retention_series.count()),
                  now_ms + options_.future_max.count()};
  const Window ns{std::max<std::int64_t>(0, now_ns - options_.retention_events.count() * 1'000'000),
                  now_ns + options_.future_max.count() * 1'000'000};
  Refusals refusals;
  for (SeriesSamples& s : batch.series) {
    std::erase_if(s.samples, [&](const Sample& sample) {
      const char* reason = ms.refuses(sample.t);
      if (reason != nullptr)
        refusals.add(reason, [&] {
          return "sample of " + s.labels.str() + " at " + format_rfc3339_ms(sample.t) + " " +
                 why(reason, options_.retention_series, options_.future_max);
        });
      return reason != nullptr;
    });
    receipt.samples += s.samples.size();
  }
  std::erase_if(batch.series, [](const SeriesSamples& s) { return s.samples.empty(); });
  for (model::StreamRows& stream : batch.events) {
    std::erase_if(stream.rows, [&](const model::Row& row) {
      const char* reason = ns.refuses(row.time_ns);
      if (reason != nullptr)
        refusals.add(reason, [&] {
          return "row of " + stream.stream.str() + " at " + format_rfc3339_ns(row.time_ns) + " " +
                 why(reason, options_.retention_events, options_.future_max);
        });
      return reason != nullptr;
    });
    receipt.rows += stream.rows.size();
  }
  std::erase_if(batch.events, [](const model::StreamRows& s) { return s.rows.empty(); });
  receipt.labels = batch.labels.size();
  receipt.refusals = refusals.take();
  for (const Refusal& r : receipt.refusals)
    registry_.counter("plumbline_store_refused_total", "Samples and rows outside of the store's time window.",
                      {{"reason", r.reason}})
        .add(r.count);
}

std::vector<MetricMetadata> KvStore::changed_metadata(std::vector<MetricMetadata> metadata) const {
  ReadLock lock(metadata_mutex_);
  std::erase_if(metadata, [&](const MetricMetadata& m) PLUMBLINE_NO_THREAD_SAFETY_ANALYSIS {
    const auto known = metadata_.find(m.metric);
    return known != metadata_.end() && known->second.type == m.type && known->second.help == m.help &&
           known->second.unit == m.unit;
  });
  return metadata;
}

Result<WriteReceipt> KvStore::write(WriteBatch batch) {
  ReadLock alive_lock(alive_mutex_);
  PLUMBLINE_CHECK_OK(alive());
  WriteReceipt receipt;
  refuse(batch, receipt);
  batch.metadata = changed_metadata(std::move(batch.metadata));
  if (batch.empty()) return receipt;
  return journal(std::move(batch), std::move(receipt));
}

Result<WriteReceipt> KvStore::journal(WriteBatch batch, WriteReceipt receipt) {
  gate_mutex_.lock();
  ReadLock heads(heads_mutex_);
  gate_mutex_.unlock();

  series::SeriesEngine::Refused over_limit;
  const std::vector<series::EntryPtr> entries =
      series_->resolve(batch.series, options_.series_active_max, over_limit);
  if (over_limit.samples > 0) {
    registry_.counter("plumbline_store_refused_total", "Samples and rows outside of the store's time window.",
                      {{"reason", "series_limit"}})
        .add(over_limit.samples);
    const std::string what = "new series " + over_limit.example + ": the limit of " +
                             std::to_string(options_.series_active_max) + " active series is reached";
    // Nothing but new series: the sender is told to come later. Otherwise what is known is stored.
    if (batch.empty()) return fail(Code::over_limit, what);
    receipt.samples -= over_limit.samples;
    receipt.refusals.push_back({"series_limit", what, over_limit.samples});
  }
  kv::Batch out;
  std::uint64_t record_bytes = 0;
  if (!batch.series.empty() || !batch.events.empty() || !batch.labels.empty()) {
    const std::uint64_t sequence = sequence_.fetch_add(1) + 1;
    JournalEncoder record(sequence);
    record.begin_series(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) record.series(entries[i]->id, batch.series[i].samples);
    record.events(batch.events);
    record.labels(batch.labels);
    const std::string bytes = record.finish();
    record_bytes = bytes.size();
    series_->define(entries, sequence, out);
    out.put(kv::Family::journal, journal_key(sequence), bytes);
  }
  for (const MetricMetadata& m : batch.metadata)
    out.put(kv::Family::meta, metadata_key(m.metric), encode_metadata(m));
  for (const StatePut& s : batch.state) {
    if (s.value)
      out.put(kv::Family::state, s.key, *s.value);
    else
      out.remove(kv::Family::state, s.key);
  }
  PLUMBLINE_CHECK_OK(kv_->write(std::move(out), sync()));
  if (syncer_) syncer_->wrote();

  if (record_bytes > 0) {
    series_->append(entries, batch.series);
    events_->append(batch.events, batch.labels);
    journal_bytes_.fetch_add(record_bytes);
    note_first_write();
  }
  if (!batch.metadata.empty()) {
    WriteLock lock(metadata_mutex_);
    for (MetricMetadata& m : batch.metadata) {
      const std::string name = m.metric;
      metadata_[name] = std::move(m);
    }
  }
  samples_total_.add(receipt.samples);
  rows_total_.add(receipt.rows);
  labels_total_.add(receipt.labels);
  return receipt;
}

void KvStore::note_first_write() {
  if (first_write_ns_.load(std::memory_order_relaxed) != 0) return;
  std::int64_t empty = 0;
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(clock_.steady().time_since_epoch()).count();
  first_write_ns_.compare_exchange_strong(empty, std::max<std::int64_t>(1, now));
}

Status KvStore::put(std::vector<StatePut> puts) {
  WriteBatch batch;
  batch.state = std::move(puts);
  auto written = write(std::move(batch));
  if (!written) return fail(std::move(written).error());
  return {};
}

}  // namespace plumbline::storage
