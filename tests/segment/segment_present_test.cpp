// Which series of a segment have a sample in a range: those that reading it finds, for any range.
#include <algorithm>
#include <iterator>
#include <set>

#include "segment_fixture.hpp"
#include "tests/support/histograms.hpp"

using namespace plumbline;
using namespace plumbline::test;

namespace {

using Times = std::map<SeriesRef, std::set<std::int64_t>>;

const std::function<Status()> nobody;

// Floats that share their times in part, histograms, and series that have both.
SegmentInfo write_both(SegmentFixture& f, std::mt19937_64& random, std::size_t series) {
  HistogramMaker make(random());
  SegmentModel floats = random_model(random, series, 60);
  auto writer = must(SegmentWriter::create(*f.files, some_day, 1));
  for (const auto& [ref, samples] : floats) {
    const std::uint64_t kind = random() % 3;
    if (kind != 0) must(writer->add(ref, samples));
    if (kind == 1) continue;
    std::vector<model::HistogramSample> histograms = make.series(1 + random() % 20);
    std::int64_t t = some_day_start + static_cast<std::int64_t>(random() % 100'000);
    for (model::HistogramSample& s : histograms) {
      while (std::ranges::binary_search(samples, t, {}, &Sample::t)) ++t;  // a time has one or the other
      s.t = t;
      t += 1 + static_cast<std::int64_t>(random() % 20'000);
    }
    must(writer->add_histograms(ref, histograms));
  }
  return must(writer->finish());
}

// By reading all of it.
Times times_of(const Segment& segment, const std::vector<SeriesRef>& wanted) {
  Times out;
  for (const auto& [ref, samples] : read_all(segment, wanted))
    for (const Sample& s : samples) out[ref].insert(s.t);
  must(segment.read_histograms(wanted, {}, [&](SeriesRef ref, std::vector<model::HistogramSample>&& samples) -> Status {
    for (const model::HistogramSample& s : samples) out[ref].insert(s.t);
    return {};
  }));
  return out;
}

Roaring inside(const Times& times, const std::vector<SeriesRef>& wanted, TimeRange range) {
  Roaring out;
  for (const SeriesRef& ref : wanted) {
    const auto own = times.find(ref);
    if (own == times.end()) continue;
    const auto first = own->second.lower_bound(range.min);
    if (first != own->second.end() && *first <= range.max) out.add(ref.id);
  }
  return out;
}

std::vector<SeriesRef> all_of(const Segment& segment) {
  std::vector<SeriesRef> out;
  for (const std::uint32_t id : segment.ids()) out.push_back({static_cast<std::uint16_t>(id % storage::kv::vshards), id});
  std::ranges::sort(out);
  return out;
}

}  // namespace

TEST_CASE("the series that are present in a range are those that have a sample in it, floats and histograms") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (const std::size_t series : {1u, 12u, 300u, 1500u}) {
    SegmentFixture f;
    storage::series::SegmentCaches caches(800'000, 400'000);
    const SegmentInfo info = write_both(f, random, series);
    const auto cached = must(Segment::open(*f.files, info.name, &caches)), plain = f.open(info.name);
    const std::vector<SeriesRef> all = all_of(*plain);
    REQUIRE_FALSE(all.empty());
    const Times times = times_of(*plain, all);
    std::size_t none = 0, some = 0;
    for (int round = 0; round < 80; ++round) {
      std::vector<SeriesRef> wanted;
      const std::size_t share = round % 3 == 0 ? 1 : 1 + random() % 20;
      for (const SeriesRef& ref : all) {
        if (random() % share == 0) wanted.push_back(ref);
        if (random() % 50 == 0) wanted.push_back({ref.vshard, ref.id ^ 256u << random() % 24});  // of the same vshard, and may not be there
      }
      std::ranges::sort(wanted);
      wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
      // Around a sample of some series: of it alone, before or behind it up to the next, or of any length.
      const auto& own = std::next(times.begin(), static_cast<std::ptrdiff_t>(random() % times.size()))->second;
      const auto at = std::next(own.begin(), static_cast<std::ptrdiff_t>(random() % own.size()));
      TimeRange range{*at, *at};
      if (round % 4 == 1) range = {*at + 1, std::next(at) == own.end() ? *at + 5'000 : std::max(*at + 1, *std::next(at) - 1)};
      if (round % 4 == 2) range = {*at - 1 - static_cast<std::int64_t>(random() % 3'000), *at - 1};
      if (round % 4 == 3) range.max += static_cast<std::int64_t>(random() % 2'000'000);
      INFO(series << " series, from " << range.min << " to " << range.max);
      const Roaring expected = inside(times, wanted, range);
      CHECK((must(plain->present(wanted, range, nobody)) == expected));
      CHECK((must(cached->present(wanted, range, nobody)) == expected));
      (expected.isEmpty() ? none : some) += 1;
    }
    CHECK(some > 0);
    if (series == 1) CHECK(none > 0);
    CHECK((must(plain->present(all, {}, nobody)) == plain->ids()));
    CHECK(must(plain->present(all, {info.max_t + 1, info.max_t + 1'000'000}, nobody)).isEmpty());
    CHECK(must(plain->present({}, {}, nobody)).isEmpty());
  }
}

TEST_CASE("a range in a gap that all series have finds none of them") {
  SegmentFixture f;
  HistogramMaker make(1);
  auto writer = must(SegmentWriter::create(*f.files, some_day, 1));
  const std::int64_t t = some_day_start;
  must(writer->add({1, 1}, Samples{{t, 1}, {t + 60'000, 2}}));
  std::vector<model::HistogramSample> histograms = make.series(2);
  histograms[0].t = t + 1'000;
  histograms[1].t = t + 61'000;
  must(writer->add_histograms({2, 2}, histograms));
  must(writer->add({3, 3}, Samples{{t + 2'000, 1}, {t + 30'000, 2}, {t + 62'000, 3}}));
  const auto segment = f.open(must(writer->finish()).name);
  const std::vector<SeriesRef> all{{1, 1}, {2, 2}, {3, 3}};
  const auto present = [&](std::int64_t from, std::int64_t to) { return must(segment->present(all, {t + from, t + to}, nobody)); };
  CHECK(present(2'001, 29'999).isEmpty());
  CHECK((present(2'001, 30'000) == Roaring::bitmapOf(1, 3u)));
  CHECK(present(30'001, 59'999).isEmpty());
  CHECK((present(60'000, 60'999) == Roaring::bitmapOf(1, 1u)));
  CHECK((present(60'001, 61'000) == Roaring::bitmapOf(1, 2u)));
  CHECK((present(1, 1'999) == Roaring::bitmapOf(1, 2u)));
  CHECK((present(0, 1'000) == Roaring::bitmapOf(2, 1u, 2u)));
}

TEST_CASE("looking which series are present ends with the error of who is asked") {
  std::mt19937_64 random(7);
  SegmentFixture f;
  const auto segment = f.open(write_both(f, random, 2500).name);
  const std::vector<SeriesRef> all = all_of(*segment);
  int asked = 0, last = 0;
  const auto go_on = [&]() -> Status { return ++asked == last ? Status(fail(Code::cancelled, "enough")) : Status(); };
  const TimeRange middle{some_day_start + 200'000, some_day_start + 200'001};
  must(segment->present(all, middle, go_on));
  const int groups = asked;  // of floats and of histograms
  REQUIRE(groups >= 2);
  for (last = 1; last <= groups; ++last) {
    asked = 0;
    const auto present = segment->present(all, middle, go_on);
    REQUIRE_FALSE(present);
    CHECK(present.error().code == Code::cancelled);
    CHECK(asked == last);
  }
}

TEST_CASE("which series are present is never answered wrongly from a damaged file") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  SegmentFixture f;
  const std::string name = write_both(f, random, 600).name;
  std::ifstream in(f.path(name), std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(in), {}};
  const auto whole = f.open(name);
  const std::vector<SeriesRef> all = all_of(*whole);
  const Times times = times_of(*whole, all);
  std::size_t told = 0, opened = 0;
  for (int round = 0; round < 150; ++round) {
    std::string bad = good;
    const std::size_t at = random() % bad.size();
    INFO("byte " << at);
    bad[at] ^= static_cast<char>(1 << random() % 8);
    std::ofstream(f.path(name), std::ios::binary).write(bad.data(), static_cast<std::streamsize>(bad.size()));
    const auto files = f.reopened();  // with an empty cache
    const auto segment = Segment::open(*files, name);
    if (!segment) continue;  // the index is damaged
    ++opened;
    const std::int64_t from = some_day_start + static_cast<std::int64_t>(random() % 400'000);
    const TimeRange range{from, from + static_cast<std::int64_t>(random() % 3'000)};
    const auto present = (*segment)->present(all, range, nobody);
    if (present) {
      REQUIRE((*present == inside(times, all, range)));  // the damage lies where nothing was looked at: in values
      continue;
    }
    ++told;
    CHECK(present.error().code == Code::corrupt);
    CHECK(present.error().message.find(name) != std::string::npos);
  }
  CHECK(opened > 50);
  CHECK(told > 5);
}
