// The worked examples of storage/format are what the code writes: the test reads them out of the documents.
#include <fstream>
#include <sstream>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"
#include "storage/kv/close_mark.hpp"
#include "storage/model/wire_labels.hpp"
#include "storage/series/legacy_chunk.hpp"
#include "storage/series/segment_format.hpp"
#include "storage/series/series_keys.hpp"
#include "storage/series/tier_file.hpp"
#include "storage/store_keys.hpp"
#include "storage/store_record.hpp"
#include "store_fixture.hpp"
#include "tests/support/histograms.hpp"

using namespace plumbline;
using test::Sample;

namespace {

// The n-th ```hex block of a document; what stands after ';' in a line explains it.
std::string example(const std::string& document, int n) {
  std::ifstream in(std::string(PLUMBLINE_SOURCE_DIR) + "/storage/format/" + document);
  REQUIRE(in);
  std::string digits;
  std::string line;
  int block = -1;
  bool inside = false;
  while (std::getline(in, line)) {
    if (line == "```hex") {
      ++block;
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside && block == n) {
      for (const char c : line.substr(0, line.find(';')))
        if (c != ' ') digits += c;
    }
  }
  return digits;
}

std::string unhex(const std::string& digits) {
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    out += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return out;
}

storage::Record record() {
  storage::Record out;
  const auto labels = model::Labels::of({{"__name__", "up"}, {"job", "api"}});
  out.definitions = {{7, model::wire_form(labels)}};
  out.runs = {{7, 0, 2}, {8, 2, 1}};
  out.samples = {{1'700'000'000'000, 1.5}, {1'700'000'015'000, -0.0}, {1'700'000'015'000, model::stale_nan}};
  out.histogram_runs = {{9, 0, 2}};
  const model::Histogram h = test::document_histogram();
  model::Histogram later = h;
  later.reset = model::ResetHint::no_reset;
  later.positive[2] = 300;
  later.count = 312;
  out.histograms = {{1'700'000'000'000, h}, {1'700'000'015'000, later}};
  out.events = {{model::EventKind::log,
                 model::Labels::of({{"job", "api"}}),
                 {{1'700'000'000'000'000'000, {{"line", "ok"}, {"n", std::int64_t{-3}}}},
                  {1'700'000'000'000'000'001, {{"line", "no"}, {"list", model::List{2}}}}}}};
  out.labels = {{"fraud", "p1", true, 1'700'000'000'000'000'000}};
  out.metadata = {{"up", "gauge", "is it up", ""}};
  out.state = {{"rules/a", "1"}, {"rules/b", std::nullopt}};
  return out;
}

}  // namespace

TEST_CASE("the journal record of the document is what the code writes and reads") {
  const std::string bytes = storage::encode_record(record());
  CHECK(hex(bytes) == example("record.md", 0));
  const auto back = storage::decode_record(bytes);
  REQUIRE(back);
  CHECK(storage::encode_record(*back) == bytes);
  CHECK(back->samples == record().samples);
  CHECK(back->events[0].rows[1].fields == record().events[0].rows[1].fields);
  REQUIRE(back->histograms.size() == 2);
  CHECK(same_bits(back->histograms[1].h, record().histograms[1].h));
  for (std::size_t i = 1; i < bytes.size(); ++i) {
    const auto part = storage::decode_record(std::string_view(bytes).substr(0, i));
    if (part) CHECK(storage::encode_record(*part) == bytes.substr(0, i));  // it may end behind a section
  }
}

TEST_CASE("a record of version 2, which had no histograms, is read") {
  storage::Record floats = record();
  floats.histogram_runs.clear();
  floats.histograms.clear();
  std::string bytes = storage::encode_record(floats);
  bytes[0] = 2;
  const auto back = storage::decode_record(bytes);
  REQUIRE(back);
  CHECK(back->samples == floats.samples);
  CHECK(back->state.size() == floats.state.size());
}

