#include "storage/series/segment_writer.hpp"

#include <charconv>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "daemon/base/check.hpp"
#include "storage/codec/times.hpp"
#include "storage/codec/value_group.hpp"
#include "storage/series/segment_directory.hpp"
#include "storage/series/segment_histograms.hpp"

namespace plumbline::storage::series {

namespace {

// A group is what one read decodes as a whole, so it must not be large; what compresses together, so it must not be small.
constexpr std::size_t group_series_max = 512;
constexpr std::size_t group_samples_max = 128u << 10;
constexpr std::size_t times_record_bytes = 8u << 10;
constexpr std::size_t histograms_record_bytes = 64u << 10;

std::string_view bytes_of(std::span<const std::int64_t> times) {
  return {reinterpret_cast<const char*>(times.data()), times.size_bytes()};
}

// By content, over the whole segment; 128 bits stand for the column.
struct TimesHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const TimesHash&) const = default;
};
struct TimesHashHash {
  std::size_t operator()(const TimesHash& h) const { return h.low; }
};
TimesHash strong_hash(std::span<const std::int64_t> times) {
  const std::string hex = hash128_hex(bytes_of(times));
  TimesHash out;
  std::from_chars(hex.data(), hex.data() + 16, out.high, 16);
  std::from_chars(hex.data() + 16, hex.data() + 32, out.low, 16);
  return out;
}

class Writer final : public SegmentWriter {
 public:
  Writer(std::unique_ptr<kv::TableWriter> table, std::string name, std::uint32_t day, std::uint64_t seal)
      : table_(std::move(table)) {
    index_.info.name = std::move(name);
    index_.info.day = day;
    index_.info.seal = seal;
  }

  Status add(SeriesRef series, std::span<const std::int64_t> times, std::span<const double> values) override {
    PLUMBLINE_CHECK(!times.empty() && times.size() == values.size(), "a series of a segment has samples");
    PLUMBLINE_CHECK(day_of(times.front()) == day() && day_of(times.back()) == day(), "samples of one day");
    PLUMBLINE_CHECK(!last_ || last_->vshard <= series.vshard, "series arrive by ascending vshard");
    if (group_is_full(series.vshard, times.size())) PLUMBLINE_CHECK_OK(flush_group());
    last_ = series;
    PLUMBLINE_CHECK(index_.ids.addChecked(series.id), "a series is added once");
    directory_.add_series(series);
    for (std::size_t from = 0; from < times.size(); from += chunk_samples_max) {
      const std::size_t n = std::min<std::size_t>(chunk_samples_max, times.size() - from);
      if (encoder_.values() >= group_samples_max) {  // a series of many samples goes on in the next group
        PLUMBLINE_CHECK_OK(flush_group());
        directory_.add_series(series);
      }
      add_chunk(times.subspan(from, n), values.subspan(from, n));
    }
    count(true, times.size(), times.front(), times.back());
    return {};
  }

  Status add_histograms(SeriesRef series, std::span<const model::HistogramSample> samples) override {
    PLUMBLINE_CHECK(!samples.empty(), "a series of a segment has samples");
    PLUMBLINE_CHECK(day_of(samples.front().t) == day() && day_of(samples.back().t) == day(), "samples of one day");
    PLUMBLINE_CHECK(histograms_.empty() || histograms_.last_vshard() <= series.vshard, "series arrive by ascending vshard");
    PLUMBLINE_CHECK(index_.histogram_ids.addChecked(series.id), "a series is added once");
    histograms_.add(series, samples);
    count(index_.ids.addChecked(series.id), samples.size(), samples.front().t, samples.back().t);
    index_.info.histograms += samples.size();
    return histograms_.bytes() >= histograms_record_bytes ? flush_histograms() : Status{};
  }

