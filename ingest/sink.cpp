#include <map>
#include <unordered_map>

#include "daemon/base/mutex.hpp"
#include "ingest/limits.hpp"
#include "ingest/sink_schema.hpp"

namespace plumbline::ingest {
namespace {

constexpr std::string_view schema_prefix = "ingest/schema/";
// A sender that is wrong is wrong on every request: one line a minute says it, the counter says how often.
constexpr std::chrono::minutes log_interval{1};

}  // namespace

std::string Receipt::summary() const {
  const std::uint64_t n = refused();
  if (n == 0) return {};
  std::string text = std::to_string(n) + (n == 1 ? " row refused" : " rows refused");
  constexpr std::size_t named_max = 5;
  for (std::size_t i = 0; i < rejections.size() && i < named_max; ++i) {
    const Rejection& r = rejections[i];
    text += (i == 0 ? ": " : "; ") + r.message;
    if (r.count > 1) text += " (" + r.reason + ", " + std::to_string(r.count) + " of them)";
  }
  if (rejections.size() > named_max) text += "; ...";
  return text;
}

struct Sink::Impl {
  storage::Writer& writer;
  storage::State& state;
  const Clock& clock;
  Log& log;
  Registry& registry;

  // A batch that teaches new types holds `teaching` across its write, so that two first rows of different types cannot
  // both be stored; batches of known features pass beside it and take only `schema_mutex`, shortly.
  Mutex teaching;
  SharedMutex schema_mutex;
  FeatureSchema schema PLUMBLINE_GUARDED_BY(schema_mutex);

  Mutex log_mutex;
  std::map<std::pair<std::string, std::string>, Steady> logged PLUMBLINE_GUARDED_BY(log_mutex);

  FeatureSchema::Verdict check(const Decoded& decoded) {
    ReadLock lock(schema_mutex);
    return schema.check(decoded.batch.events, decoded.row_numbers);
  }

  Result<storage::WriteReceipt> store(Decoded& decoded, Rejections& rejections);
  Result<storage::WriteReceipt> store_teaching(Decoded& decoded, Rejections& rejections);
  void count(std::string_view protocol, const Receipt& receipt);
  void count_failure(std::string_view protocol, const Error& error);
  bool may_log(std::string_view protocol, std::string_view reason);
};

namespace {

void drop_refused(storage::WriteBatch& batch, FeatureSchema::Verdict& verdict, Rejections& rejections) {
  // One pass per group instead of one erase per row: a wholly refused batch stays linear.
  std::size_t next = 0;
  while (next < verdict.refused.size()) {
    const std::size_t group = verdict.refused[next].group;
    auto& rows = batch.events[group].rows;
    std::size_t kept = 0;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (next < verdict.refused.size() && verdict.refused[next].group == group && verdict.refused[next].row == r) {
        auto& refused = verdict.refused[next];
        rejections.add({std::move(refused.reason), std::move(refused.message), 1, refused.number});
        ++next;
        continue;
      }
      if (kept != r) rows[kept] = std::move(rows[r]);
      ++kept;
    }
    rows.resize(kept);
  }
  std::erase_if(batch.events, [](const model::StreamRows& g) { return g.rows.empty(); });
}

bool has_inferences(const storage::WriteBatch& batch) {
  for (const model::StreamRows& g : batch.events)
    if (g.kind == model::EventKind::inference) return true;
  return false;
}

}  // namespace

Result<storage::WriteReceipt> Sink::Impl::store(Decoded& decoded, Rejections& rejections) {
  storage::WriteBatch& batch = decoded.batch;
  if (has_inferences(batch)) {
    FeatureSchema::Verdict verdict = check(decoded);
    if (!verdict.learned.empty()) return store_teaching(decoded, rejections);
    drop_refused(batch, verdict, rejections);
  }
  if (batch.empty()) return storage::WriteReceipt{};
  return writer.write(std::move(batch));
}

