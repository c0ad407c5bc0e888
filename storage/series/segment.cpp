#include "storage/series/segment.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>

#include "storage/codec/times.hpp"
#include "storage/series/segment_file.hpp"

namespace plumbline::storage::series {

Result<std::shared_ptr<const Segment>> Segment::open(const kv::TableFiles& files, const std::string& name,
                                                      SegmentCaches* caches) {
  PLUMBLINE_TRY(auto table, files.read(name));
  const auto decode = [&]() -> Result<SegmentIndex> {
    kv::TableReader::Getter getter(*table);
    PLUMBLINE_TRY(const std::string_view value, getter.get(info_key()));
    PLUMBLINE_TRY(const std::string_view body, unframe_record(Record::info, value));
    PLUMBLINE_TRY(SegmentIndex index, decode_index(body));
    if (segment_name(index.info.day, index.info.seal, segment_generation(name)) != name)
      return fail(Code::corrupt, "holds " + segment_name(index.info.day, index.info.seal));
    return index;
  };
  auto index = decode();
  if (!index) return fail(index.error().in("segment " + name + ": info record"));
  index->info.name = name;
  index->info.bytes = table->bytes();
  return std::make_shared<const SegmentFile>(std::move(table), std::move(*index), caches);
}

namespace {

// Times and values side by side, for a vector to be filled with at once: the inner loop of every reading.
struct Zipped {
  using iterator_category = std::random_access_iterator_tag;
  using value_type = model::Sample;
  using difference_type = std::ptrdiff_t;
  using pointer = void;
  using reference = model::Sample;
  const std::int64_t* t;
  const double* v;
  model::Sample operator*() const { return {*t, *v}; }
  Zipped& operator++() { return ++t, ++v, *this; }
  Zipped& operator--() { return --t, --v, *this; }
  Zipped& operator+=(std::ptrdiff_t n) { return t += n, v += n, *this; }
  std::ptrdiff_t operator-(const Zipped& other) const { return t - other.t; }
  bool operator==(const Zipped& other) const { return t == other.t; }
};

}  // namespace

Status SegmentChunk::samples(model::TimeRange range, std::vector<model::Sample>& out) const {
  PLUMBLINE_TRY(const auto t, times());
  PLUMBLINE_TRY(const auto v, values());
  const auto from = static_cast<std::size_t>(std::ranges::lower_bound(t, range.min) - t.begin());
  const auto to = static_cast<std::size_t>(std::ranges::upper_bound(t, range.max) - t.begin());
  if (from < to) out.insert(out.end(), Zipped{t.data() + from, v.data() + from}, Zipped{t.data() + to, v.data() + to});
  return {};
}

Error SegmentWalk::at(Record kind, std::uint32_t number, Error error) const {
  return error.in("segment " + file_.info().name + ": " + std::string(name_of(kind)) + " record " + std::to_string(number));
}

Result<std::string_view> SegmentWalk::body(Record kind, std::uint16_t vshard, std::uint32_t number) {
  if (!getter_) getter_.emplace(file_.table());
  const auto value = getter_->get(record_key(vshard, number));
  if (!value) return fail(at(kind, number, value.error()));
  const auto body = unframe_record(kind, *value);
  if (!body) return fail(at(kind, number, body.error()));
  return *body;
}

Result<DirectoryDecoder> SegmentWalk::directory(std::size_t group) {
  const GroupPlace& place = file_.index().groups[group];
  PLUMBLINE_TRY(const std::string_view bytes, body(Record::directory, place.first, place.number));
  auto decoder = DirectoryDecoder::open(bytes);
  if (!decoder) return fail(at(Record::directory, place.number, decoder.error()));
  const auto& series = decoder->series();
  if (series.front().vshard != place.first || series.back().vshard != place.last)
    return fail(at(Record::directory, place.number, {Code::corrupt, "holds other vshards than the info record says"}));
  return decoder;
}

Result<Directory> SegmentWalk::finish(std::size_t group, DirectoryDecoder decoder) {
  auto directory = std::move(decoder).finish(file_.day_start());
  if (!directory) return fail(at(Record::directory, file_.index().groups[group].number, directory.error()));
  return directory;
}

Result<std::shared_ptr<const Directory>> SegmentWalk::directory_with(
    std::size_t group, const std::function<bool(const std::vector<SeriesRef>&)>& any_wanted) {
  const PartKey key{file_.number(), group};
  SegmentCaches* const caches = file_.caches();
  if (caches != nullptr)
    if (auto cached = caches->directories.find(key)) return any_wanted(cached->series) ? cached : nullptr;
  PLUMBLINE_TRY(DirectoryDecoder decoder, directory(group));
  if (!any_wanted(decoder.series())) return nullptr;
  PLUMBLINE_TRY(Directory decoded, finish(group, std::move(decoder)));
  auto fresh = std::make_shared<const Directory>(std::move(decoded));
  if (caches != nullptr) caches->directories.put(key, fresh, fresh->memory_bytes());
  return fresh;
}

Status SegmentWalk::open_payload(std::size_t group, std::size_t chunks) {
  const GroupPlace& place = file_.index().groups[group];
  decoder_.reset();
  PLUMBLINE_TRY(payload_, body(Record::payload, place.first, place.number + 1));
  auto decoder = codec::ValueGroupDecoder::open(payload_);
  if (!decoder) return fail(at(Record::payload, place.number + 1, decoder.error()));
  if (decoder->columns() != chunks)
    return fail(at(Record::payload, place.number + 1,
                   {Code::corrupt, "holds " + std::to_string(decoder->columns()) + " columns for " +
                                       std::to_string(chunks) + " chunks"}));
  decoder_ = std::move(*decoder);
  open_group_ = group;
  return {};
}

Result<std::span<const double>> SegmentWalk::values(std::size_t group, std::size_t chunk, std::size_t chunks, std::uint32_t count) {
  const PartKey key{file_.number(), std::uint64_t{group} << 32 | chunk};
  held_.reset();
  if (caches_ != nullptr) {
    held_ = caches_->values.find(key);
    if (held_) return std::span<const double>(*held_);
  }
  if (!decoder_ || open_group_ != group) PLUMBLINE_CHECK_OK(open_payload(group, chunks));
  values_.resize(count);
  const Status status = decoder_->read(chunk, values_);
  if (!status) {
    const std::uint32_t number = file_.index().groups[group].number + 1;
    return fail(at(Record::payload, number, status.error().in("chunk " + std::to_string(chunk))));
  }
  if (caches_ != nullptr && caches_->asked.again(key)) {
    held_ = std::make_shared<const std::vector<double>>(values_.begin(), values_.end());
    caches_->values.put(key, held_, count * sizeof(double));
    return std::span<const double>(*held_);
  }
  return std::span<const double>(values_);
}

Result<const SegmentWalk::TimesRecord*> SegmentWalk::times_record(std::uint32_t ordinal) {
  const auto found = records_.find(ordinal);
  if (found != records_.end()) return found->second.get();
  const TimesPlace& place = file_.index().times[ordinal];
  PLUMBLINE_TRY(const std::string_view bytes, body(Record::times, place.vshard, place.number));
  auto record = std::make_unique<TimesRecord>();
  record->value = bytes;
  auto columns = decode_times_record(record->value);
  if (!columns) return fail(at(Record::times, place.number, columns.error()));
  record->columns = std::move(*columns);
  if (records_.size() >= records_cached_max) records_.clear();
  return records_.emplace(ordinal, std::move(record)).first->second.get();
}

Result<SharedTimes> SegmentWalk::times(const GroupTimes& place) {
  const std::uint64_t key = std::uint64_t{place.record} << 32 | place.column;
  const auto found = times_.find(key);
  SharedTimes times = found != times_.end() ? found->second : nullptr;
  if (!times && caches_ != nullptr) times = caches_->times.find({file_.number(), key});
  if (times) {
    // Two directories may disagree about a column only when one of them is damaged.
    if (times->size() != place.count || times->front() != place.min_t || times->back() != place.max_t)
      return fail(Code::corrupt, "segment " + file_.info().name + ": directory with other times than its times record");
  } else {
    PLUMBLINE_TRY(times, decode_times(place));
    // Told apart from values by the highest bit.
    if (caches_ != nullptr && caches_->asked.again({file_.number(), key | 1ull << 63}))
      caches_->times.put({file_.number(), key}, times, times->size() * sizeof(std::int64_t));
  }
  if (found != times_.end()) return times;
  if (times_cached_ + times->size() > times_cached_max) {
    times_.clear();
    times_cached_ = 0;
  }
  times_cached_ += times->size();
  times_.emplace(key, times);
  return times;
}

Result<SharedTimes> SegmentWalk::decode_times(const GroupTimes& place) {
  if (place.record >= file_.index().times.size())
    return fail(Code::corrupt, "segment " + file_.info().name + ": directory names times record " +
                                   std::to_string(place.record) + ", there are " +
                                   std::to_string(file_.index().times.size()));
  PLUMBLINE_TRY(const TimesRecord* record, times_record(place.record));
  const std::uint32_t number = file_.index().times[place.record].number;
  const auto damaged = [&](std::string what) {
    return fail(at(Record::times, number, {Code::corrupt, "column " + std::to_string(place.column) + ": " + what}));
  };
  if (place.column >= record->columns.size()) return damaged("there is none");
  const TimesColumn& column = record->columns[place.column];
  if (column.count != place.count) return damaged("another length than the directory says");
  std::vector<std::int64_t> times(place.count);
  if (const Status status = codec::decode_times(column.bytes, times); !status) return damaged(status.error().message);
  if (times.front() != place.min_t || times.back() != place.max_t) return damaged("other times than the directory says");
  for (std::size_t i = 1; i < times.size(); ++i)
    if (times[i - 1] >= times[i]) return damaged("times that do not ascend");
  return std::make_shared<const std::vector<std::int64_t>>(std::move(times));
}

namespace {

class VisitedChunk final : public SegmentChunk {
 public:
  VisitedChunk(SegmentWalk& walk, std::size_t group, const Directory& directory)
      : walk_(walk), group_(group), directory_(directory) {}
  void show(std::size_t series, std::size_t chunk) {
    info_ = directory_.chunk(series, chunk);
    chunk_ = chunk;
  }
  const ChunkInfo& info() const override { return info_; }
  Result<std::span<const std::int64_t>> times() const override {
    PLUMBLINE_TRY(held_, shared_times());
    return std::span<const std::int64_t>(*held_);
  }
  Result<SharedTimes> shared_times() const override { return walk_.times(directory_.times[directory_.times_of[chunk_]]); }
  Result<std::span<const double>> values() const override {
    return walk_.values(group_, chunk_, directory_.summaries.size(), info_.count);
  }
  SharedValues held_values() const override { return walk_.held_values(); }