  Result<SegmentInfo> finish() override {
    SegmentInfo out = index_.info;
    if (out.series == 0) {
      table_.reset();  // removes the file
      return out;
    }
    if (directory_.series() > 0) PLUMBLINE_CHECK_OK(flush_group());
    PLUMBLINE_CHECK_OK(flush_times());
    if (!histograms_.empty()) PLUMBLINE_CHECK_OK(flush_histograms());
    index_.ids.runOptimize();
    index_.histogram_ids.runOptimize();
    PLUMBLINE_CHECK_OK(put(info_key(), Record::info, encode_index(index_), parts_.index,
                           index_.histograms.empty() ? segment_version : segment_version_histograms));
    PLUMBLINE_TRY(out.bytes, table_->finish());
    return out;
  }

  SegmentParts parts() const override { return parts_; }

 private:
  std::uint32_t day() const { return index_.info.day; }

  void count(bool fresh_series, std::size_t samples, std::int64_t min_t, std::int64_t max_t) {
    SegmentInfo& info = index_.info;
    if (info.series == 0 || min_t < info.min_t) info.min_t = min_t;
    if (info.series == 0 || max_t > info.max_t) info.max_t = max_t;
    info.series += fresh_series ? 1 : 0;
    info.samples += samples;
  }

  // A vshard that fits into one group should not be cut: looking for one of its series would open both. The vshard before
  // tells how large the next will be: they are parts of one hash.
  bool group_is_full(std::uint16_t vshard, std::size_t samples) {
    if (directory_.series() == 0) return false;
    if (directory_.series() >= group_series_max || encoder_.values() + samples > group_samples_max) return true;
    if (vshard == last_->vshard) return false;
    const std::uint64_t series = index_.info.series - vshard_series_;
    const std::uint64_t values = index_.info.samples - vshard_samples_;
    vshard_series_ = index_.info.series;
    vshard_samples_ = index_.info.samples;
    return directory_.series() + series > group_series_max || encoder_.values() + values > group_samples_max;
  }

  void add_chunk(std::span<const std::int64_t> times, std::span<const double> values) {
    directory_.add_chunk(place_times(times), ChunkKind::float64, static_cast<std::uint32_t>(times.size()),
                         summarize(values));
    encoder_.add(values);
  }

  std::span<const std::int64_t> known(std::uint32_t i) const {
    return std::span(known_times_).subspan(known_at_[i], group_times_[i].count);
  }
  bool is(std::uint32_t i, std::span<const std::int64_t> times) const {
    const auto column = known(i);
    return column.size() == times.size() && std::memcmp(column.data(), times.data(), times.size_bytes()) == 0;
  }

  // The column's number within the group. Its siblings have the same mostly; across groups it is found by its hash.
  std::uint32_t place_times(std::span<const std::int64_t> times) {
    if (!group_times_.empty() && is(previous_times_, times)) return previous_times_;
    const std::uint64_t hash = hash64(bytes_of(times));
    const auto [from, to] = group_index_.equal_range(hash);
    for (auto it = from; it != to; ++it)
      if (is(it->second, times)) return previous_times_ = it->second;
    for (std::size_t i = 1; i < times.size(); ++i) PLUMBLINE_CHECK(times[i - 1] < times[i], "times ascend strictly");
    const auto [place, fresh] = columns_.try_emplace(strong_hash(times), times_records_, pending_.size());
    if (fresh) {
      EncodedTimes encoded{static_cast<std::uint32_t>(times.size()), {}};
      codec::encode_times(times, encoded.bytes);
      pending_bytes_ += encoded.bytes.size() + 3;
      pending_.push_back(std::move(encoded));
    }
    previous_times_ = static_cast<std::uint32_t>(group_times_.size());
    group_times_.push_back({place->second.first, place->second.second, static_cast<std::uint32_t>(times.size()),
                            times.front(), times.back()});
    known_at_.push_back(known_times_.size());
    known_times_.insert(known_times_.end(), times.begin(), times.end());
    group_index_.emplace(hash, previous_times_);
    return previous_times_;
  }

