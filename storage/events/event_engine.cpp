#include "storage/events/event_engine.hpp"

#include <array>
#include <atomic>

#include "daemon/base/check.hpp"
#include "daemon/base/text.hpp"
#include "storage/events/head.hpp"
#include "storage/events/late_label.hpp"
#include "storage/events/retention.hpp"
#include "storage/events/scan.hpp"
#include "storage/events/sealer.hpp"

namespace plumbline::storage::events {
namespace {

constexpr std::array<std::string_view, 4> kind_names{"", "log", "span", "inference"};

}  // namespace

struct EventEngine::Impl {
  Impl(kv::Kv& kv_, Log& log_, Registry& registry)
      : kv(kv_),
        log(log_),
        blocks(registry.counter("plumbline_events_sealed_blocks_total", "Event blocks encoded for sealing.")),
        block_bytes(registry.counter("plumbline_events_sealed_bytes_total", "Bytes of event blocks encoded for sealing.")),
        sealed_rows(registry.counter("plumbline_events_sealed_rows_total", "Rows in event blocks encoded for sealing.")),
        dropped_blocks(registry.counter("plumbline_events_retained_blocks_total", "Event blocks dropped by retention.")),
        dropped_labels(registry.counter("plumbline_events_retained_labels_total", "Late labels dropped by retention.")),
        labels(registry.counter("plumbline_events_labels_total", "Late labels accepted.")),
        corrupt(registry.counter("plumbline_events_corrupt_total", "Queries that met a damaged event block.")) {
    for (std::size_t kind = 1; kind < kind_names.size(); ++kind)
      rows[kind] = &registry.counter("plumbline_events_rows_total", "Event rows accepted.",
                                     {{"kind", std::string(kind_names[kind])}});
  }

  HeadsView heads() const PLUMBLINE_EXCLUDES(mutex) {
    ReadLock lock(mutex);
    HeadsView view;
    view.heads.push_back(active);
    if (frozen) view.heads.push_back(frozen);
    return view;
  }
  // Counts and logs damage on its way to the caller.
  Status noted(Status status) const {
    if (!status && status.error().code == Code::corrupt) {
      corrupt.add();
      log.error("damaged event block", {{"error", status.error().message}});
    }
    return status;
  }

  kv::Kv& kv;
  Log& log;
  mutable SharedMutex mutex;
  std::shared_ptr<Head> active PLUMBLINE_GUARDED_BY(mutex) = std::make_shared<Head>();
  std::shared_ptr<Head> frozen PLUMBLINE_GUARDED_BY(mutex);
  std::atomic<Day> retained_from{0};
  std::array<Counter*, 4> rows{};
  Counter& blocks;
  Counter& block_bytes;
  Counter& sealed_rows;
  Counter& dropped_blocks;
  Counter& dropped_labels;
  Counter& labels;
  Counter& corrupt;
};

EventEngine::EventEngine(kv::Kv& kv, Log& log, Registry& registry) : impl_(std::make_unique<Impl>(kv, log, registry)) {}
EventEngine::~EventEngine() = default;

void EventEngine::append(const std::vector<model::StreamRows>& events, const std::vector<model::LateLabel>& labels) {
  // Held to the end: a freeze that comes in between waits until these rows are in one head, whole.
  ReadLock lock(impl_->mutex);
  impl_->active->append(events, labels);
  for (const model::StreamRows& e : events) impl_->rows[static_cast<std::size_t>(e.kind)]->add(e.rows.size());
  impl_->labels.add(labels.size());
}

std::uint64_t EventEngine::head_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& head : impl_->heads().heads) bytes += head->bytes();
  return bytes;
}

std::uint64_t EventEngine::head_rows() const {
  std::uint64_t rows = 0;
  for (const auto& head : impl_->heads().heads) rows += head->rows();
  return rows;
}

void EventEngine::freeze(std::uint64_t seal_number) {
  WriteLock lock(impl_->mutex);
  PLUMBLINE_CHECK(!impl_->frozen, "one head is sealed at a time");
  impl_->active->set_seal_number(seal_number);
  impl_->frozen = std::move(impl_->active);
  impl_->active = std::make_shared<Head>();
}

Status EventEngine::seal(kv::Batch& out) const {
  std::shared_ptr<Head> head;
  {
    ReadLock lock(impl_->mutex);
    head = impl_->frozen;
  }
  if (!head) return {};
  const SealCounts counts = seal_head(*head, out);
  impl_->blocks.add(counts.blocks);
  impl_->block_bytes.add(counts.bytes);
  impl_->sealed_rows.add(counts.rows);
  return {};
}

void EventEngine::thaw() {
  std::shared_ptr<Head> dropped;  // destroyed outside the lock: it may be 256 MiB
  WriteLock lock(impl_->mutex);
  dropped = std::move(impl_->frozen);
}

Status EventEngine::scan(const EventQuery& query, const BlockVisitor& visit) const { return scan(query, {}, visit); }

Status EventEngine::scan(const EventQuery& query, std::span<const ScanHint> hints, const BlockVisitor& visit) const {
  Scan pass(impl_->kv, impl_->heads(), query, hints, impl_->retained_from);
  return impl_->noted(pass.run(visit));
}

Result<std::vector<Labels>> EventEngine::streams(EventKind kind, const Matchers& matchers, TimeRange range_ns) const {
  EventQuery query;
  query.kind = kind;
  query.stream = matchers;
  query.range_ns = range_ns;
  Scan pass(impl_->kv, impl_->heads(), query, {}, impl_->retained_from);
  std::vector<Labels> out;
  PLUMBLINE_CHECK_OK(impl_->noted(pass.collect_streams(out)));
  return out;
}

Result<std::vector<std::optional<model::LateLabel>>> EventEngine::late_labels(std::string_view model,
                                                                              std::span<const std::string> ids) const {
  const HeadsView heads = impl_->heads();
  std::vector<std::optional<model::LateLabel>> out;
  out.reserve(ids.size());
  for (const std::string& id : ids) {
    const std::string key = label_key(model, id);
    std::optional<PendingLabel> found;
    for (const auto& head : heads.heads)
      if (!found) found = head->label(key);
    if (!found) {
      PLUMBLINE_TRY(const std::optional<std::string> stored, impl_->kv.get(kv::Family::labels, key));
      if (stored) {
        auto label = decode_label(*stored);
        if (!label) return fail(label.error().in("late label " + hex(key)));
        found = std::move(*label);
      }
    }
    auto& slot = out.emplace_back();
    if (found) slot = model::LateLabel{std::string(model), id, std::move(found->value), found->time_ns};
  }
  return out;
}

Status EventEngine::retain(std::int64_t cutoff_ns) {
  const Day keep_from = day_of(cutoff_ns);
  if (keep_from <= impl_->retained_from.load()) return {};
  const Day before = impl_->retained_from.exchange(keep_from);
  const auto counts = drop_days_before(impl_->kv, keep_from);
  if (!counts) {
    impl_->retained_from.store(before);  // so that the next call tries again
    return fail(counts.error().in("event retention"));
  }
  impl_->dropped_blocks.add(counts->blocks);
  impl_->dropped_labels.add(counts->labels);
  if (counts->blocks + counts->labels > 0)
    impl_->log.info("dropped old events",
                    {{"blocks", counts->blocks}, {"ids", counts->ids}, {"labels", counts->labels}});
  return {};
}

}  // namespace plumbline::storage::events
