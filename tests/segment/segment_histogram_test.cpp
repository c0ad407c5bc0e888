// Histograms in segments: read back, merged with floats of the same times, verified, and damaged.
#include "daemon/base/text.hpp"
#include "segment_fixture.hpp"
#include "storage/series/segment_format.hpp"
#include "storage/series/segment_histograms.hpp"
#include "tests/support/histograms.hpp"

using namespace plumbline;
using namespace plumbline::test;
using namespace plumbline::storage::series;

namespace {

using Histograms = std::vector<model::HistogramSample>;
// What a series has at a time: one or the other.
struct Point {
  std::optional<double> v;
  std::optional<model::Histogram> h;
};
using Model = std::map<SeriesRef, std::map<std::int64_t, Point>>;

bool same(const Point& a, const Point& b) {
  if (a.v.has_value() != b.v.has_value()) return false;
  return a.v ? Sample{0, *a.v} == Sample{0, *b.v} : same_bits(*a.h, *b.h);
}

bool same(const Model& a, const Model& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    return x.first == y.first && std::ranges::equal(x.second, y.second, [](const auto& p, const auto& q) {
             return p.first == q.first && same(p.second, q.second);
           });
  });
}

std::vector<SeriesRef> refs_of(const Model& model) {
  std::vector<SeriesRef> out;
  for (const auto& [ref, _] : model) out.push_back(ref);
  return out;
}

SegmentInfo write(SegmentFixture& f, const Model& model, std::uint64_t seal) {
  auto writer = must(SegmentWriter::create(*f.files, some_day, seal));
  for (const auto& [ref, points] : model) {
    Samples samples;
    Histograms histograms;
    for (const auto& [t, p] : points)
      if (p.v)
        samples.push_back({t, *p.v});
      else
        histograms.push_back({t, *p.h});
    if (!samples.empty()) must(writer->add(ref, samples));
    if (!histograms.empty()) must(writer->add_histograms(ref, histograms));
  }
  return must(writer->finish());
}

Model read(const Segment& segment, const std::vector<SeriesRef>& wanted, TimeRange range = {}) {
  Model out;
  for (const auto& [ref, samples] : read_all(segment, wanted, range))
    for (const Sample& s : samples) REQUIRE(out[ref].try_emplace(s.t, Point{s.v, {}}).second);
  must(segment.read_histograms(wanted, range, [&](SeriesRef ref, Histograms&& samples) -> Status {
    REQUIRE_FALSE(samples.empty());
    for (const model::HistogramSample& s : samples) REQUIRE(out[ref].try_emplace(s.t, Point{{}, s.h}).second);
    return {};
  }));
  return out;
}

Model random_points(std::mt19937_64& random, HistogramMaker& make, std::size_t series) {
  Model out;
  for (std::size_t i = 0; i < series; ++i) {
    const auto id = static_cast<std::uint32_t>(random() % 400);  // the same ids in several segments
    auto& points = out[{static_cast<std::uint16_t>(id % storage::kv::vshards), id}];
    const std::uint64_t kind = random() % 3;  // floats, histograms, both
    std::int64_t t = some_day_start + static_cast<std::int64_t>(random() % 1000) * 1000;
    for (const model::HistogramSample& s : make.series(1 + random() % 50)) {
      if (kind == 0 || (kind == 2 && random() % 2 == 0))
        points[t] = {some_value(random, static_cast<int>(random() % 9), 1), {}};
      else
        points[t] = {{}, s.h};
      t += 1000 * static_cast<std::int64_t>(1 + random() % 30);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("segments give back histograms beside floats, and merge them by the higher seal") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  HistogramMaker make(seed);
  for (int round = 0; round < 2; ++round) {
    SegmentFixture f;
    Model all;
    std::vector<std::shared_ptr<const Segment>> segments;
    std::vector<const Segment*> views;
    for (std::uint64_t seal = 1; seal <= 3; ++seal) {
      const Model model = random_points(random, make, 15);
      const SegmentInfo info = write(f, model, seal);
      CHECK(info.histograms > 0);
      segments.push_back(f.open(info.name));
      views.push_back(segments.back().get());
      CHECK(segments.back()->verify() == std::vector<std::string>{});
      REQUIRE(same(read(*segments.back(), refs_of(model)), model));
      for (const auto& [ref, points] : model)
        for (const auto& [t, p] : points) all[ref][t] = p;
    }
    const TimeRange gone{some_day_start + 300'000, some_day_start + 900'000};
    auto writer = must(SegmentWriter::create(*f.files, some_day, 3, 1));
    must(merge_segments(views, *writer, [&](SeriesRef ref) {
      return ref.id % 5 == 0 ? std::vector<TimeRange>{gone} : std::vector<TimeRange>{};
    }));
    const auto merged = f.open(must(writer->finish()).name);
    CHECK(merged->verify() == std::vector<std::string>{});
    for (auto& [ref, points] : all)
      if (ref.id % 5 == 0) std::erase_if(points, [&](const auto& p) { return gone.contains(p.first); });
    std::erase_if(all, [](const auto& s) { return s.second.empty(); });
    REQUIRE(same(read(*merged, refs_of(all)), all));
    const TimeRange part{some_day_start + 500'000, some_day_start + 700'000};
    Model inside;
    for (const auto& [ref, points] : all)
      for (const auto& [t, p] : points)
        if (part.contains(t)) inside[ref][t] = p;
    REQUIRE(same(read(*merged, refs_of(all), part), inside));
  }
}

TEST_CASE("a segment of nothing but histograms has no groups") {
  SegmentFixture f;
  HistogramMaker make(1);
  Model model;
  for (std::uint32_t id = 0; id < 300; ++id)
    for (const auto& s : make.series(2))
      model[{static_cast<std::uint16_t>(id % storage::kv::vshards), id}][s.t % day_ms + some_day_start] = {{}, s.h};
  const SegmentInfo info = write(f, model, 1);
  CHECK(info.series == 300);
  CHECK(info.samples == info.histograms);
  const auto segment = f.open(info.name);
  CHECK(segment->verify() == std::vector<std::string>{});
  CHECK(same(read(*segment, refs_of(model)), model));
  CHECK(segment->histogram_ids().cardinality() == 300);
}

TEST_CASE("damage of a histograms record is told and never read as something else") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  HistogramMaker make(seed);
  Model model;
  for (std::uint32_t id = 0; id < 4; ++id)
    for (const auto& s : make.series(10)) model[{static_cast<std::uint16_t>(id), id}][s.t] = {{}, s.h};
  HistogramEncoder encoder;
  for (const auto& [ref, points] : model) {
    Histograms samples;
    for (const auto& [t, p] : points) samples.push_back({t, *p.h});
    encoder.add(ref, samples);
  }
  const std::string good = encoder.finish(some_day_start);
  for (int round = 0; round < 3000; ++round) {
    std::string bad = good;
    for (std::size_t i = 0, n = 1 + random() % 3; i < n; ++i) bad[random() % bad.size()] = static_cast<char>(random());
    const auto record = HistogramRecord::open(bad, some_day_start);
    if (!record) continue;
    for (const HistogramRecord::Block& block : record->blocks()) {
      Histograms out;
      if (record->read(block, out)) CHECK(out.size() == block.count);
    }
  }
}