  Status put(const std::string& key, Record kind, std::string_view body, std::uint64_t& part,
             std::uint8_t version = segment_version) {
    const std::string value = frame_record(kind, body, version);
    part += value.size();
    parts_.keys += key.size();
    return table_->put(key, value);
  }

  Status flush_group() {
    const std::uint16_t first = directory_.refs().front().vshard;
    index_.groups.push_back({first, directory_.refs().back().vshard, number_});
    const std::string directory = directory_.finish(std::int64_t{day()} * day_ms, group_times_);
    PLUMBLINE_CHECK_OK(put(record_key(first, number_++), Record::directory, directory, parts_.directory));
    PLUMBLINE_CHECK_OK(put(record_key(first, number_++), Record::payload, encoder_.finish(), parts_.values));
    key_vshard_ = first;
    group_times_.clear();
    group_index_.clear();
    known_at_.clear();
    known_times_.clear();
    if (pending_bytes_ >= times_record_bytes) return flush_times();
    return {};
  }

  Status flush_times() {
    if (pending_.empty()) return {};
    index_.times.push_back({key_vshard_, number_});
    PLUMBLINE_CHECK_OK(
        put(record_key(key_vshard_, number_++), Record::times, encode_times_record(pending_), parts_.times));
    ++times_records_;
    pending_.clear();
    pending_bytes_ = 0;
    return {};
  }

  // Keyed with the vshard of the record before, as keys ascend: the open group begins there or behind.
  Status flush_histograms() {
    index_.histograms.push_back({key_vshard_, number_, histograms_.first_vshard(), histograms_.last_vshard()});
    const std::string body = histograms_.finish(std::int64_t{day()} * day_ms);
    return put(record_key(key_vshard_, number_++), Record::histograms, body, parts_.histograms, segment_version_histograms);
  }

  std::unique_ptr<kv::TableWriter> table_;
  SegmentIndex index_;
  SegmentParts parts_;
  std::uint32_t number_ = 0;  // of the next record
  std::optional<SeriesRef> last_;
  std::uint64_t vshard_series_ = 0;  // before the vshard of last_
  std::uint64_t vshard_samples_ = 0;

  // The open group.
  DirectoryEncoder directory_;
  codec::ValueGroupEncoder encoder_;
  std::vector<GroupTimes> group_times_;
  std::vector<std::size_t> known_at_;      // of each of them, its times in known_times_
  std::vector<std::int64_t> known_times_;
  std::unordered_multimap<std::uint64_t, std::uint32_t> group_index_;
  std::uint32_t previous_times_ = 0;

  // Of the segment.
  std::unordered_map<TimesHash, std::pair<std::uint32_t, std::uint32_t>, TimesHashHash> columns_;  // -> record, column
  std::uint32_t times_records_ = 0;  // written
  std::vector<EncodedTimes> pending_;
  std::size_t pending_bytes_ = 0;
  std::uint16_t key_vshard_ = 0;  // of the last group's records
  HistogramEncoder histograms_;
};

}  // namespace

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(const kv::TableFiles& files, std::uint32_t day,
                                                             std::uint64_t seal, std::uint32_t generation) {
  // A name is used once: a commit that failed may come back after a crash, and names the file as it was.
  std::string name = segment_name(day, seal, generation);
  for (;;) {
    PLUMBLINE_TRY(const bool used, files.exists(name));
    if (!used) break;
    name = segment_name(day, seal, ++generation);
  }
  PLUMBLINE_TRY(auto table, files.create(name));
  return std::make_unique<Writer>(std::move(table), std::move(name), day, seal);
}

Status SegmentWriter::add(SeriesRef series, std::span<const model::Sample> samples) {
  times_.clear();
  values_.clear();
  for (const model::Sample& s : samples) {
    times_.push_back(s.t);
    values_.push_back(s.v);
  }
  return add(series, std::span<const std::int64_t>(times_), std::span<const double>(values_));
}

}  // namespace plumbline::storage::series