TEST_CASE("a journal record with bad content is refused") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::string good = storage::encode_record(record());
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    for (std::size_t i = 0, n = 1 + random() % 3; i < n; ++i) bad[1 + random() % (bad.size() - 1)] = static_cast<char>(random());
    (void)storage::decode_record(bad);  // any answer but a crash or a huge allocation
  }
  // The last number stands for no series, and look-ups answer with it.
  for (const auto runs : {&storage::Record::runs, &storage::Record::histogram_runs}) {
    storage::Record none = record();
    (none.*runs).back().id = 0xffff'fffe;
    CHECK(storage::decode_record(storage::encode_record(none)));
    (none.*runs).back().id = 0xffff'ffff;
    CHECK_FALSE(storage::decode_record(storage::encode_record(none)));
  }
  std::string newer = good;
  newer[0] = 4;
  CHECK(storage::decode_record(newer).error().code == Code::unsupported);
}

TEST_CASE("the chunk of format 1 in the document is read") {
  const std::string bytes = unhex(example("legacy_chunk.md", 0));
  std::vector<Sample> back;
  REQUIRE(storage::series::decode_legacy_chunk(300, bytes, back));
  CHECK(back == std::vector<Sample>{{1'700'000'000'000, 1}, {1'700'000'015'000, 3}, {1'700'000'030'000, 2},
                                    {1'700'000'045'003, model::stale_nan}});
  CHECK_FALSE(storage::series::decode_legacy_chunk(301, bytes, back));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string bad = bytes;
    bad[i] ^= 1;
    CHECK_FALSE(storage::series::decode_legacy_chunk(300, bad, back));
  }
}

TEST_CASE("the journal record of format 1 in the document is read") {
  const std::string bytes = unhex(example("legacy_journal.md", 0));
  const auto back = storage::decode_record_v1(258, bytes);
  REQUIRE(back);
  CHECK(back->runs.size() == 2);
  CHECK(back->samples == std::vector<Sample>{{1'700'000'000'000, 1.5}, {1'700'000'015'000, -0.0}, {1'700'000'000'000, model::stale_nan}});
  CHECK(back->events[0].rows[1].fields == record().events[0].rows[1].fields);
  CHECK_FALSE(storage::decode_record_v1(259, bytes));
}

TEST_CASE("the keys of the document are what the code writes") {
  CHECK(hex(storage::series::series_key(200, 300)) == example("keys.md", 0));
  CHECK(hex(storage::series::segment_key("20231114-000000000000000c.sst")) == example("keys.md", 1));
  CHECK(hex(storage::format_key()) == example("keys.md", 2));
}

TEST_CASE("the mark of a close in the document is what the code writes and reads") {
  const std::string current = "MANIFEST-000005\n";
  const storage::kv::CloseMark mark{{"CURRENT", {current.size(), crc32c(current)}}};
  const std::string bytes = storage::kv::encode_close_mark(mark);
  CHECK(hex(bytes) == example("close_mark.md", 0));
  CHECK(storage::kv::decode_close_mark(bytes) == mark);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    CHECK_FALSE(storage::kv::decode_close_mark(damaged));
    CHECK_FALSE(storage::kv::decode_close_mark(bytes.substr(0, at)));
  }
}

TEST_CASE("the downsampled day of the document is what the code writes and reads") {
  using namespace storage::series;
  constexpr std::uint32_t day = 19675;
  const std::int64_t start = std::int64_t{day} * day_ms;
  const std::vector<std::int64_t> times{start, start + 60'000, start + 120'000, start + tier_1h, start + tier_1h + 1};
  const std::vector<double> values{1.5, 4, 2, 2.5, 2.5};
  const std::vector<TierSeries> group{{{3, 300}, to_buckets(times, values, tier_1h)}};
  REQUIRE(group[0].buckets.size() == 3);
  const std::string body = encode_tier_group(group, day, tier_1h);
  CHECK(hex(frame_record(Record::tier_buckets, body)) == example("tier.md", 0));
  CHECK(decode_tier_group(body, day, tier_1h).value() == group);
  TierInfo info;
  info.day = day;
  info.resolution = tier_1h;
  info.buckets = 3;
  info.groups = {{3, 3}};
  info.ids.add(300);
  info.ids.runOptimize();
  CHECK(hex(frame_record(Record::tier_info, encode_tier_info(info))) == example("tier.md", 1));
  const TierEntry entry{day, tier_1h, true, {"20231114-000000000000000c.sst"}};
  CHECK(hex(tier_key("20231114-1h-00000000.sst")) + hex(tier_value(entry)) == example("tier.md", 2));
  CHECK(decode_tier("t", tier_value(entry)).value() == entry);
}

