// The write path: refuse what is out of the window, journal the rest as one record, then show it to readers.
#include <algorithm>
#include <chrono>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/model/wire_labels.hpp"
#include "storage/store_impl.hpp"
#include "storage/store_record.hpp"
#include "storage/store_keys.hpp"
#include "storage/store_values.hpp"

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

// Exemplars ride on samples, whose senders are not to be told of them: a clients' last exemplar of a quiet bucket may be months old.
const char* exemplar_reason(std::string_view reason) { return reason == "too_old" ? "exemplar_too_old" : "exemplar_too_new"; }

// A thread keeps its buffer for the next record; one that was needed once for a huge request is given back.
constexpr std::size_t record_kept_max = 4u << 20;

}  // namespace

// Samples that are named by labels join those that are named by label bytes: one path from here on.
void KvStore::to_wire(WriteBatch& batch, std::string& arena) {
  if (batch.series.empty()) return;
  std::vector<std::pair<std::size_t, std::size_t>> places;
  places.reserve(batch.series.size());
  for (const SeriesSamples& s : batch.series) {
    const std::size_t at = arena.size();
    model::append_wire_form(s.labels, arena);
    places.emplace_back(at, arena.size() - at);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    const SeriesSamples& s = batch.series[i];
    if (s.samples.empty()) continue;
    batch.wire.series.push_back({std::string_view(arena).substr(places[i].first, places[i].second),
                                 static_cast<std::uint32_t>(batch.wire.samples.size()),
                                 static_cast<std::uint32_t>(s.samples.size())});
    batch.wire.samples.insert(batch.wire.samples.end(), s.samples.begin(), s.samples.end());
  }
  batch.series.clear();
}

KvStore::WireHistograms KvStore::to_wire(std::vector<SeriesHistograms>& histograms, std::string& arena) {
  WireHistograms out;
  std::vector<std::size_t> ends;
  for (const SeriesHistograms& s : histograms) {
    model::append_wire_form(s.labels, arena);
    ends.push_back(arena.size());
  }
  for (std::size_t i = 0, from = 0; i < histograms.size(); from = ends[i++]) {
    std::vector<HistogramSample>& samples = histograms[i].samples;
    out.names.series.push_back({std::string_view(arena).substr(from, ends[i] - from),
                                static_cast<std::uint32_t>(out.samples.size()), static_cast<std::uint32_t>(samples.size())});
    std::ranges::move(samples, std::back_inserter(out.samples));
  }
  return out;
}

