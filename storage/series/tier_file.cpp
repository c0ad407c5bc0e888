#include "storage/series/tier_file.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "daemon/base/check.hpp"
#include "storage/kv/kv.hpp"
#include "storage/series/segment_format.hpp"
#include "storage/series/summary_column.hpp"

namespace plumbline::storage::series {

namespace {

constexpr std::size_t problems_max = 1000;

std::int64_t day_start(std::uint32_t day) { return std::int64_t{day} * day_ms; }
// Of the buckets of a day: 0 is the sample of its midnight, the last one lacks that of the next.
std::int64_t number_of(std::int64_t t, std::int64_t start, std::int64_t resolution) { return (t - start + resolution - 1) / resolution; }

std::string key_of(const TierGroup& group, std::size_t number) { return record_key(group.first, static_cast<std::uint32_t>(number)); }

}  // namespace

std::string tier_name(std::uint32_t day, std::int64_t resolution, std::uint32_t generation) {
  const std::string dated = segment_name(day, 0);
  return fmt::format("{}-{}-{:08x}.sst", dated.substr(0, dated.find('-')), resolution == tier_1h ? "1h" : "5m", generation);
}

std::uint32_t tier_generation(std::string_view name) {
  std::uint32_t out = 0;
  std::from_chars(name.data() + name.rfind('-') + 1, name.data() + name.size(), out, 16);
  return out;
}

bool is_tier_name(std::string_view name) {
  return name.ends_with(".sst") && (name.find("-5m-") != std::string_view::npos || name.find("-1h-") != std::string_view::npos);
}

std::vector<TierBucket> to_buckets(std::span<const std::int64_t> times, std::span<const double> values, std::int64_t resolution) {
  std::vector<TierBucket> out;
  std::vector<double> kept;
  TierBucket bucket;
  const auto close = [&] {
    if (kept.empty()) return;
    bucket.summary = summarize(std::span<const double>(kept));
    out.push_back(bucket);
    kept.clear();
  };
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (model::is_stale(values[i])) continue;
    const std::int64_t start = day_start(day_of(times[i]));
    const std::int64_t end = start + number_of(times[i], start, resolution) * resolution;
    if (kept.empty() || end != bucket.end) {
      close();
      bucket.end = end;
      bucket.first_t = times[i];
    }
    bucket.last_t = times[i];
    kept.push_back(values[i]);
  }
  close();
  return out;
}

std::string encode_tier_group(std::span<const TierSeries> group, std::uint32_t day, std::int64_t resolution) {
  ByteWriter out;
  out.varint(group.size());
  std::vector<std::uint64_t> numbers, before, behind, counts;
  SummaryEncoder summaries;
  SeriesRef last;
  for (const TierSeries& s : group) {
    out.varint(static_cast<std::uint64_t>(s.series.vshard - last.vshard));
    out.zigzag(static_cast<std::int64_t>(s.series.id) - static_cast<std::int64_t>(last.id));
    out.varint(s.buckets.size());
    last = s.series;
    std::int64_t number = -1;
    for (const TierBucket& b : s.buckets) {
      const std::int64_t here = (b.end - day_start(day)) / resolution;
      numbers.push_back(static_cast<std::uint64_t>(here - number - 1));
      before.push_back(static_cast<std::uint64_t>(b.first_t - (b.end - resolution) - 1));
      behind.push_back(static_cast<std::uint64_t>(b.end - b.last_t));
      counts.push_back(b.summary.count);
      summaries.add(b.summary, b.summary.count);
      number = here;
    }
  }
  for (const auto* column : {&numbers, &before, &behind, &counts}) put_column(out, *column);
  summaries.finish(out);
  return pack(out.str());
}

