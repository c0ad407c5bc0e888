// The metric engine's files: segments and their records, summaries, chunks of format 1; and the shape of a regex.
#include <fstream>

#include "daemon/base/text.hpp"
#include "storage/kv/kv.hpp"
#include "storage/series/legacy_chunk.hpp"
#include "storage/series/regex_shape.hpp"
#include "storage/series/segment_directory.hpp"
#include "storage/series/segment_format.hpp"
#include "storage/series/segment_histograms.hpp"
#include "storage/series/segment_writer.hpp"
#include "storage/series/tier_file.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/support.hpp"

namespace plumbline::fuzz {
namespace {

using namespace storage;
using namespace storage::series;

constexpr std::uint32_t day = 19675;

void index(std::string_view bytes) {
  const auto decoded = decode_index(bytes);
  if (!decoded) return;
  const std::string canonical = encode_index(*decoded);
  const auto again = decode_index(canonical);
  PLUMBLINE_CHECK(again && encode_index(*again) == canonical, "an index reads back");
  for (std::size_t i = 1; i < decoded->groups.size(); ++i)
    PLUMBLINE_CHECK(decoded->groups[i].first >= decoded->groups[i - 1].first && decoded->groups[i].number >= decoded->groups[i - 1].number,
                    "positions never run backwards");
}

void directory(std::string_view bytes) {
  auto opened = DirectoryDecoder::open(bytes);
  if (!opened) return;
  const auto read = std::move(*opened).finish(std::int64_t{day} * day_ms);
  if (!read) return;
  PLUMBLINE_CHECK(read->first_chunk.size() == read->series.size() + 1 && read->first_chunk.back() == read->summaries.size(),
                  "every chunk has a series");
  for (std::size_t s = 0; s < read->series.size(); ++s)
    for (std::size_t c = read->first_chunk[s]; c < read->first_chunk[s + 1]; ++c) (void)read->chunk(s, c);
}

void histograms(std::string_view bytes) {
  const auto record = HistogramRecord::open(bytes, std::int64_t{day} * day_ms);
  if (!record) return;
  std::vector<model::HistogramSample> samples;
  for (const HistogramRecord::Block& block : record->blocks()) {
    samples.clear();
    if (record->read(block, samples)) PLUMBLINE_CHECK(samples.size() == block.count, "a block has its samples");
  }
}
std::vector<std::string> histogram_seeds() {
  model::Histogram h;
  h.layout = {3, 0.001, {{-2, 2}, {1, 1}}, {{0, 1}}, {}};
  h.positive = {1, 2, 3};
  h.negative = {4};
  h.count = 10;
  const std::vector<model::HistogramSample> samples{{1'700'000'000'000, h}, {1'700'000'015'000, h}};
  HistogramEncoder encoder;
  encoder.add({3, 300}, samples);
  encoder.add({200, 7}, samples);
  const std::string body = encoder.finish(std::int64_t{day} * day_ms);
  return {body, '\0' + *unpack(body)};
}

void times_record(std::string_view bytes) { (void)decode_times_record(bytes); }

void summaries(std::string_view bytes) {
  Input in(bytes);
  std::vector<std::uint32_t> samples(1 + in.below(64));
  for (std::uint32_t& n : samples) n = static_cast<std::uint32_t>(1 + in.below(chunk_samples_max));
  NumberReader reader(in.rest());
  const auto decoded = decode_summaries(reader, samples);
  if (!decoded) return;
  SummaryEncoder encoder;
  for (std::size_t i = 0; i < samples.size(); ++i) encoder.add((*decoded)[i], samples[i]);
  ByteWriter out;
  encoder.finish(out);
  NumberReader back(out.str());
  const auto again = decode_summaries(back, samples);
  PLUMBLINE_CHECK(again && back.left() == 0, "what was decoded is encoded and decoded again");
  const auto bits = [](double v) { return std::bit_cast<std::uint64_t>(v); };
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const ChunkSummary& a = (*decoded)[i];
    const ChunkSummary& b = (*again)[i];
    PLUMBLINE_CHECK(a.count == b.count && a.has_stale == b.has_stale, "counts come back");
    if (a.count > 0) PLUMBLINE_CHECK(bits(a.first) == bits(b.first) && bits(a.last) == bits(b.last) && bits(a.min) == bits(b.min) && bits(a.max) == bits(b.max), "values come back with their bits");
  }
}

void record_frame(std::string_view bytes) {
  Input in(bytes);
  const auto kind = static_cast<Record>(in.byte() % 4);
  const std::string_view body = in.rest();
  (void)unframe_record(kind, body);
  const std::string framed = frame_record(kind, body);
  PLUMBLINE_CHECK(unframe_record(kind, framed) == body, "a record reads back");
  (void)unpack(body);
  PLUMBLINE_CHECK(unpack(pack(body)) == body, "packing is undone");
}

const kv::TableFiles& files(const std::string& folder) {
  static const auto opened = kv::TableFiles::open({folder, 1 << 20, nullptr});
  PLUMBLINE_CHECK(opened.has_value(), "the folder opens");
  return **opened;
}
std::string folder() {
  static const test::TempDir directory;
  return directory.path("segments");
}

void read_all(const Segment& segment) {
  for (const std::string& problem : segment.verify()) PLUMBLINE_CHECK(!problem.empty(), "a problem is named");
  auto order = segment.order(0, 255);
  if (!order) return;
  std::ranges::sort(*order);
  order->erase(std::unique(order->begin(), order->end()), order->end());
  std::vector<model::Sample> samples;
  (void)segment.read(*order, {}, [&](const SegmentChunk& chunk) {
    samples.clear();
    return chunk.samples({}, samples);
  });
  (void)segment.read_summaries(*order, {}, [](const ChunkInfo&) { return Status{}; });
}

// A segment whose records have good checksums: bodies of info, times, directory and payload.
void segment(std::string_view bytes) {
  Input in(bytes);
  const std::string info = frame_record(Record::info, in.piece());
  const std::string times = frame_record(Record::times, in.piece());
  const std::string list = frame_record(Record::directory, in.piece());
  const std::string payload = frame_record(Record::payload, in.rest());
  const std::string name = segment_name(day, 1);
  const kv::TableFiles& at = files(folder());
  auto writer = at.create(name);
  PLUMBLINE_CHECK(writer.has_value(), "the file is made");
  PLUMBLINE_CHECK((*writer)->put(record_key(3, 0), list) && (*writer)->put(record_key(3, 1), payload) &&
                      (*writer)->put(record_key(3, 2), times) && (*writer)->put(info_key(), info) && (*writer)->finish(),
                  "the file is written");
  const auto opened = Segment::open(at, name);
  if (opened) read_all(**opened);
}

// The bytes of a whole file, behind whose checksums little is reached: the frame of the file itself.
void segment_file(std::string_view bytes) {
  const std::string name = segment_name(day, 2);
  const kv::TableFiles& at = files(folder());
  std::ofstream(folder() + "/" + name, std::ios::binary) << bytes;
  const auto opened = Segment::open(at, name);
  if (opened) read_all(**opened);
}

// The name decides which seal a file is of.
void names(std::string_view bytes) { (void)segment_generation(std::string(bytes)); }

void legacy_chunk(std::string_view bytes) {
  (void)parse_legacy_chunk_key(bytes);
  ByteWriter value;
  value.raw(bytes);
  value.le32(crc32c(bytes));
  std::vector<model::Sample> samples;
  (void)decode_legacy_chunk(7, value.str(), samples);
}

void tier_group(std::string_view bytes) {
  const auto group = decode_tier_group(bytes, day, tier_1h);
  if (!group) return;
  for (const TierSeries& s : *group)
    for (const TierBucket& b : s.buckets)
      PLUMBLINE_CHECK(b.first_t <= b.last_t && b.last_t <= b.end && b.first_t > b.end - tier_1h && day_of(b.last_t) == day, "a bucket lies in its day");
  const std::string canonical = encode_tier_group(*group, day, tier_1h);
  const auto again = decode_tier_group(canonical, day, tier_1h);
  PLUMBLINE_CHECK(again && again->size() == group->size(), "a group reads back");
}
void tier_info(std::string_view bytes) {
  const auto info = decode_tier_info(bytes);
  if (!info) return;
  const auto again = decode_tier_info(encode_tier_info(*info));
  PLUMBLINE_CHECK(again && again->groups == info->groups && again->ids == info->ids, "a tier's info reads back");
}
std::vector<TierSeries> tier_example() {
  const std::int64_t start = std::int64_t{day} * day_ms;
  const std::vector<std::int64_t> times{start, start + 1, start + tier_1h, start + day_ms - 1};
  const std::vector<double> values{1, 2.5, 3, 1.0 / 3};
  return {{{3, 300}, to_buckets(times, values, tier_1h)}, {{3, 7}, to_buckets(times, std::vector<double>(4, 2.0), tier_1h)}};
}

// The pattern, a line feed, a value: where the shape decides, it decides as the regex does.
void regex(std::string_view bytes) {
  const std::string_view pattern = bytes.substr(0, bytes.find('\n'));
  std::string value(bytes.substr(std::min(bytes.size(), pattern.size() + 1)));
  if (!valid_utf8(value)) value = "abc";
  const auto matcher = model::Matcher::make(model::MatchOp::regex, "a", std::string(pattern));
  if (!matcher) return;
  const RegexShape shape = regex_shape(pattern);
  if (!shape.known()) return;
  const bool matches = matcher->matches(value);
  if (shape.exact()) PLUMBLINE_CHECK(shape.admits(value) == matches, "an exact shape says what the regex says");
  else PLUMBLINE_CHECK(shape.admits(value) || !matches, "a shape is necessary");
}

struct Parts {
  std::string info, times, directory, payload, file;
};
Parts parts() {
  const std::int64_t start = std::int64_t{day} * day_ms;
  std::vector<std::int64_t> times;
  std::vector<double> values;
  for (int i = 0; i < 30; ++i) {
    times.push_back(start + i * 15'000);
    values.push_back(i % 7 * 0.5);
  }
  auto writer = SegmentWriter::create(files(folder()), day, 3);
  PLUMBLINE_CHECK(writer && (*writer)->add({3, 300}, times, values) && (*writer)->add({3, 301}, times, std::vector<double>(30, 2.0)),
                  "a segment is written");
  const auto info = (*writer)->finish();
  const auto table = files(folder()).read(info->name);
  kv::TableReader::Getter getter(**table);
  const auto body = [&](Record kind, const std::string& key) {
    const auto value = getter.get(key);
    PLUMBLINE_CHECK(value.has_value(), "the record is there");
    const auto unframed = unframe_record(kind, *value);
    PLUMBLINE_CHECK(unframed.has_value(), "the record is of its kind");
    return std::string(*unframed);
  };
  Parts out;
  out.directory = body(Record::directory, record_key(3, 0));
  out.payload = body(Record::payload, record_key(3, 1));
  out.times = body(Record::times, record_key(3, 2));
  out.info = body(Record::info, info_key());
  std::ifstream in(folder() + "/" + info->name, std::ios::binary);
  out.file.assign(std::istreambuf_iterator<char>(in), {});
  return out;
}
std::vector<std::string> summary_seeds() {
  SummaryEncoder encoder;
  std::string counts{3, 0};
  const double lists[][4] = {{1, 2, 3, 4}, {0.5, 0.25, 1.75, 0.5}, {7, 7, 7, 7}, {1e300, -1e-300, 3, 1.0 / 3}};
  for (const auto& list : lists) {
    encoder.add(summarize(std::span<const double>(list)), 4);
    counts += {3, 0};
  }
  ByteWriter out;
  encoder.finish(out);
  return {counts + out.str()};
}

}  // namespace

Targets series_targets() {
  return {
      {"segment_index", index, [] { return std::vector<std::string>{parts().info}; }},
      {"segment_directory", directory, [] { return std::vector<std::string>{parts().directory, '\0' + *unpack(parts().directory)}; }},
      {"segment_histograms", histograms, histogram_seeds},
      {"segment_times", times_record, [] { return std::vector<std::string>{parts().times}; }},
      {"segment_summaries", summaries, summary_seeds},
      {"segment_record", record_frame, [] { return std::vector<std::string>{'\0' + frame_record(Record::info, "abc"), '\1' + pack(std::string(50, 'x'))}; }},
      {"segment", segment, [] {
         const Parts p = parts();
         return std::vector<std::string>{piece(p.info) + piece(p.times) + piece(p.directory) + p.payload,
                                         piece(p.info) + piece(p.times) + piece('\0' + *unpack(p.directory)) + p.payload};
       }},
      {"segment_file", segment_file, [] { return std::vector<std::string>{parts().file}; }},
      {"segment_name", names, [] { return std::vector<std::string>{segment_name(day, 7), segment_name(day, 7, 3)}; }},
      {"tier_group", tier_group, [] {
         const std::string body = encode_tier_group(tier_example(), day, tier_1h);
         return std::vector<std::string>{body, '\0' + *unpack(body)};
       }},
      {"tier_info", tier_info, [] {
         TierInfo info;
         info.day = day;
         info.resolution = tier_1h;
         info.groups = {{3, 3}, {3, 200}};
         info.ids.add(300);
         return std::vector<std::string>{encode_tier_info(info)};
       }},
      {"legacy_chunk", legacy_chunk, [] { return std::vector<std::string>{std::string("\1\1\0\7\2\0\0\2", 8) + std::string(70, '\0')}; }},
      {"regex_shape", regex, [] {
         return std::vector<std::string>{"a|b|c\nb", "foo.*\nfoobar", ".+\n", ".*bar\nxbar", "prefix(a|b)\nprefixa", "(?i)x[0-9]+\nX1", ".*err.*\nan error"};
       }},
  };
}

}  // namespace plumbline::fuzz