TEST_CASE("a downsampled day reads back whatever it holds, and damage to it is refused") {
  using namespace storage::series;
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  constexpr std::uint32_t day = 19675;
  for (const std::int64_t resolution : {tier_5m, tier_1h})
    for (int round = 0; round < 20; ++round) {
      std::vector<TierSeries> group;
      for (std::size_t s = 0; s < 1 + random() % 5; ++s) {
        std::vector<std::int64_t> times;
        std::vector<double> values;
        double v = 0;
        for (std::int64_t t = std::int64_t{day} * day_ms + static_cast<std::int64_t>(random() % 2); t < (std::int64_t{day} + 1) * day_ms;
             t += 1 + static_cast<std::int64_t>(random() % 600'000)) {
          times.push_back(t);
          values.push_back(v = test::adversarial(random, v));
        }
        group.push_back({{static_cast<std::uint16_t>(s), static_cast<std::uint32_t>(random())}, to_buckets(times, values, resolution)});
        if (group.back().buckets.empty()) group.pop_back();
      }
      const std::string body = encode_tier_group(group, day, resolution);
      const auto back = decode_tier_group(body, day, resolution);
      REQUIRE(back);
      REQUIRE(back->size() == group.size());
      for (std::size_t s = 0; s < group.size(); ++s) {
        CHECK((*back)[s].series == group[s].series);
        REQUIRE((*back)[s].buckets.size() == group[s].buckets.size());
        for (std::size_t b = 0; b < group[s].buckets.size(); ++b) {
          const TierBucket &got = (*back)[s].buckets[b], &want = group[s].buckets[b];
          CHECK((got.end == want.end && got.first_t == want.first_t && got.last_t == want.last_t && got.summary.count == want.summary.count));
          const auto bits = [](double x) { return std::bit_cast<std::uint64_t>(x); };
          CHECK((bits(got.summary.first) == bits(want.summary.first) && bits(got.summary.last) == bits(want.summary.last)));
        }
      }
      for (int i = 0; i < 200; ++i) {
        std::string bad = body;
        bad[random() % bad.size()] = static_cast<char>(random());
        (void)decode_tier_group(bad, day, resolution);  // any answer but a crash or a huge allocation
        (void)decode_tier_group(std::string_view(body).substr(0, random() % body.size()), day, resolution);
      }
    }
}

TEST_CASE("a bucket of thousands of large numbers keeps its sum") {
  using namespace storage::series;
  constexpr std::uint32_t day = 19675;
  std::vector<std::int64_t> times;
  std::vector<double> values;
  for (int i = 0; i < 3600; ++i) {
    times.push_back(std::int64_t{day} * day_ms + 1 + i * 1000);
    values.push_back(9e15 - i);
  }
  const std::vector<TierSeries> group{{{3, 300}, to_buckets(times, values, tier_1h)}};
  REQUIRE(group[0].buckets.size() == 1);
  const auto back = decode_tier_group(encode_tier_group(group, day, tier_1h), day, tier_1h).value();
  CHECK(back[0].buckets[0].summary.count == 3600);
  CHECK(back[0].buckets[0].summary.sum == Approx(9e15 * 3600 - 3599.0 * 1800).epsilon(1e-13));
}
