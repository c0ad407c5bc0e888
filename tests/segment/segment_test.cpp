// What a segment holds is what was written, for any ids and range; order, orphans, and the shapes at the edges.
#include "segment_fixture.hpp"

using namespace plumbline;
using namespace plumbline::test;

TEST_CASE("a segment gives back what was written, by any ids and range") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (const auto& [series, samples] : {std::pair{1u, 1u}, {40u, 700u}, {3000u, 30u}, {1500u, 240u}, {20u, 9000u}}) {
    SegmentFixture f;
    const SegmentModel model = random_model(random, series, samples);
    const SegmentInfo info = f.write(model, 12);
    CHECK(info.name == "20231114-000000000000000c.sst");
    const auto segment = f.open(info.name);
    CHECK(segment->info().samples == info.samples);
    CHECK(segment->info().bytes == info.bytes);
    CHECK(segment->ids().cardinality() == model.size());
    CHECK(segment->verify() == std::vector<std::string>{});
    CHECK((read_all(*segment, refs_of(model)) == model));
    for (int round = 0; round < 20; ++round) {
      std::vector<SeriesRef> wanted;
      for (const auto& entry : model) {
        if (random() % (round + 1) == 0) wanted.push_back(entry.first);
        if (random() % 10 == 0) wanted.push_back({entry.first.vshard, entry.first.id ^ 1u << random() % 32});
      }
      std::ranges::sort(wanted);
      wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
      TimeRange range;
      if (round % 2 == 1) {
        range.min = info.min_t + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(info.max_t - info.min_t + 1));
        range.max = range.min + static_cast<std::int64_t>(random() % 3'600'000);
      }
      CHECK((read_all(*segment, wanted, range) == clipped(model, wanted, range)));
    }
  }
}

TEST_CASE("chunks come in order, with times, counts and summaries of their samples, and values need not be read") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  SegmentFixture f;
  const SegmentModel model = random_model(random, 600, 1500);
  const auto segment = f.open(f.write(model, 1).name);
  std::map<SeriesRef, std::size_t> seen;
  SeriesRef last{0, 0};
  must(segment->read_summaries(refs_of(model), {}, [&](const ChunkInfo& chunk) -> Status {
    const SeriesRef ref{chunk.vshard, chunk.id};
    CHECK(last <= ref);
    last = ref;
    const Samples& all = model.at(ref);
    std::size_t& at = seen[ref];
    REQUIRE(at + chunk.count <= all.size());
    CHECK(chunk.count <= storage::series::chunk_samples_max);
    CHECK(chunk.min_t == all[at].t);
    CHECK(chunk.max_t == all[at + chunk.count - 1].t);
    at += chunk.count;
    return {};
  }));
  for (const auto& [ref, samples] : model) CHECK(seen[ref] == samples.size());
  // An error of the visitor ends the walk.
  const Status status = segment->read_summaries(
      refs_of(model), {}, [](const ChunkInfo&) -> Status { return fail(Code::cancelled, "enough"); });
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Code::cancelled);
}