void KvStore::refuse(WriteBatch& batch, WriteReceipt& receipt) const {
  const std::int64_t now_ns = clock_.now_ns();
  const std::int64_t now_ms = now_ns / 1'000'000;
  // Nothing before 1970: days are counted from there, and no clock of a sender that works is older.
  // Nor of a day that has only its aggregates left, which a retention that was raised reaches again.
  const std::int64_t oldest = now_ms - options_.retention_series.count();
  const Window ms{std::max({std::int64_t{0}, oldest, series_->tiers().samples_since}),
                  now_ms + options_.future_max.count()};
  const Window ns{std::max<std::int64_t>(0, now_ns - options_.retention_events.count() * 1'000'000),
                  now_ns + options_.future_max.count() * 1'000'000};
  const auto why_ms = [&](const char* reason, std::int64_t t) {
    return t >= oldest && t < ms.min ? std::string("is of a time whose samples were dropped") : why(reason, options_.retention_series, options_.future_max);
  };
  Refusals refusals;
  WireSamples& wire = batch.wire;
  bool all = true;
  for (const Sample& s : wire.samples) all &= s.t >= ms.min && s.t <= ms.max;
  if (!all) {
    WireSamples kept;
    kept.samples.reserve(wire.samples.size());
    for (const WireSeries& series : wire.series) {
      const std::size_t first = kept.samples.size();
      for (std::uint32_t i = 0; i < series.count; ++i) {
        const Sample& sample = wire.samples[series.first + i];
        const char* reason = ms.refuses(sample.t);
        if (reason == nullptr)
          kept.samples.push_back(sample);
        else
          refusals.add(reason, [&] {
            return "sample of " + model::wire_name(series.labels) + " at " + format_rfc3339_ms(sample.t) + " " +
                   why_ms(reason, sample.t);
          });
      }
      const std::size_t count = kept.samples.size() - first;
      if (count > 0)
        kept.series.push_back({series.labels, static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(count)});
    }
    wire = std::move(kept);
  }
  receipt.samples = wire.samples.size();
  for (SeriesHistograms& series : batch.histograms) {
    std::erase_if(series.samples, [&](const HistogramSample& s) {
      const auto name = [&] { return "histogram of " + series.labels.str() + " at " + format_rfc3339_ms(s.t); };
      if (const char* reason = ms.refuses(s.t); reason != nullptr) {
        refusals.add(reason, [&] { return name() + " " + why_ms(reason, s.t); });
        return true;
      }
      const Status sound = model::check_histogram(s.h);
      if (!sound) refusals.add("invalid_histogram", [&] { return name() + ": " + sound.error().message; });
      return !sound;
    });
    receipt.histograms += series.samples.size();
  }
  std::erase_if(batch.histograms, [](const SeriesHistograms& s) { return s.samples.empty(); });
  for (model::StreamRows& stream : batch.events) {
    const bool exemplars = stream.kind == EventKind::exemplar;
    std::erase_if(stream.rows, [&](const model::Row& row) {
      const char* reason = ns.refuses(row.time_ns);
      if (reason != nullptr)
        refusals.add(exemplars ? exemplar_reason(reason) : reason, [&] {
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
  std::string arena;  // of label bytes made here; lives as long as the views of it
  to_wire(batch, arena);
  refuse(batch, receipt);
  batch.metadata = changed_metadata(std::move(batch.metadata));
  if (!batch.empty()) PLUMBLINE_CHECK_OK(journal(batch, receipt));
  for (const Refusal& r : receipt.refusals)
    registry_.counter("plumbline_store_refused_total", "Samples and rows that the store refused while it kept the rest.",
                      {{"reason", r.reason}})
        .add(r.count);
  return receipt;
}

Status KvStore::journal(WriteBatch& batch, WriteReceipt& receipt) {
  gate_mutex_.lock();
  ReadLock heads(heads_mutex_);
  gate_mutex_.unlock();

  // Kept for the next request of the thread: a request costs no allocation for what the last one had room for.
  thread_local series::Resolved resolved;
  thread_local std::string record;
  const auto seconds = [](auto from, auto to) { return std::chrono::duration<double>(to - from).count(); };
  const auto begun = std::chrono::steady_clock::now();
  series_->resolve(batch.wire, {options_.series_active_max, options_.series_per_metric_max}, resolved);
  WireHistograms histograms;
  std::string names;  // of the histograms' series; lives as long as the views of it
  series::Resolved of_histograms;
  if (!batch.histograms.empty()) {
    histograms = to_wire(batch.histograms, names);
    series_->resolve(histograms.names, {options_.series_active_max, options_.series_per_metric_max}, of_histograms);
    receipt.histograms -= of_histograms.refused_samples;
    resolved.over_limit |= of_histograms.over_limit;
    std::ranges::move(of_histograms.definitions, std::back_inserter(resolved.definitions));
    std::ranges::move(of_histograms.refusals, std::back_inserter(resolved.refusals));
  }
  const bool nothing_else = of_histograms.runs.empty() && batch.events.empty() && batch.labels.empty() && batch.metadata.empty() &&
                            batch.state.empty();
  if (resolved.runs.empty() && nothing_else && resolved.over_limit)
    // Nothing but new series over a limit: the sender is told to come later. Otherwise what can be stored is.
    return fail(Code::over_limit, resolved.refusals.front().example);
  receipt.samples -= resolved.refused_samples;
  std::move(resolved.refusals.begin(), resolved.refusals.end(), std::back_inserter(receipt.refusals));
  if (resolved.runs.empty() && nothing_else) return {};

  const auto resolved_at = std::chrono::steady_clock::now();
  resolve_seconds_.observe(seconds(begun, resolved_at));
  RecordWriter writer(record);
  writer.definitions(resolved.definitions);
  writer.samples(resolved.runs, batch.wire.samples);
  writer.histograms(of_histograms.runs, histograms.samples);
  writer.events(batch.events);
  writer.labels(batch.labels);
  writer.metadata(batch.metadata);
  writer.state(batch.state);
  // What must be in journal order is done under the journal's lock: replay then ends where this process stands.
  bool in_journal = false;
  double in_heads = 0;
  Status applied;
  const auto appended = journal_->append(record, sync(), [&](std::uint64_t) {
    in_journal = true;
    const auto written_at = std::chrono::steady_clock::now();
    series_->append({resolved.runs, batch.wire.samples, of_histograms.runs, histograms.samples}, resolved.definitions,
                    clock_.now_ns() / 1'000'000);
    if (!batch.labels.empty()) events_->append({}, batch.labels);
    applied = apply_facts(batch.metadata, batch.state);
    in_heads = seconds(written_at, std::chrono::steady_clock::now());
  });
  journal_seconds_.observe(seconds(resolved_at, std::chrono::steady_clock::now()) - in_heads);
  append_seconds_.observe(in_heads);
  // A record that is in the journal is shown as a whole, also when the disk refused to make it durable or RocksDB refused its
  // facts: a restart would show it as a whole, too. The sender is told that it failed, and may send it again.
  if (!in_journal) return fail(appended.error());
  if (syncer_) syncer_->wrote();
  if (record.capacity() > record_kept_max) std::string().swap(record);
  events_->append(batch.events, {});  // beside the others: rows do not take the place of each other
  note_first_write();
  samples_total_.add(receipt.samples + receipt.histograms);
  rows_total_.add(receipt.rows);
  labels_total_.add(receipt.labels);
  if (!appended) return fail(appended.error());
  return applied;
}

// Metadata and state live in RocksDB; the journal has them as well, because the order of a key's values is the journal's.
Status KvStore::apply_facts(std::vector<MetricMetadata>& metadata, const std::vector<StatePut>& state) {
  if (metadata.empty() && state.empty()) return {};
  kv::Batch out;
  for (const MetricMetadata& m : metadata) out.put(kv::Family::meta, metadata_key(m.metric), encode_metadata(m));
  for (const StatePut& s : state) {
    if (s.value)
      out.put(kv::Family::state, s.key, *s.value);
    else
      out.remove(kv::Family::state, s.key);
  }
  kv::kill_point("store.facts.before");
  PLUMBLINE_CHECK_OK(kv_->write(std::move(out), kv::Sync::no));
  kv::kill_point("store.facts.after");
  if (metadata.empty()) return {};
  WriteLock lock(metadata_mutex_);
  for (MetricMetadata& m : metadata) {
    std::string name = m.metric;
    metadata_[std::move(name)] = std::move(m);
  }
  return {};
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
