// Format 1 kept chunks, postings and the journal in families of RocksDB. A directory of that format is read once into
// segments; the commit of the last seal writes the new format, and until then a crash starts it over: samples that were
// sealed twice have equal values, and rows are sealed by that last commit only.
#include <algorithm>

#include "daemon/base/bytes.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/series/legacy_chunk.hpp"
#include "storage/store_impl.hpp"
#include "storage/store_keys.hpp"
#include "storage/store_record.hpp"

namespace plumbline::storage {

namespace {

// The chunks of one series on one day, oldest seal first: of equal timestamps the last one wins.
struct SeriesDay {
  std::uint32_t day = 0;
  std::uint32_t series = 0;
  std::vector<std::pair<std::uint64_t, std::vector<Sample>>> chunks;
  bool empty() const { return chunks.empty(); }
};

}  // namespace

Status KvStore::upgrade_from_v1() {
  log_.info("upgrading the data directory from format 1", {{"path", options_.path}});
  kv::kill_point("upgrade.begun");
  std::uint64_t trimmed = 0;
  {
    Lock lock(upkeep_mutex_);
    trimmed = trimmed_;
  }
  SeriesDay open;
  std::uint64_t samples = 0;
  const auto finish = [&]() -> Status {
    if (open.empty()) return {};
    std::stable_sort(open.chunks.begin(), open.chunks.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    Record record;
    for (auto& [seal, part] : open.chunks) {
      record.runs.push_back({open.series, static_cast<std::uint32_t>(record.samples.size()),
                             static_cast<std::uint32_t>(part.size())});
      record.samples.insert(record.samples.end(), part.begin(), part.end());
    }
    samples += record.samples.size();
    open = {};
    PLUMBLINE_CHECK_OK(series_->replay({}, {record.runs, record.samples, {}, {}}));
    if (series_->head_bytes() < options_.head_bytes_max) return {};
    Lock upkeep(upkeep_mutex_);
    return seal_heads();
  };
  Status damage;
  PLUMBLINE_CHECK_OK(kv_->scan(kv::Family::chunks, "", "", [&](std::string_view key, std::string_view value) {
    const auto parsed = series::parse_legacy_chunk_key(key);
    damage = parsed ? Status{} : fail(parsed.error());
    if (damage && !open.empty() && (open.day != parsed->day || open.series != parsed->series)) damage = finish();
    if (!damage) return false;
    open.day = parsed->day;
    open.series = parsed->series;
    open.chunks.emplace_back(parsed->seal, std::vector<Sample>{});
    damage = series::decode_legacy_chunk(parsed->series, value, open.chunks.back().second);
    return damage.has_value();
  }));
  PLUMBLINE_CHECK_OK(damage);
  PLUMBLINE_CHECK_OK(finish());
  kv::kill_point("upgrade.chunks");
  PLUMBLINE_CHECK_OK(kv_->scan(kv::Family::journal, journal_key(trimmed + 1), "", [&](std::string_view key, std::string_view value) {
    ByteReader in(key);
    const std::uint64_t sequence = in.be64();
    auto record = decode_record_v1(sequence, value);
    damage = record ? series_->replay({}, {record->runs, record->samples, {}, {}}) : fail(std::move(record).error());
    if (damage) events_->append(record->events, record->labels);
    if (!damage) damage = fail(damage.error().in(options_.path + ": journal record " + std::to_string(sequence)));
    return damage.has_value();
  }));
  PLUMBLINE_CHECK_OK(damage);
  Lock upkeep(upkeep_mutex_);
  upgrading_ = true;
  PLUMBLINE_CHECK_OK(seal_heads());
  upgrading_ = false;
  kv::kill_point("upgrade.done");
  trimmed_ = 0;  // the new journal counts from 1
  log_.info("upgraded the data directory to format 2", {{"path", options_.path}, {"samples", samples}});
  return {};
}

void KvStore::finish_upgrade(kv::Batch& out) {
  for (const kv::Family family : {kv::Family::chunks, kv::Family::postings, kv::Family::journal})
    out.remove_range(family, std::string_view("\0", 1), std::string(32, '\xff'));
  out.put(kv::Family::meta, format_key(), std::to_string(format_version));
}

}  // namespace plumbline::storage