TEST_CASE("cached parts answer the same, within their budget, over several segments") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  SegmentFixture f;
  // Small enough that parts come and go.
  storage::series::SegmentCaches caches(800'000, 400'000);
  std::vector<SegmentModel> models;
  std::vector<std::shared_ptr<const Segment>> segments;
  for (std::uint64_t seal = 1; seal <= 3; ++seal) {
    models.push_back(random_model(random, 1500, 20));
    segments.push_back(must(Segment::open(*f.files, f.write(models.back(), seal).name, &caches)));
  }
  for (int round = 0; round < 60; ++round) {
    const std::size_t i = random() % models.size();
    std::vector<SeriesRef> wanted;
    for (const auto& entry : models[i])
      if (round % 10 == 0 || random() % 500 == 0) wanted.push_back(entry.first);
    CHECK((read_all(*segments[i], wanted) == clipped(models[i], wanted, {})));
    CHECK(caches.directories.bytes() <= 800'000);
    CHECK(caches.values.bytes() <= 300'000);
    CHECK(caches.times.bytes() <= 100'000);
  }
  CHECK(caches.directories.bytes() > 0);
  CHECK(caches.values.bytes() > 0);
  CHECK(caches.times.bytes() > 0);
}

TEST_CASE("a large vshard is cut, small ones share a group, and the stored order is the order of writing") {
  SegmentFixture f;
  auto writer = must(SegmentWriter::create(*f.files, some_day, 3));
  std::vector<SeriesRef> written;
  std::vector<std::uint32_t> ids(3000);
  for (std::uint32_t i = 0; i < ids.size(); ++i) ids[i] = i * 7;
  std::mt19937_64 random(1);
  std::ranges::shuffle(ids, random);
  const auto add = [&](std::uint16_t vshard, std::uint32_t id) {
    must(writer->add({vshard, id}, Samples{{some_day_start + id, 1.0 * id}}));
    written.push_back({vshard, id});
  };
  for (std::uint16_t v = 0; v < 10; ++v)
    for (std::uint32_t i = 0; i < 10; ++i) add(v, 100'000 + v * 10u + i);
  for (const std::uint32_t id : ids) add(20, id);
  for (std::uint16_t v = 21; v < 256; ++v) add(v, 200'000u + v);
  const auto segment = f.open(must(writer->finish()).name);
  CHECK(must(segment->order(0, 255)) == written);
  CHECK(must(segment->order(20, 20)).size() == 3000);
  CHECK(segment->vshards_with(3).first == 0);
  CHECK(segment->vshards_with(255).second == 255);
  CHECK(segment->verify() == std::vector<std::string>{});
  SegmentModel model;
  for (const SeriesRef& s : written) model[s] = {{some_day_start + s.id, 1.0 * s.id}};
  CHECK((read_all(*segment, refs_of(model)) == model));
  for (int i = 0; i < 50; ++i) {
    const SeriesRef one = written[random() % written.size()];
    CHECK((read_all(*segment, {one}) == clipped(model, {one}, {})));
  }
}

TEST_CASE("a series of many samples goes on over several groups") {
  SegmentFixture f;
  SegmentModel model;
  Samples& many = model[{5, 77}];
  for (std::int64_t i = 0; i < 700'000; ++i) many.push_back({some_day_start + i * 100, static_cast<double>(i % 1000)});
  model[{5, 78}] = {{some_day_start, 1}};
  const auto segment = f.open(f.write(model, 1).name);
  CHECK((read_all(*segment, refs_of(model)) == model));
  CHECK(must(segment->order(5, 5)) == refs_of(model));
  CHECK(segment->verify() == std::vector<std::string>{});
}

TEST_CASE("the first and the last day reach to the ends of time") {
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  SegmentFixture f;
  for (const auto& [day, samples] :
       {std::pair{0u, Samples{{least, 1}, {-5, 2}, {0, 3}, {86'399'999, 4}}},
        std::pair{0xffff'ffffu, Samples{{0xffff'ffffll * storage::series::day_ms, 1}, {most, 2}}}}) {
    auto writer = must(SegmentWriter::create(*f.files, day, 1));
    must(writer->add({3, 9}, samples));
    const auto segment = f.open(must(writer->finish()).name);
    CHECK((read_all(*segment, {{3, 9}}) == SegmentModel{{{3, 9}, samples}}));
    CHECK(segment->verify() == std::vector<std::string>{});
  }
}

TEST_CASE("sharing times costs next to nothing, and small stores are one group") {
  SegmentFixture f;
  SegmentModel model;
  for (std::uint32_t id = 0; id < 500; ++id) {
    Samples& samples = model[{static_cast<std::uint16_t>(id % 256), id}];
    std::mt19937_64 jitter(7);
    for (std::int64_t i = 0; i < 240; ++i)
      samples.push_back({some_day_start + i * 15'000 + static_cast<std::int64_t>(jitter() % 5), id * 1.0});
  }
  auto writer = must(SegmentWriter::create(*f.files, some_day, 1));
  for (const auto& [ref, samples] : model) must(writer->add(ref, samples));
  const SegmentInfo info = must(writer->finish());
  CHECK(writer->parts().times < 1500);
  CHECK(writer->parts().directory < 500 * 8);
  CHECK(writer->parts().keys == 4 * 11);  // directory, payload, times, info
  CHECK(f.open(info.name)->vshards_with(0) == std::pair<std::uint16_t, std::uint16_t>{0, 255});
}

TEST_CASE("a segment without series leaves no file, an abandoned one neither, and orphans are told") {
  SegmentFixture f;
  CHECK(must(must(SegmentWriter::create(*f.files, some_day, 1))->finish()).series == 0);
  must(SegmentWriter::create(*f.files, some_day, 2))->add({1, 1}, Samples{{some_day_start, 1}}).value();
  CHECK(must(f.files->list()).empty());
  const SegmentModel model{{{1, 1}, {{some_day_start, 1}}}};
  const std::string live = f.write(model, 3).name;
  const std::string orphan = f.write(model, 4).name;
  CHECK(must(storage::series::orphan_segments(*f.files, {live})) == std::vector<std::string>{orphan});
  must(f.files->remove(orphan));
  must(f.files->remove(orphan));
  CHECK(must(f.files->list()) == std::vector<std::string>{live});
}