Result<storage::WriteReceipt> Sink::Impl::store_teaching(Decoded& decoded, Rejections& rejections) {
  Lock lock(teaching);
  storage::WriteBatch& batch = decoded.batch;
  FeatureSchema::Verdict verdict = check(decoded);  // again: another teacher may have been first
  drop_refused(batch, verdict, rejections);
  {
    ReadLock read(schema_mutex);
    for (const auto& [model, types] : verdict.learned)
      batch.state.push_back({std::string(schema_prefix) + model, schema.encode(model, types)});
  }
  if (batch.empty()) return storage::WriteReceipt{};
  Result<storage::WriteReceipt> receipt = writer.write(std::move(batch));
  if (receipt) {
    WriteLock write(schema_mutex);
    schema.learn(verdict.learned);
  }
  return receipt;
}

bool Sink::Impl::may_log(std::string_view protocol, std::string_view reason) {
  const Steady now = clock.steady();
  Lock lock(log_mutex);
  const auto [it, fresh] = logged.try_emplace({std::string(protocol), std::string(reason)}, now);
  if (!fresh && now - it->second < log_interval) return false;
  it->second = now;
  return true;
}

void Sink::Impl::count(std::string_view protocol, const Receipt& receipt) {
  const std::string p(protocol);
  registry.counter("plumbline_ingest_samples_total", "Samples stored.", {{"protocol", p}}).add(receipt.samples);
  registry.counter("plumbline_ingest_histograms_total", "Native histograms stored.", {{"protocol", p}}).add(receipt.histograms);
  registry.counter("plumbline_ingest_rows_total", "Event rows stored.", {{"protocol", p}}).add(receipt.rows);
  registry.counter("plumbline_ingest_labels_total", "Late labels stored.", {{"protocol", p}}).add(receipt.labels);
  for (const Rejection& r : receipt.rejections) {
    registry
        .counter("plumbline_ingest_refused_total", "Samples, rows and labels refused.", {{"protocol", p}, {"reason", r.reason}})
        .add(r.count);
    if (may_log(protocol, r.reason))
      log.warn("ingest refused rows",
               {{"protocol", protocol}, {"reason", r.reason}, {"count", r.count}, {"example", r.message}});
  }
}

void Sink::Impl::count_failure(std::string_view protocol, const Error& error) {
  const std::string code(name_of(error.code));
  registry
      .counter("plumbline_ingest_requests_failed_total", "Requests of which nothing was stored.",
               {{"protocol", std::string(protocol)}, {"code", code}})
      .add();
  if (may_log(protocol, code))
    log.warn("ingest failed", {{"protocol", protocol}, {"code", code}, {"error", error.message}});
}

Sink::Sink(storage::Writer& writer, storage::State& state, const Clock& clock, Log& log, Registry& registry)
    : impl_(new Impl{writer, state, clock, log, registry, {}, {}, {}, {}, {}}) {}
Sink::~Sink() = default;

Status Sink::load() {
  Status loaded;
  Impl& impl = *impl_;
  PLUMBLINE_CHECK_OK(impl.state.list(schema_prefix, [&](std::string_view key, std::string_view value) {
    WriteLock lock(impl.schema_mutex);
    loaded = impl.schema.load(key.substr(schema_prefix.size()), value);
    return loaded.has_value();
  }));
  return loaded;
}

Result<Receipt> Sink::accept(std::string_view protocol, Decoded decoded) {
  impl_->registry
      .counter("plumbline_ingest_requests_total", "Requests that reached the sink.", {{"protocol", std::string(protocol)}})
      .add();
  Rejections rejections;
  for (const Rejection& r : decoded.rejections) rejections.add(r);
  Result<storage::WriteReceipt> stored = impl_->store(decoded, rejections);
  if (!stored) {
    impl_->count_failure(protocol, stored.error());
    return fail(std::move(stored).error());
  }
  for (storage::Refusal& r : stored->refusals) rejections.add(r.reason, std::move(r.example), r.count);
  Receipt receipt{stored->samples, stored->histograms, stored->rows, stored->labels, rejections.take()};
  impl_->count(protocol, receipt);
  return receipt;
}

}  // namespace plumbline::ingest
