// Merging: the later seal wins, dropped ranges are gone, and the result is one sound segment.
#include "segment_fixture.hpp"

using namespace plumbline;
using namespace plumbline::test;

TEST_CASE("a merge holds what its inputs held, later seals winning, without what is dropped") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  SegmentFixture f;
  std::map<SeriesRef, std::map<std::int64_t, double>> expected;
  std::vector<std::shared_ptr<const Segment>> inputs;
  const SegmentModel base = random_model(random, 900, 600);
  for (std::uint64_t seal = 1; seal <= 4; ++seal) {
    SegmentModel model;
    for (const auto& [ref, samples] : base) {
      if (random() % 3 == 0) continue;
      Samples some;
      for (const Sample& s : samples)
        if (random() % 2 == 0) some.push_back({s.t, s.v + static_cast<double>(seal)});
      if (some.empty()) continue;
      for (const Sample& s : some) expected[ref][s.t] = s.v;
      model[ref] = std::move(some);
    }
    inputs.push_back(f.open(f.write(model, seal).name));
  }
  const auto dropped = [](SeriesRef ref) -> std::vector<TimeRange> {
    if (ref.id % 5 == 0) return {{}};
    if (ref.id % 5 == 1) return {{some_day_start + 500'000, some_day_start + 900'000}};
    return {};
  };
  SegmentModel model;
  for (const auto& [ref, samples] : expected)
    for (const auto& [t, v] : samples) {
      bool gone = false;
      for (const TimeRange& range : dropped(ref)) gone = gone || range.contains(t);
      if (!gone) model[ref].push_back({t, v});
    }
  auto writer = must(SegmentWriter::create(*f.files, some_day, 9));
  // The order of the inputs is their seal's, however they are given.
  const std::vector<const Segment*> shuffled{inputs[2].get(), inputs[0].get(), inputs[3].get(), inputs[1].get()};
  must(storage::series::merge_segments(shuffled, *writer, dropped));
  const auto merged = f.open(must(writer->finish()).name);
  CHECK((read_all(*merged, refs_of(base)) == model));
  CHECK(merged->verify() == std::vector<std::string>{});
}

TEST_CASE("a merge keeps the label order of its inputs, and of nothing makes no file") {
  SegmentFixture f;
  const auto write = [&](std::uint64_t seal, const std::vector<std::uint32_t>& ids) {
    auto writer = must(SegmentWriter::create(*f.files, some_day, seal));
    for (const std::uint32_t id : ids) must(writer->add({4, id}, Samples{{some_day_start, 1.0}}));
    return f.open(must(writer->finish()).name);
  };
  const auto a = write(1, {50, 10, 40});
  const auto b = write(2, {60, 50, 5, 10, 40, 30});
  auto writer = must(SegmentWriter::create(*f.files, some_day, 3));
  must(storage::series::merge_segments(std::vector<const Segment*>{a.get(), b.get()}, *writer));
  std::vector<std::uint32_t> ids;
  for (const SeriesRef& s : must(f.open(must(writer->finish()).name)->order(0, 255))) ids.push_back(s.id);
  CHECK(ids == std::vector<std::uint32_t>{60, 50, 5, 10, 40, 30});
  auto empty = must(SegmentWriter::create(*f.files, some_day, 4));
  must(storage::series::merge_segments(std::vector<const Segment*>{a.get()}, *empty,
                                       [](SeriesRef) { return std::vector<TimeRange>{{}}; }));
  CHECK(must(empty->finish()).series == 0);
}