 private:
  SegmentWalk& walk_;
  const std::size_t group_;
  const Directory& directory_;
  ChunkInfo info_;
  std::size_t chunk_ = 0;
  mutable SharedTimes held_;
};

}  // namespace

namespace {
std::atomic<std::uint64_t> opened{0};
}

SegmentFile::SegmentFile(std::unique_ptr<kv::TableReader> table, SegmentIndex index, SegmentCaches* caches)
    : table_(std::move(table)), index_(std::move(index)), caches_(caches), number_(++opened) {}

std::pair<std::uint16_t, std::uint16_t> SegmentFile::vshards_with(std::uint16_t vshard) const {
  std::pair<std::uint16_t, std::uint16_t> out{vshard, vshard};
  for (const GroupPlace& g : index_.groups) {
    if (g.first > vshard || g.last < vshard) continue;
    out.first = std::min(out.first, g.first);
    out.second = std::max(out.second, g.last);
  }
  return out;
}

Status SegmentFile::read(std::span<const SeriesRef> wanted, model::TimeRange range, const ChunkVisitor& visit, bool once) const {
  if (wanted.empty() || !range.overlaps(info().min_t, info().max_t)) return {};
  SegmentWalk walk(*this, once ? nullptr : caches_);
  std::vector<std::pair<std::size_t, std::size_t>> found;  // in `of_group`, in the directory
  for (std::size_t g = 0; g < index_.groups.size(); ++g) {
    const GroupPlace& place = index_.groups[g];
    const auto of_group = of_vshards(wanted, place.first, place.last);
    if (std::ranges::none_of(of_group, [this](const SeriesRef& s) { return index_.ids.contains(s.id); })) continue;
    PLUMBLINE_TRY(const std::shared_ptr<const Directory> held, walk.directory_with(g, [&](const std::vector<SeriesRef>& series) {
      found.clear();
      for (std::size_t i = 0; i < series.size(); ++i) {
        const auto it = std::ranges::lower_bound(of_group, series[i]);
        if (it != of_group.end() && *it == series[i]) found.emplace_back(static_cast<std::size_t>(it - of_group.begin()), i);
      }
      std::ranges::sort(found);
      return !found.empty();
    }));
    if (!held) continue;
    const Directory& directory = *held;
    VisitedChunk chunk(walk, g, directory);
    for (const auto& [_, s] : found)
      for (std::size_t c = directory.first_chunk[s]; c < directory.first_chunk[s + 1]; ++c) {
        const GroupTimes& t = directory.times[directory.times_of[c]];
        if (!range.overlaps(t.min_t, t.max_t)) continue;
        chunk.show(s, c);
        PLUMBLINE_CHECK_OK(visit(chunk));
      }
  }
  return {};
}

Result<HistogramRecord> SegmentWalk::histograms(std::size_t at_place) {
  const HistogramsPlace& place = file_.index().histograms[at_place];
  PLUMBLINE_TRY(const std::string_view bytes, body(Record::histograms, place.key_vshard, place.number));
  auto record = HistogramRecord::open(bytes, file_.day_start());
  if (!record) return fail(at(Record::histograms, place.number, record.error()));
  if (record->blocks().front().series.vshard != place.first || record->blocks().back().series.vshard != place.last)
    return fail(at(Record::histograms, place.number, {Code::corrupt, "holds other vshards than the info record says"}));
  return record;
}

Status SegmentFile::read_histograms(std::span<const SeriesRef> wanted, model::TimeRange range,
                                    const HistogramVisitor& visit) const {
  if (index_.histograms.empty() || !range.overlaps(info().min_t, info().max_t)) return {};
  SegmentWalk walk(*this);
  for (std::size_t p = 0; p < index_.histograms.size(); ++p) {
    const HistogramsPlace& place = index_.histograms[p];
    const auto of_record = of_vshards(wanted, place.first, place.last);
    if (std::ranges::none_of(of_record, [this](const SeriesRef& s) { return index_.histogram_ids.contains(s.id); })) continue;
    PLUMBLINE_TRY(const HistogramRecord record, walk.histograms(p));
    for (const HistogramRecord::Block& block : record.blocks()) {
      if (!range.overlaps(block.min_t, block.max_t) || !std::ranges::binary_search(of_record, block.series)) continue;
      std::vector<model::HistogramSample> samples;
      if (const Status read = record.read(block, samples); !read)
        return fail(walk.at(Record::histograms, place.number, read.error()));
      std::erase_if(samples, [&](const model::HistogramSample& s) { return !range.contains(s.t); });
      if (!samples.empty()) PLUMBLINE_CHECK_OK(visit(block.series, std::move(samples)));
    }
  }
  return {};
}

Result<std::vector<SeriesRef>> SegmentFile::histogram_order(std::uint16_t first, std::uint16_t last) const {
  std::vector<SeriesRef> out;
  SegmentWalk walk(*this);
  for (std::size_t p = 0; p < index_.histograms.size(); ++p) {
    if (index_.histograms[p].last < first || index_.histograms[p].first > last) continue;
    PLUMBLINE_TRY(const HistogramRecord record, walk.histograms(p));
    for (const HistogramRecord::Block& b : record.blocks())
      if (b.series.vshard >= first && b.series.vshard <= last && (out.empty() || out.back() != b.series)) out.push_back(b.series);
  }
  return out;
}

Status Segment::read_summaries(std::span<const SeriesRef> wanted, model::TimeRange range,
                               const std::function<Status(const ChunkInfo&)>& visit) const {
  return read(wanted, range, [&](const SegmentChunk& chunk) { return visit(chunk.info()); });
}

Result<std::vector<SeriesRef>> SegmentFile::order(std::uint16_t first, std::uint16_t last) const {
  std::vector<SeriesRef> out;
  SegmentWalk walk(*this);
  for (std::size_t g = 0; g < index_.groups.size(); ++g) {
    if (index_.groups[g].last < first || index_.groups[g].first > last) continue;
    PLUMBLINE_TRY(const DirectoryDecoder decoder, walk.directory(g));
    for (const SeriesRef& s : decoder.series())
      if (s.vshard >= first && s.vshard <= last && (out.empty() || out.back() != s)) out.push_back(s);
  }
  return out;
}

std::uint64_t SegmentFile::memory_bytes() const {
  return sizeof *this + index_.groups.capacity() * sizeof(GroupPlace) + index_.times.capacity() * sizeof(TimesPlace) +
         index_.ids.getSizeInBytes() + index_.histogram_ids.getSizeInBytes() +
         index_.histograms.capacity() * sizeof(HistogramsPlace);
}

}  // namespace plumbline::storage::series
