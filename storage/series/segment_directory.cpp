#include "storage/series/segment_directory.hpp"

#include <limits>

#include "storage/codec/value_group.hpp"
#include "storage/kv/kv.hpp"

namespace plumbline::storage::series {

namespace {

// Differences wrap: the first and the last day reach to the ends of i64.
std::int64_t minus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
std::int64_t plus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

void put_zigzags(ByteWriter& out, const std::vector<GroupTimes>& times, auto value) {
  std::int64_t previous = 0;
  for (const GroupTimes& t : times) {
    const std::int64_t v = value(t);
    out.zigzag(minus(v, previous));
    previous = v;
  }
}

}  // namespace

void DirectoryEncoder::add_series(SeriesRef series) {
  series_.push_back(series);
  chunks_of_.push_back(0);
}

void DirectoryEncoder::add_chunk(std::uint32_t times, ChunkKind kind, std::uint32_t count, const ChunkSummary& summary) {
  ++chunks_of_.back();
  ++chunks_;
  times_.push_back(times);
  kinds_.push_back(static_cast<std::uint64_t>(kind));
  summaries_.add(summary, count);
}

std::string DirectoryEncoder::finish(std::int64_t day_start, const std::vector<GroupTimes>& times) {
  ByteWriter out;
  out.varint(series_.size());
  out.varint(chunks_);
  for (std::size_t i = 0; i < series_.size();) {
    std::size_t end = i;
    while (end < series_.size() && series_[end].vshard == series_[i].vshard) ++end;
    out.varint(series_[i].vshard);
    out.varint(end - i);
    i = end;
  }
  std::uint32_t id = 0;
  for (const SeriesRef& s : series_) {
    out.zigzag(std::int64_t{s.id} - id);
    id = s.id;
  }
  put_column(out, chunks_of_);
  out.varint(times.size());
  put_zigzags(out, times, [](const GroupTimes& t) { return std::int64_t{t.record}; });
  put_zigzags(out, times, [](const GroupTimes& t) { return std::int64_t{t.column}; });
  put_zigzags(out, times, [](const GroupTimes& t) { return std::int64_t{t.count}; });
  put_zigzags(out, times, [&](const GroupTimes& t) { return minus(t.min_t, day_start); });
  put_zigzags(out, times, [](const GroupTimes& t) { return minus(t.max_t, t.min_t); });
  put_column(out, times_);
  put_column(out, kinds_);
  summaries_.finish(out);
  series_.clear();
  chunks_of_.clear();
  times_.clear();
  kinds_.clear();
  chunks_ = 0;
  return pack(out.str());
}

std::uint64_t Directory::memory_bytes() const {
  return sizeof *this + series.capacity() * sizeof(SeriesRef) + first_chunk.capacity() * 4 +
         times.capacity() * sizeof(GroupTimes) + times_of.capacity() * 4 + kinds.capacity() +
         summaries.capacity() * sizeof(ChunkSummary);
}

ChunkInfo Directory::chunk(std::size_t series_at, std::size_t chunk_at) const {
  const GroupTimes& t = times[times_of[chunk_at]];
  return {series[series_at].id, series[series_at].vshard, kinds[chunk_at], t.count, t.min_t, t.max_t, summaries[chunk_at]};
}

Result<DirectoryDecoder> DirectoryDecoder::open(std::string_view body) {
  DirectoryDecoder out;
  PLUMBLINE_TRY(out.bytes_, unpack(body));
  NumberReader in(out.bytes_);
  const std::uint64_t series = in.varint();
  const std::uint64_t chunks = in.varint();
  if (!in.ok() || series == 0 || series > chunks || chunks > codec::group_columns_max || series > in.left())
    return fail(Code::corrupt, "directory of " + std::to_string(series) + " series and " + std::to_string(chunks) + " chunks");
  out.chunks_ = chunks;
  auto& refs = out.directory_.series;
  refs.reserve(series);
  while (refs.size() < series) {
    const std::uint64_t vshard = in.varint();
    const std::uint64_t run = in.varint();
    if (!in.ok() || vshard >= kv::vshards || run == 0 || run > series - refs.size() ||
        (!refs.empty() && vshard <= refs.back().vshard))
      return fail(Code::corrupt, "directory whose vshards make no sense");
    refs.resize(refs.size() + run, {static_cast<std::uint16_t>(vshard), 0});
  }
  std::int64_t id = 0;
  for (SeriesRef& ref : refs) {
    id = plus(id, in.zigzag());
    if (id < 0 || id > std::numeric_limits<std::uint32_t>::max())
      return fail(Code::corrupt, "directory whose ids make no sense");
    ref.id = static_cast<std::uint32_t>(id);
  }
  if (!in.ok()) return fail(Code::corrupt, "directory ends early");
  out.at_ = out.bytes_.size() - in.left();
  return out;
}

Result<Directory> DirectoryDecoder::finish(std::int64_t day_start) && {
  NumberReader in(std::string_view(bytes_).substr(at_));
  Directory out = std::move(directory_);
  std::uint64_t chunk = 0;
  bool sound = true;
  for (const std::uint64_t n : get_column(in, out.series.size())) {
    out.first_chunk.push_back(static_cast<std::uint32_t>(chunk));
    sound = sound && n >= 1 && n <= chunks_ - chunk;
    if (!sound) break;
    chunk += n;
  }
  out.first_chunk.push_back(static_cast<std::uint32_t>(chunk));
  const std::uint64_t distinct = in.varint();
  if (!sound || chunk != chunks_ || distinct == 0 || distinct > chunks_ || distinct > in.left())
    return fail(Code::corrupt, "directory whose chunks make no sense");
  out.times.resize(distinct);
  const auto column = [&](auto set) {
    std::int64_t v = 0;
    for (GroupTimes& t : out.times) set(t, v = plus(v, in.zigzag()));
  };
  const auto small = [&](std::int64_t v, std::int64_t least, std::int64_t most) {
    sound = sound && v >= least && v <= most;
    return static_cast<std::uint32_t>(v);
  };
  constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
  column([&](GroupTimes& t, std::int64_t v) { t.record = small(v, 0, most); });
  column([&](GroupTimes& t, std::int64_t v) { t.column = small(v, 0, most); });
  column([&](GroupTimes& t, std::int64_t v) { t.count = small(v, 1, chunk_samples_max); });
  column([&](GroupTimes& t, std::int64_t v) { t.min_t = plus(v, day_start); });
  column([&](GroupTimes& t, std::int64_t v) {
    t.max_t = plus(t.min_t, v);
    sound = sound && t.max_t >= t.min_t;
  });
  std::vector<std::uint32_t> counts;
  counts.reserve(chunks_);
  out.times_of.reserve(chunks_);
  for (const std::uint64_t t : get_column(in, chunks_)) {
    if (t >= distinct) return fail(Code::corrupt, "directory with a chunk of unknown times");
    out.times_of.push_back(static_cast<std::uint32_t>(t));
    counts.push_back(out.times[t].count);
  }
  for (const std::uint64_t kind : get_column(in, chunks_)) {
    if (kind > 0) return fail(Code::unsupported, "chunk of kind " + std::to_string(kind) + ", this Plumbline reads 0");
    out.kinds.push_back(static_cast<ChunkKind>(kind));
  }
  if (!sound || !in.ok()) return fail(Code::corrupt, "directory that makes no sense");
  PLUMBLINE_TRY(out.summaries, decode_summaries(in, counts));
  if (in.left() != 0) return fail(Code::corrupt, "directory with bytes left over");
  return out;
}

}  // namespace plumbline::storage::series
