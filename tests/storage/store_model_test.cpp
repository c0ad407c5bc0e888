// The store against maps, under random writes, rewrites, seals, restarts and crashes.
#include <set>
#include <variant>

#include "store_fixture.hpp"
#include "tests/support/histograms.hpp"

using namespace plumbline;
using namespace plumbline::test;

namespace {

// A float or a histogram; equal when their bits are.
struct Point {
  std::variant<double, model::Histogram> v;
  bool operator==(const Point& other) const {
    if (v.index() != other.v.index()) return false;
    if (const double* d = std::get_if<double>(&v)) return Sample{0, *d} == Sample{0, std::get<double>(other.v)};
    return same_bits(std::get<model::Histogram>(v), std::get<model::Histogram>(other.v));
  }
};
using PointMap = std::map<std::int64_t, Point>;

struct NaiveStore {
  std::map<Labels, PointMap> series;
  std::map<std::string, std::map<std::int64_t, std::set<std::string>>> lines;  // job -> time -> lines
  std::map<std::string, std::string> state;
};

// `apart`: times and values are asked for each by themselves.
std::map<Labels, PointMap> points_of(const storage::Store& store, const model::Matchers& matchers, model::TimeRange range, bool apart) {
  std::map<Labels, PointMap> got;
  storage::SeriesQuery query;
  query.matchers = matchers;
  query.range = range;
  query.apart = apart;
  REQUIRE(store.select(query, [&](const Labels& labels, const storage::SeriesPoints& points) {
    PointMap& own = got[labels];
    REQUIRE(own.empty());
    REQUIRE((apart ? points.samples.empty() : points.times.empty() && points.values.empty()));
    std::size_t at = 0;
    for (const storage::TimesPiece& piece : points.times) {
      REQUIRE_FALSE(piece.times.empty());
      for (const std::int64_t t : piece.times) {
        REQUIRE(at < points.values.size());
        REQUIRE((own.empty() || own.rbegin()->first < t));
        own.emplace(t, Point{points.values[at++]});
      }
    }
    REQUIRE(at == points.values.size());
    REQUIRE(std::ranges::is_sorted(points.samples, {}, &Sample::t));
    REQUIRE(std::ranges::is_sorted(points.histograms, {}, &model::HistogramSample::t));
    for (const Sample& s : points.samples) REQUIRE(own.try_emplace(s.t, Point{s.v}).second);
    for (const model::HistogramSample& s : points.histograms) REQUIRE(own.try_emplace(s.t, Point{s.h}).second);
    return true;
  }));
  return got;
}

void check_series(const storage::Store& store, const NaiveStore& naive, const model::Matchers& matchers,
                  model::TimeRange range) {
  const std::map<Labels, PointMap> got = points_of(store, matchers, range, false);
  REQUIRE(points_of(store, matchers, range, true) == got);
  std::map<Labels, PointMap> expected;
  std::vector<Labels> names;
  for (const auto& [labels, samples] : naive.series) {
    if (!model::matches_all(matchers, labels)) continue;
    PointMap inside;
    for (const auto& [t, v] : samples)
      if (range.contains(t)) inside.emplace(t, v);
    if (inside.empty()) continue;
    expected[labels] = inside;
    names.push_back(labels);
  }
  REQUIRE(got == expected);
  const auto listed = store.series({matchers}, range, 0);
  REQUIRE(listed);
  REQUIRE(*listed == names);
  std::set<std::string> pods, label_names;
  for (const Labels& labels : names) {
    pods.insert(std::string(labels.get("pod")));
    for (const model::Label& l : labels) label_names.insert(l.name);
  }
  const auto values = store.label_values("pod", {matchers}, range);
  REQUIRE(values);
  REQUIRE(*values == std::vector<std::string>(pods.begin(), pods.end()));
  const auto found = store.label_names({matchers}, range);
  REQUIRE(found);
  REQUIRE(*found == std::vector<std::string>(label_names.begin(), label_names.end()));
}

// Beside a sample: whole seconds are where samples may be, and what is between two of them is in the middle of a series.
model::TimeRange short_range(std::mt19937_64& random, const NaiveStore& naive) {
  auto series = std::next(naive.series.begin(), static_cast<std::ptrdiff_t>(random() % naive.series.size()));
  const PointMap& points = series->second;
  if (points.empty()) return {0, 0};
  const std::int64_t t = std::next(points.begin(), static_cast<std::ptrdiff_t>(random() % points.size()))->first;
  const std::int64_t from = t - 2'000 + static_cast<std::int64_t>(random() % 4'000);
  return {from, from + static_cast<std::int64_t>(random() % (random() % 2 ? 1'000 : 20'000))};
}