Result<std::vector<TierSeries>> decode_tier_group(std::string_view body, std::uint32_t day, std::int64_t resolution) {
  PLUMBLINE_TRY(const std::string bytes, unpack(body));
  NumberReader in(bytes);
  const std::uint64_t series = in.varint();
  if (series > in.left()) return fail(Code::corrupt, "tier group with more series than bytes");
  std::vector<TierSeries> out(series);
  std::uint64_t vshard = 0;
  std::int64_t id = 0;
  std::size_t buckets = 0;
  const auto per_day = static_cast<std::uint64_t>(day_ms / resolution) + 1;
  for (TierSeries& s : out) {
    const std::uint64_t step = in.varint();
    const std::int64_t id_step = in.zigzag();
    const std::uint64_t count = in.varint();
    if (!in.ok() || step >= kv::vshards - vshard || id_step < -id || id_step > std::int64_t{0xffff'ffff} - id || count == 0 || count > per_day ||
        buckets + count > tier_group_buckets_max)
      return fail(Code::corrupt, "tier group whose series make no sense");
    vshard += step;
    id += id_step;
    s.series = {static_cast<std::uint16_t>(vshard), static_cast<std::uint32_t>(id)};
    s.buckets.resize(count);
    buckets += count;
  }
  const auto numbers = get_column(in, buckets), before = get_column(in, buckets), behind = get_column(in, buckets);
  const auto counts = get_column(in, buckets);
  std::vector<std::uint32_t> samples(buckets);
  const auto length = static_cast<std::uint64_t>(resolution);
  for (std::size_t i = 0; i < buckets; ++i) {
    if (counts[i] == 0 || counts[i] > length) return fail(Code::corrupt, "tier bucket whose count makes no sense");
    samples[i] = static_cast<std::uint32_t>(counts[i]);
  }
  PLUMBLINE_TRY(const auto summaries, decode_summaries(in, samples));
  if (in.left() != 0) return fail(Code::corrupt, "tier group with bytes behind its end");
  std::size_t i = 0;
  for (TierSeries& s : out) {
    std::int64_t number = -1;
    for (TierBucket& b : s.buckets) {
      const auto left = static_cast<std::int64_t>(per_day) - 1 - number;  // the number is below per_day
      if (numbers[i] >= static_cast<std::uint64_t>(left) || before[i] >= length || behind[i] >= length || before[i] + behind[i] >= length ||
          summaries[i].has_stale)
        return fail(Code::corrupt, "tier bucket whose times make no sense");
      number += static_cast<std::int64_t>(numbers[i]) + 1;
      b.end = day_start(day) + number * resolution;
      b.first_t = b.end - resolution + 1 + static_cast<std::int64_t>(before[i]);
      b.last_t = b.end - static_cast<std::int64_t>(behind[i]);
      b.summary = summaries[i];
      if (day_of(b.first_t) != day || day_of(b.last_t) != day) return fail(Code::corrupt, "tier bucket of another day");
      ++i;
    }
  }
  return out;
}

std::string encode_tier_info(const TierInfo& info) {
  ByteWriter out;
  out.varint(info.day);
  out.varint(static_cast<std::uint64_t>(info.resolution));
  out.varint(info.buckets);
  out.varint(info.groups.size());
  std::uint16_t vshard = 0;
  for (const TierGroup& g : info.groups) {
    out.varint(static_cast<std::uint64_t>(g.first - vshard));
    out.varint(static_cast<std::uint64_t>(g.last - g.first));
    vshard = g.first;
  }
  std::string ids(info.ids.getSizeInBytes(), '\0');
  info.ids.write(ids.data());
  out.sized(ids);
  return out.take();
}

Result<TierInfo> decode_tier_info(std::string_view body) {
  ByteReader in(body);
  TierInfo out;
  const std::uint64_t day = in.varint();
  const std::uint64_t resolution = in.varint();
  out.buckets = in.varint();
  const std::uint64_t groups = in.varint();
  std::uint64_t vshard = 0;
  bool sound = day <= 0xffff'ffff && (resolution == tier_5m || resolution == tier_1h);
  for (std::uint64_t i = 0; i < groups && in.ok() && sound; ++i) {
    const std::uint64_t first = in.varint();
    const std::uint64_t more = in.varint();
    sound = first < kv::vshards - vshard && more < kv::vshards - vshard - first;
    if (!sound) break;
    vshard += first;
    sound = out.groups.empty() || vshard >= out.groups.back().last;
    if (!sound) break;
    out.groups.push_back({static_cast<std::uint16_t>(vshard), static_cast<std::uint16_t>(vshard + more)});
  }
  const std::string_view ids = in.sized();
  if (!in.ok() || !in.done() || !sound) return fail(Code::corrupt, "tier info record that makes no sense");
  out.day = static_cast<std::uint32_t>(day);
  out.resolution = static_cast<std::int64_t>(resolution);
  try {
    out.ids = Roaring::readSafe(ids.data(), ids.size());
  } catch (const std::exception& e) {
    return fail(Code::corrupt, std::string("tier info record whose ids do not read: ") + e.what());
  }
  return out;
}

Result<std::unique_ptr<TierWriter>> TierWriter::create(const kv::TableFiles& files, std::uint32_t day, std::int64_t resolution) {
  // A name is used once: a commit that failed may come back after a crash, and names the file as it was.
  for (std::uint32_t generation = 0;; ++generation) {
    std::string name = tier_name(day, resolution, generation);
    PLUMBLINE_TRY(const bool used, files.exists(name));
    if (used) continue;
    PLUMBLINE_TRY(auto table, files.create(name));
    return std::make_unique<TierWriter>(std::move(table), std::move(name), day, resolution);
  }
}

TierWriter::TierWriter(std::unique_ptr<kv::TableWriter> table, std::string name, std::uint32_t day, std::int64_t resolution)
    : table_(std::move(table)) {
  info_.name = std::move(name);
  info_.day = day;
  info_.resolution = resolution;
}

Status TierWriter::add(SeriesRef series, std::span<const std::int64_t> times, std::span<const double> values) {
  return add(TierSeries{series, to_buckets(times, values, info_.resolution)});
}

Status TierWriter::add(TierSeries series) {
  if (series.buckets.empty()) return {};
  const std::uint16_t last = !group_.empty() ? group_.back().series.vshard : info_.groups.empty() ? std::uint16_t{0} : info_.groups.back().last;
  if (series.series.vshard < last || info_.ids.contains(series.series.id))
    return fail(Code::corrupt, fmt::format("tier {}: series {} of vshard {} comes twice, or behind vshard {}", info_.name, series.series.id,
                                           series.series.vshard, last));
  info_.ids.add(series.series.id);
  group_buckets_ += series.buckets.size();
  info_.buckets += series.buckets.size();
  group_.push_back(std::move(series));
  return group_buckets_ >= tier_group_buckets ? flush() : Status{};
}

Status TierWriter::flush() {
  if (group_.empty()) return {};
  const TierGroup place{group_.front().series.vshard, group_.back().series.vshard};
  const std::string body = encode_tier_group(group_, info_.day, info_.resolution);
  PLUMBLINE_CHECK_OK(table_->put(key_of(place, info_.groups.size()), frame_record(Record::tier_buckets, body)));
  info_.groups.push_back(place);
  group_.clear();
  group_buckets_ = 0;
  return {};
}

Result<SegmentInfo> TierWriter::finish() {
  PLUMBLINE_CHECK_OK(flush());
  info_.ids.runOptimize();
  PLUMBLINE_CHECK_OK(table_->put(info_key(), frame_record(Record::tier_info, encode_tier_info(info_))));
  SegmentInfo out;
  out.name = info_.name;
  out.day = info_.day;
  out.series = info_.ids.cardinality();
  out.samples = info_.buckets;
  PLUMBLINE_TRY(out.bytes, table_->finish());
  return out;
}

Result<std::shared_ptr<const TierFile>> TierFile::open(const kv::TableFiles& files, const std::string& name) {
  PLUMBLINE_TRY(auto table, files.read(name));
  const auto info = [&]() -> Result<TierInfo> {
    kv::TableReader::Getter getter(*table);
    PLUMBLINE_TRY(const std::string_view value, getter.get(info_key()));
    PLUMBLINE_TRY(const std::string_view body, unframe_record(Record::tier_info, value));
    return decode_tier_info(body);
  }();
  if (!info) return fail(info.error().in("tier " + name));
  TierInfo known = *info;
  known.name = name;
  known.bytes = table->bytes();
  return std::shared_ptr<const TierFile>(new TierFile(std::move(table), std::move(known)));
}

Result<std::vector<TierSeries>> TierFile::group(kv::TableReader::Getter& getter, std::size_t number) const {
  const auto read = [&]() -> Result<std::vector<TierSeries>> {
    PLUMBLINE_TRY(const std::string_view value, getter.get(key_of(info_.groups[number], number)));
    PLUMBLINE_TRY(const std::string_view body, unframe_record(Record::tier_buckets, value));
    PLUMBLINE_TRY(auto out, decode_tier_group(body, info_.day, info_.resolution));
    if (out.empty() || out.front().series.vshard != info_.groups[number].first || out.back().series.vshard != info_.groups[number].last)
      return fail(Code::corrupt, "its series are not those that the info record names");
    return out;
  };
  auto out = read();
  if (!out) return fail(out.error().in(fmt::format("tier {}: group record {}", info_.name, number)));
  return out;
}

Status TierFile::read(std::span<const SeriesRef> wanted, const std::function<Status(const TierSeries&)>& visit) const {
  std::optional<kv::TableReader::Getter> getter;  // opening one costs more than a look into the ids
  for (std::size_t g = 0; g < info_.groups.size(); ++g) {
    const auto from = std::ranges::lower_bound(wanted, info_.groups[g].first, {}, &SeriesRef::vshard);
    const auto to = std::ranges::upper_bound(wanted, info_.groups[g].last, {}, &SeriesRef::vshard);
    if (std::none_of(from, to, [&](const SeriesRef& s) { return info_.ids.contains(s.id); })) continue;
    if (!getter) getter.emplace(*table_);
    PLUMBLINE_TRY(const auto series, group(*getter, g));
    for (const TierSeries& s : series)
      if (std::binary_search(from, to, s.series)) PLUMBLINE_CHECK_OK(visit(s));
  }
  return {};
}

Status TierFile::read_all(const std::function<Status(TierSeries&&)>& visit) const {
  kv::TableReader::Getter getter(*table_);
  for (std::size_t g = 0; g < info_.groups.size(); ++g) {
    PLUMBLINE_TRY(auto series, group(getter, g));
    for (TierSeries& s : series) PLUMBLINE_CHECK_OK(visit(std::move(s)));
  }
  return {};
}

std::vector<std::string> TierFile::verify() const {
  std::vector<std::string> problems;
  const auto tell = [&](const std::string& what) {
    if (problems.size() < problems_max) problems.push_back("tier " + info_.name + ": " + what);
  };
  if (const Status blocks = table_->verify(); !blocks) tell("blocks: " + blocks.error().message);
  Roaring seen;
  std::uint64_t buckets = 0;
  bool whole = true;
  kv::TableReader::Getter getter(*table_);
  for (std::size_t g = 0; g < info_.groups.size(); ++g) {
    const auto series = group(getter, g);
    if (!series) {
      whole = false;
      if (problems.size() < problems_max) problems.push_back(series.error().message);
      continue;
    }
    for (const TierSeries& s : *series) {
      const std::string where = "series " + std::to_string(s.series.id) + ": ";
      if (!seen.addChecked(s.series.id)) tell(where + "stands twice");
      buckets += s.buckets.size();
      for (const TierBucket& b : s.buckets)
        if (b.summary.min > b.summary.max || b.summary.first < b.summary.min || b.summary.last > b.summary.max)
          tell(where + "a bucket whose first or last is outside of its least and greatest");
    }
  }
  if (whole && !(seen == info_.ids)) tell("the series found are not those of the info record");
  if (whole && buckets != info_.buckets)
    tell(fmt::format("info record counts {} buckets, there are {}", info_.buckets, buckets));
  return problems;
}

}  // namespace plumbline::storage::series