void check_lines(const storage::Store& store, const NaiveStore& naive) {
  std::map<std::string, std::map<std::int64_t, std::set<std::string>>> got;
  REQUIRE(store.scan({}, [&](const storage::RowBlock& block) {
    const auto* line = block.find("line");
    REQUIRE(line != nullptr);
    for (std::size_t i = 0; i < block.times_ns.size(); ++i)
      REQUIRE(got[std::string(block.stream->get("job"))][block.times_ns[i]]
                  .insert(std::get<std::string>(line->values[i]))
                  .second);  // nothing twice: every line is unique
    return true;
  }));
  REQUIRE(got == naive.lines);
}

void check_state(const storage::Store& store, const NaiveStore& naive) {
  std::map<std::string, std::string> got;
  REQUIRE(store.list("a/", [&](std::string_view key, std::string_view value) {
    got.emplace(key, value);
    return true;
  }));
  REQUIRE(got == naive.state);
}

}  // namespace

TEST_CASE("the store agrees with a naive model under random work") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  HistogramMaker make(seed);
  StoreFixture f;
  f.open();
  NaiveStore naive;
  const std::int64_t now = f.clock.now_ms();
  std::vector<Labels> labels;
  for (int i = 0; i < 40; ++i)
    labels.push_back(Labels::of({{"__name__", "m" + std::to_string(i % 3)}, {"pod", std::to_string(i)}}));
  double v = 0;
  int line_number = 0;
  for (int step = 0; step < 400; ++step) {
    const auto what = random() % 20;
    if (what < 12) {
      WriteBatch batch;
      for (std::size_t i = 0, n = random() % 6; i < n; ++i) {
        const Labels& l = labels[random() % labels.size()];
        std::vector<Sample> samples;
        // In order, late by minutes, or late by days; times collide on purpose.
        std::int64_t t = random() % 3 == 0 ? now - static_cast<std::int64_t>(random() % 300) * 3'600'000
                                           : now - 600'000 + step * 1000;
        for (std::size_t k = 0, m = 1 + random() % 40; k < m; ++k) {
          v = adversarial(random, v);
          samples.push_back({t, v});
          naive.series[l][t] = {v};
          t += random() % 4 == 0 ? -static_cast<std::int64_t>(random() % 20) * 1000
                                 : static_cast<std::int64_t>(random() % 15) * 1000;
          t = std::min(t, now + 500'000);
        }
        batch.series.push_back({l, samples});
      }
      for (std::size_t i = 0, n = random() % 3; i < n; ++i) {
        // Every fourth series has histograms, at the times of its floats now and then: of one batch the histogram wins.
        const Labels& l = labels[random() % labels.size() / 4 * 4];
        std::vector<model::HistogramSample> samples = make.series(1 + random() % 30);
        std::int64_t t = random() % 3 == 0 ? now - static_cast<std::int64_t>(random() % 300) * 3'600'000
                                           : now - 600'000 + step * 1000;
        for (model::HistogramSample& s : samples) {
          if (const auto own = naive.series.find(l); random() % 4 == 0 && own != naive.series.end() && !own->second.empty())
            t = std::next(own->second.begin(), static_cast<std::ptrdiff_t>(random() % own->second.size()))->first;
          s.t = t;
          t = std::min(t + static_cast<std::int64_t>(random() % 15) * 1000, now + 500'000);
        }
        batch.histograms.push_back({l, samples});
      }
      for (const storage::SeriesHistograms& s : batch.histograms)
        for (const model::HistogramSample& sample : s.samples) naive.series[s.labels][sample.t] = {sample.h};
      if (random() % 2) {
        const std::string job = "j" + std::to_string(random() % 3);
        model::StreamRows rows{model::EventKind::log, Labels::of({{"job", job}}), {}};
        for (std::size_t k = 0, m = 1 + random() % 5; k < m; ++k) {
          const std::int64_t t = (now - static_cast<std::int64_t>(random() % 100'000'000)) * 1'000'000;
          const std::string line = "line " + std::to_string(++line_number);
          rows.rows.push_back({t, {{"line", line}}});
          naive.lines[job][t].insert(line);
        }
        batch.events.push_back(rows);
      }
      if (random() % 3 == 0) {
        const std::string key = "a/" + std::to_string(random() % 10);
        if (random() % 3 == 0) {
          batch.state.push_back({key, std::nullopt});
          naive.state.erase(key);
        } else {
          batch.state.push_back({key, std::to_string(step)});
          naive.state[key] = std::to_string(step);
        }
      }
      const auto receipt = f.store->write(batch);
      REQUIRE(receipt);
      REQUIRE(receipt->refusals.empty());
    } else if (what == 12) {
      REQUIRE(f.store->seal());
    } else if (what == 15 && step % 10 == 0) {
      const std::string metric = "m" + std::to_string(random() % 3);
      const std::int64_t from = now - static_cast<std::int64_t>(random() % 300) * 3'600'000;
      const model::TimeRange range{from, from + static_cast<std::int64_t>(random() % 10'000'000)};
      REQUIRE(f.store->erase({{Matcher::equal("__name__", metric)}}, range));
      for (auto& [l, points] : naive.series)
        if (l.metric() == metric) std::erase_if(points, [&](const auto& p) { return range.contains(p.first); });
    } else if (what == 16 && step % 10 == 0) {
      REQUIRE(f.store->maintain());  // merges the segments of a day
    } else if (what == 13 && step % 3 == 0) {
      f.reopen();
    } else if (what == 14 && step % 3 == 0) {
      f.lose_process();
    } else {
      const std::int64_t from = now - static_cast<std::int64_t>(random() % 400) * 3'600'000;
      model::TimeRange range{from, from + static_cast<std::int64_t>(random() % 100'000'000)};
      if (random() % 4 == 0) range = {};
      if (random() % 2 && !naive.series.empty()) range = short_range(random, naive);
      model::Matchers matchers;
      if (random() % 2) matchers.push_back(Matcher::equal("__name__", "m1"));
      if (random() % 4 == 0) matchers = {Matcher::equal("pod", std::to_string(random() % 40))};
      check_series(*f.store, naive, matchers, range);
    }
  }
  check_series(*f.store, naive, {}, {});
  check_lines(*f.store, naive);
  check_state(*f.store, naive);
  REQUIRE(f.store->seal());
  check_series(*f.store, naive, {}, {});
  check_lines(*f.store, naive);
  f.reopen();
  check_series(*f.store, naive, {}, {});
  check_lines(*f.store, naive);
  check_state(*f.store, naive);
  CHECK(f.store->stats().head_samples == 0);
}

TEST_CASE("look-ups of ranges between two samples find nothing, whatever holds the samples") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  HistogramMaker make(seed);
  StoreFixture f;
  f.open();
  NaiveStore naive;
  const std::int64_t begin = f.clock.now_ms() / 86'400'000 * 86'400'000 - 2 * 86'400'000;
  // Three scrapes at other times, one of them with histograms, over a day and some hours; then what is late.
  const auto labels_of = [](std::int64_t i) { return Labels::of({{"__name__", "m" + std::to_string(i % 3)}, {"pod", std::to_string(i)}}); };
  const auto put = [&](std::int64_t from, std::int64_t to, std::int64_t step) {
    WriteBatch batch;
    for (std::int64_t i = 0; i < 9; ++i) {
      std::vector<Sample> samples;
      std::vector<model::HistogramSample> histograms;
      for (std::int64_t t = from + (i % 3) * 7'000; t < to; t += step) {
        if (i % 3 == 2 && t / 3'600'000 % 2 == 0) {
          histograms.push_back({t, make.series(1).front().h});
          naive.series[labels_of(i)][t] = {histograms.back().h};
        } else {
          samples.push_back({t, static_cast<double>(i)});
          naive.series[labels_of(i)][t] = {static_cast<double>(i)};
        }
      }
      if (!samples.empty()) batch.series.push_back({labels_of(i), std::move(samples)});
      if (!histograms.empty()) batch.histograms.push_back({labels_of(i), std::move(histograms)});
    }
    REQUIRE(f.store->write(std::move(batch)));
  };
  std::size_t found = 0, empty = 0;
  const auto check = [&] {
    for (int i = 0; i < 40; ++i) {
      const model::TimeRange range = short_range(random, naive);
      INFO("from " << range.min - begin << " to " << range.max - begin);
      check_series(*f.store, naive, {}, range);
      (f.store->series({}, range, 0)->empty() ? empty : found) += 1;
    }
  };
  const std::int64_t hour = 3'600'000;
  put(begin, begin + 20 * hour, 120'000);
  check();
  REQUIRE(f.store->seal());
  check();
  put(begin + 20 * hour, begin + 30 * hour, 120'000);
  put(begin + 3 * hour + 1'000, begin + 4 * hour, 60'000);
  check();
  REQUIRE(f.store->seal());
  check();
  REQUIRE(f.store->maintain());  // merges the segments of a day
  check();
  put(begin + 5 * hour + 15'500, begin + 6 * hour, 600'000);
  check();
  f.reopen();
  check();
  CHECK(found > 20);
  CHECK(empty > 20);
}

TEST_CASE("who looks series up is asked on the way, and may end it") {
  StoreFixture f;
  f.open();
  const std::int64_t now = f.clock.now_ms();
  for (int piece = 0; piece < 3; ++piece) {  // two segments and the head
    WriteBatch batch;
    for (int i = 0; i < 10; ++i)
      batch.series.push_back({Labels::of({{"__name__", "m"}, {"i", std::to_string(i)}}), {{now - 60'000 + piece, 1}, {now + piece, 2}}});
    REQUIRE(f.store->write(batch));
    if (piece < 2) REQUIRE(f.store->seal());
  }
  const model::TimeRange between{now - 30'000, now - 20'000};  // inside of all three, where nothing is
  int asked = 0, last = 0;
  const storage::GoOn go_on = [&]() -> Status { return ++asked == last ? Status(fail(Code::cancelled, "nobody waits")) : Status(); };
  const auto look_up = [&](int kind) -> Status {
    asked = 0;
    const auto ended = [](const auto& result) -> Status { return result ? Status() : Status(fail(result.error())); };
    if (kind == 0) return ended(f.store->series({}, between, 0, go_on));
    if (kind == 1) return ended(f.store->label_names({}, between, go_on));
    return ended(f.store->label_values("i", {}, between, go_on));
  };
  for (int kind = 0; kind < 3; ++kind) {
    last = 0;
    REQUIRE(look_up(kind));
    const int all = asked;
    REQUIRE(all >= 3);
    for (last = 1; last <= all; ++last) {
      const Status status = look_up(kind);
      REQUIRE_FALSE(status);
      CHECK(status.error().code == Code::cancelled);
      CHECK(asked == last);
    }
  }
}

TEST_CASE("limits of a query are errors that name themselves") {
  StoreFixture f;
  f.open();
  WriteBatch batch;
  for (int i = 0; i < 10; ++i)
    batch.series.push_back({Labels::of({{"__name__", "m"}, {"i", std::to_string(i)}}),
                            {{f.clock.now_ms(), 1}, {f.clock.now_ms() + 1, 2}}});
  REQUIRE(f.store->write(batch));
  const auto visit = [](const Labels&, std::span<const Sample>) { return true; };
  storage::SeriesQuery query;
  query.series_max = 9;
  auto status = f.store->select(query, visit);
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Code::over_limit);
  CHECK(status.error().message.find("series_max") != std::string::npos);
  query.series_max = 10;
  query.samples_max = 19;
  status = f.store->select(query, visit);
  REQUIRE_FALSE(status);
  CHECK(status.error().message.find("samples_max") != std::string::npos);
  query.samples_max = 20;
  CHECK(f.store->select(query, visit));
  int seen = 0;
  CHECK(f.store->select(query, [&](const Labels&, std::span<const Sample>) { return ++seen < 3; }));
  CHECK(seen == 3);
}

TEST_CASE("what is too old or too new is refused alone, counted and explained") {
  StoreFixture f;
  f.options.retention_series = std::chrono::hours(24);
  f.open();
  const std::int64_t now = f.clock.now_ms();
  const Labels labels = Labels::of({{"__name__", "m"}});
  WriteBatch batch = one_series(labels, {{now, 1}, {now - 86'400'001, 2}, {now + 600'001, 3}, {now + 600'000, 4}, {-5, 6}});
  batch.events.push_back({model::EventKind::log, Labels::of({{"job", "x"}}), {{(now + 700'000) * 1'000'000, {}}}});
  const auto receipt = f.store->write(batch);
  REQUIRE(receipt);
  CHECK(receipt->samples == 2);
  CHECK(receipt->rows == 0);
  REQUIRE(receipt->refusals.size() == 2);
  CHECK(receipt->refusals[0].reason == "too_old");
  CHECK(receipt->refusals[0].count == 2);
  CHECK(receipt->refusals[0].example.find("retention of 1d") != std::string::npos);
  CHECK(receipt->refusals[1].reason == "too_new");
  CHECK(receipt->refusals[1].count == 2);
  CHECK(read_all(*f.store, labels) == std::vector<Sample>{{now, 1}, {now + 600'000, 4}});
  CHECK(f.registry.render().find("plumbline_store_refused_total{reason=\"too_old\"} 2") != std::string::npos);
}

TEST_CASE("the series limit refuses new series alone; known ones and the state beside them are stored") {
  StoreFixture f;
  f.options.series_active_max = 2;
  f.open();
  const std::int64_t now = f.clock.now_ms();
  REQUIRE(f.store->write(one_series(Labels::of({{"__name__", "a"}}), {{now, 1}})));
  WriteBatch two = one_series(Labels::of({{"__name__", "b"}}), {{now, 1}});
  two.series.push_back({Labels::of({{"__name__", "c"}}), {{now, 1}}});
  two.state.push_back({"k", "v"});
  two.series.push_back({Labels::of({{"__name__", "a"}}), {{now + 1, 2}}});
  const auto receipt = f.store->write(two);  // b takes the last place, c is one too many, a is known
  REQUIRE(receipt);
  CHECK(receipt->samples == 2);
  REQUIRE(receipt->refusals.size() == 1);
  CHECK(receipt->refusals[0].reason == "series_limit");
  CHECK(receipt->refusals[0].count == 1);
  CHECK(receipt->refusals[0].example == "new series c: the limit of 2 active series (storage.series_active_max) is reached");
  CHECK(f.store->stats().series_total == 2);
  CHECK(f.store->get("k").value() == "v");
  CHECK(read_all(*f.store, Labels::of({{"__name__", "a"}})) == std::vector<Sample>{{now, 1}, {now + 1, 2}});
  // A batch of nothing but new series is told to come later.
  const auto refused = f.store->write(one_series(Labels::of({{"__name__", "d"}}), {{now, 1}}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::over_limit);
}

TEST_CASE("metadata and state are kept across restarts") {
  StoreFixture f;
  f.open();
  WriteBatch batch;
  batch.metadata = {{"up", "gauge", "is it up", ""}, {"a_total", "counter", "things", "1"}};
  batch.state = {{"rules/x", "1"}, {"rules/y", "2"}, {"s/z", std::string("\0\xff", 2)}};
  REQUIRE(f.store->write(batch));
  f.lose_process();
  const auto all = f.store->metadata("");
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  CHECK((*all)[0].metric == "a_total");
  CHECK(f.store->metadata("up")->at(0).help == "is it up");
  CHECK(f.store->metadata("none")->empty());
  CHECK(f.store->get("s/z").value() == std::string("\0\xff", 2));
  std::vector<std::string> keys;
  REQUIRE(f.store->list("rules/", [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return true;
  }));
  CHECK(keys == std::vector<std::string>{"rules/x", "rules/y"});
  REQUIRE(f.store->close());
  CHECK(f.store->get("rules/x").error().code == Code::unavailable);
  CHECK(f.store->write(batch).error().code == Code::unavailable);
}
