// Downsampled days: what they answer against a naive model, and that they follow the samples until those go.
#include <fstream>

#include "storage/offline.hpp"
#include "storage/series/segment.hpp"
#include "storage/series/tier_file.hpp"
#include "store_fixture.hpp"
#include "tests/support/upkeep.hpp"

using namespace plumbline;
using namespace plumbline::test;
using model::TimeRange;
using model::WindowSummary;
using std::chrono::hours;
using std::chrono::minutes;

namespace {

constexpr std::int64_t day = 86'400'000;
constexpr std::int64_t five_minutes = storage::series::tier_5m;
constexpr std::int64_t one_hour = storage::series::tier_1h;
using Model = std::map<std::string, std::map<std::int64_t, double>>;
using Answers = std::map<std::string, std::vector<WindowSummary>>;

Labels named(const std::string& name) { return Labels::of({{"__name__", name}}); }

struct TierFixture : StoreFixture {
  std::uint64_t seed = std::random_device{}();
  std::mt19937_64 random{seed};
  Model model;
  std::int64_t begin = 0;  // of the first of two whole days with samples

  TierFixture() {
    options.retention_series = hours(24 * 4);
    options.downsample_5m_retention = hours(24 * 20);
    options.downsample_1h_retention = hours(24 * 40);
  }
  void start() {
    open();
    REQUIRE(store->maintain());
    clock.advance(minutes(11));
    begin = (clock.now_ms() / day - 2) * day;
  }
  void put(const std::string& name, std::vector<Sample> samples) {
    for (const Sample& s : samples) model[name][s.t] = s.v;
    const auto receipt = store->write(one_series(named(name), std::move(samples)));
    REQUIRE(receipt);
    REQUIRE(receipt->refusals.empty());
  }
  // Two days, midnights included: a counter with resets, a gauge with gaps and stale markers, whole numbers, a constant, numbers of all sizes.
  void fill() {
    double counter = 0;
    std::map<std::string, std::vector<Sample>> of;
    for (std::int64_t t = begin; t <= begin + 2 * day; t += 30'000) {
      counter = random() % 500 == 0 ? 0 : counter + static_cast<double>(random() % 100);
      of["counter"].push_back({t, counter});
      if (random() % 50 == 0) of["gauge"].push_back({t, model::stale_nan});
      else if (random() % 3 != 0) of["gauge"].push_back({t, static_cast<double>(random() % 100'000) / 100 - 300});
      of["whole"].push_back({t + static_cast<std::int64_t>(random() % 1000), static_cast<double>(random() % 7)});
      of["constant"].push_back({t, 0.25});
      if (t < begin + day) of["sizes"].push_back({t, std::ldexp(static_cast<double>(random()), -static_cast<int>(random() % 100))});
    }
    for (auto& [name, samples] : of) put(name, std::move(samples));
    REQUIRE(store->seal());
  }
  double written() { return static_cast<double>(registry.counter("plumbline_store_tier_files_total", "").value()); }
  void settle() { test::settle(*store, registry); }
  void pass_days(int days) { test::pass_days(*store, registry, clock, days); }
  // Of a day, smallest first; with day 0 the tiers.
  std::vector<std::filesystem::path> files(std::int64_t of) const {
    const std::string dated = storage::series::segment_name(static_cast<std::uint32_t>(of / day), 0).substr(0, 9);
    std::vector<std::filesystem::path> out;
    for (const auto& file : std::filesystem::directory_iterator(options.path + "/segments")) {
      const std::string name = file.path().filename().string();
      const bool tier = storage::series::is_tier_name(name);
      if (of == 0 ? tier : !tier && name.starts_with(dated)) out.push_back(file.path());
    }
    std::ranges::sort(out, {}, [](const auto& path) { return std::pair(std::filesystem::file_size(path), path.string()); });
    return out;
  }
  void drop_samples() {
    pass_days(7);
    for (const auto& [name, samples] : model) REQUIRE(read_all(*store, named(name), {begin, begin + 2 * day - 1}).empty());
  }
  Answers ask(const std::vector<TimeRange>& windows, std::int64_t resolution) {
    storage::SeriesQuery query;
    query.matchers = {Matcher::make(model::MatchOp::not_equal, "__name__", "").value()};
    query.resolution_max = resolution;
    Answers out;
    const auto whole = store->windows(query, windows, [&](const Labels& labels, std::span<const WindowSummary> found) {
      out[std::string(labels.metric())].assign(found.begin(), found.end());
      return true;
    });
    REQUIRE(whole);
    REQUIRE(*whole);
    return out;
  }
  // (from, to] as the store is asked.
  static TimeRange window(std::int64_t from, std::int64_t to) { return {from + 1, to}; }
  std::vector<TimeRange> random_windows(std::int64_t unit, std::size_t count = 40) {
    std::vector<TimeRange> out;
    const auto units = static_cast<std::uint64_t>(2 * day / unit);
    for (std::size_t i = 0; i < count; ++i) {
      const auto from = static_cast<std::int64_t>(random() % units), to = from + 1 + static_cast<std::int64_t>(random() % (units - static_cast<std::uint64_t>(from)));
      out.push_back(window(begin + from * unit, begin + to * unit));
    }
    std::ranges::sort(out, {}, &TimeRange::min);
    return out;
  }
  // `answered` against the model over `meant`, window by window.
  void compare(const Answers& answered, const std::vector<TimeRange>& meant) {
    for (const auto& [name, points] : model) {
      std::vector<Sample> samples;
      for (const auto& [t, v] : points) samples.push_back({t, v});
      const auto found = answered.find(name);
      for (std::size_t i = 0; i < meant.size(); ++i) {
        INFO("seed " << seed << ", " << name << ", window " << i << ": " << meant[i].min << " to " << meant[i].max);
        const WindowSummary want = model::summarize_window(samples, meant[i]);
        const WindowSummary got = found == answered.end() ? WindowSummary{} : found->second[i];
        REQUIRE(got.count == want.count);
        if (want.count == 0) continue;
        CHECK((got.first_t == want.first_t && got.last_t == want.last_t));
        CHECK((got.first == want.first && got.last == want.last && got.min == want.min && got.max == want.max));
        // A sum whose parts cancel is as exact as the parts are.
        double magnitude = 0;
        for (const Sample& s : samples)
          if (meant[i].contains(s.t) && !model::is_stale(s.v)) magnitude += std::fabs(s.v);
        CHECK(std::fabs(got.sum - want.sum) <= 1e-12 * magnitude);
        CHECK(std::fabs(got.reset_correction - want.reset_correction) <= 1e-12 * magnitude);
        if (name == "counter") CHECK(got.last - got.first + got.reset_correction == want.last - want.first + want.reset_correction);
      }
    }
  }
  void compare(const std::vector<TimeRange>& windows, std::int64_t resolution) { compare(ask(windows, resolution), windows); }
};

}  // namespace

TEST_CASE("a downsampled day answers aligned windows as its samples do, and goes on when they are gone") {
  TierFixture f;
  f.start();
  f.fill();
  CHECK_FALSE(f.store->tiers().any);
  f.settle();
  CHECK(f.store->tiers().any);
  CHECK(f.written() == 4);  // the two days that have ended, at two resolutions
  CHECK(f.store->tiers().samples_since == std::numeric_limits<std::int64_t>::min());
  for (const std::int64_t resolution : {five_minutes, one_hour}) f.compare(f.random_windows(resolution), resolution);
  // While the samples are there, a window that cuts buckets is answered from them.
  f.compare(f.random_windows(7'000), one_hour);
  f.reopen();
  f.compare(f.random_windows(one_hour), one_hour);
  f.drop_samples();
  CHECK(f.store->tiers().samples_since >= f.begin + 2 * day);
  for (const std::int64_t resolution : {five_minutes, one_hour}) f.compare(f.random_windows(resolution), resolution);
  CHECK(f.ask(f.random_windows(one_hour), 0).empty());  // nobody asked for buckets
  f.compare(f.random_windows(five_minutes), one_hour);  // what cuts hours is answered from the finer buckets
  // A bucket belongs to the window that its end is in.
  const auto compare_cut = [&](std::int64_t resolution) {
    const auto cut = f.random_windows(7'000);
    std::vector<TimeRange> meant;
    for (const TimeRange& w : cut) {
      const std::int64_t from = (w.min - 1) / resolution * resolution, to = w.max / resolution * resolution;
      meant.push_back(from < to ? TierFixture::window(from, to) : TimeRange{1, 0});
    }
    f.compare(f.ask(cut, one_hour), meant);
  };
  compare_cut(five_minutes);
  f.reopen();
  CHECK(f.store->tiers().samples_since >= f.begin + 2 * day);
  f.compare(f.random_windows(one_hour), one_hour);
  CHECK(f.store->stats().series_total == 5);
  // The 5 m ones go first, and with the last the series.
  f.clock.advance(hours(24 * 15));
  REQUIRE(f.store->maintain());
  f.clock.advance(minutes(11));
  f.settle();
  const auto windows = f.random_windows(one_hour);
  CHECK(f.ask(windows, five_minutes).empty());
  f.compare(windows, one_hour);
  compare_cut(one_hour);
  f.clock.advance(hours(24 * 40));
  REQUIRE(f.store->maintain());
  f.clock.advance(minutes(11));
  f.settle();
  CHECK_FALSE(f.store->tiers().any);
  CHECK(f.store->stats().series_total == 0);
}

TEST_CASE("series of days whose samples are gone are found by their buckets") {
  TierFixture f;
  f.start();
  f.fill();
  f.put("short", {{f.begin + 600'001, 1}, {f.begin + 660'000, 2}});  // a bucket with nothing between its two samples
  REQUIRE(f.store->seal());
  f.settle();
  const auto names = [&](TimeRange range) {
    return f.store->label_values("__name__", {}, range).value();
  };
  const std::vector<std::string> before = names({f.begin, f.begin + day - 1});
  f.drop_samples();
  CHECK(names({f.begin, f.begin + day - 1}) == before);
  CHECK(names({f.begin - day, f.begin - 1}).empty());
  CHECK(f.store->label_names({}, {f.begin, f.begin + day - 1}).value() == std::vector<std::string>{"__name__"});
  for (int i = 0; i < 300; ++i) {
    const auto at = f.begin - five_minutes + static_cast<std::int64_t>(f.random() % static_cast<std::uint64_t>(2 * day + 2 * five_minutes));
    const TimeRange range{at, at + static_cast<std::int64_t>(f.random() % (i % 2 == 0 ? 20'000u : 10'000'000u))};
    std::vector<std::string> expected;
    for (const auto& [name, points] : f.model) {
      std::map<std::pair<std::int64_t, std::int64_t>, TimeRange> buckets;  // by day and end: first and last time
      for (const auto& [t, v] : points) {
        if (model::is_stale(v) || t >= f.begin + 2 * day) continue;  // the last midnight's is of a day that is there
        const auto added = buckets.try_emplace({t / day, (t + five_minutes - 1) / five_minutes}, TimeRange{t, t});
        added.first->second.max = t;
      }
      if (std::ranges::any_of(buckets, [&](const auto& b) { return range.overlaps(b.second.min, b.second.max); })) expected.push_back(name);
    }
    INFO("seed " << f.seed << ", " << range.min << " to " << range.max);
    CHECK(names({range.min, std::min(range.max, f.begin + 2 * day - 1)}) == (range.min < f.begin + 2 * day ? expected : std::vector<std::string>()));
  }
  // By the other tier, where the finest does not open; and not at all, in silence, where none does.
  const auto cut = [&](std::string_view resolution) {
    f.store.reset();
    for (const auto& file : f.files(0))
      if (file.filename().string().find(resolution) != std::string::npos) std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
    f.open();
  };
  cut("-5m-");
  CHECK(names({f.begin, f.begin + day - 1}) == before);
  CHECK(names({f.begin + 1, f.begin + day - 2}) == before);
  cut("-1h-");
  CHECK(f.store->label_values("__name__", {}, {f.begin, f.begin + day - 1}).error().code == Code::corrupt);
}

TEST_CASE("a look-up in tiers ends when nobody waits") {
  TierFixture f;
  f.start();
  f.fill();
  f.settle();
  f.drop_samples();
  const storage::GoOn gone = [] { return fail(Code::cancelled, "nobody waits"); };
  CHECK(f.store->label_values("__name__", {}, {f.begin, f.begin + 1}, gone).error().code == Code::cancelled);
}

TEST_CASE("late samples and deletes reach the downsampled days") {
  TierFixture f;
  f.start();
  f.fill();
  f.settle();
  f.put("counter", {{f.begin + 5 * one_hour, 1e6}});
  f.put("late", {{f.begin + 6 * one_hour, 2}, {f.begin + day, 3}, {f.begin + day + 1, 4}});
  f.compare(f.random_windows(one_hour), one_hour);  // from the head
  REQUIRE(f.store->seal());
  f.compare(f.random_windows(one_hour), one_hour);  // sealed, and the tier is stale
  f.settle();
  CHECK(f.written() == 8);
  f.compare(f.random_windows(one_hour), one_hour);
  REQUIRE(f.store->erase({{Matcher::equal("__name__", "whole")}}, {f.begin + 3 * one_hour, f.begin + 4 * one_hour}));
  std::erase_if(f.model["whole"], [&](const auto& s) { return s.first >= f.begin + 3 * one_hour && s.first <= f.begin + 4 * one_hour; });
  f.compare(f.random_windows(one_hour), one_hour);
  f.settle();
  f.compare(f.random_windows(five_minutes), five_minutes);
  const bool reopened = GENERATE(false, true);
  if (reopened) f.lose_process();
  f.drop_samples();
  f.compare(f.random_windows(one_hour), one_hour);
  // Now only buckets are left: those that the range touches go.
  REQUIRE(f.store->erase({{Matcher::equal("__name__", "constant")}}, {f.begin + 3 * one_hour + 1, f.begin + 4 * one_hour}));
  std::erase_if(f.model["constant"], [&](const auto& s) { return s.first > f.begin + 3 * one_hour && s.first <= f.begin + 4 * one_hour; });
  REQUIRE(f.store->erase({{Matcher::equal("__name__", "sizes")}}, {}));
  f.model.erase("sizes");
  f.compare(f.random_windows(one_hour), one_hour);
  CHECK_FALSE(f.ask(f.random_windows(five_minutes), five_minutes).contains("sizes"));
  f.reopen();
  f.compare(f.random_windows(one_hour), one_hour);
}

TEST_CASE("nothing is downsampled unless it is asked for, and samples of a dropped day are refused") {
  TierFixture f;
  const bool on = GENERATE(false, true);
  if (!on) f.options.downsample_5m_retention = f.options.downsample_1h_retention = Millis(0);
  f.start();
  f.fill();
  f.settle();
  CHECK(f.store->tiers().any == on);
  f.drop_samples();
  CHECK(f.store->tiers().any == on);
  CHECK(f.store->stats().series_total == (on ? 5 : 0));
  f.options.retention_series = hours(24 * 20);
  f.reopen();
  const auto receipt = f.store->write(one_series(named("counter"), {{f.begin + 1, 5}}));
  REQUIRE(receipt);
  REQUIRE(receipt->refusals.size() == (on ? 1 : 0));
  if (!on) return;
  CHECK(receipt->refusals[0].reason == "too_old");
  CHECK(receipt->refusals[0].count == 1);
  f.compare(f.random_windows(one_hour), one_hour);
}

TEST_CASE("damage to a downsampled day is named; while its samples are there it is made again") {
  TierFixture f;
  f.start();
  f.fill();
  f.settle();
  const bool gone = GENERATE(false, true);
  if (gone) f.drop_samples();
  REQUIRE(f.store->close());
  f.store.reset();
  auto report = storage::verify(f.options.path, nullptr, *f.log);
  REQUIRE(report);
  CHECK(report->problems.empty());
  CHECK(report->tiers >= 4);
  std::size_t damaged = 0;
  for (const auto& file : std::filesystem::directory_iterator(f.options.path + "/segments")) {
    if (!storage::series::is_tier_name(file.path().filename().string())) continue;
    std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) / 2);
    ++damaged;
  }
  report = storage::verify(f.options.path, nullptr, *f.log);
  REQUIRE(report);
  CHECK(report->problems.size() == damaged);
  f.open();
  const auto windows = f.random_windows(one_hour);
  if (gone) {
    storage::SeriesQuery query;
    query.matchers = {Matcher::equal("__name__", "counter")};
    query.resolution_max = one_hour;
    const auto answer = f.store->windows(query, windows, [](const Labels&, std::span<const WindowSummary>) { return true; });
    REQUIRE_FALSE(answer);
    CHECK((answer.error().code == Code::corrupt || answer.error().code == Code::io));
    // Other days go on going, and no label goes with them: the file may come back.
    f.put("extra", {{f.clock.now_ms(), 1}});
    REQUIRE(f.store->seal());
    f.pass_days(7);
    CHECK(f.store->stats().series_total == 6);
  } else {
    f.compare(windows, one_hour);
    f.settle();
    f.compare(windows, one_hour);
    REQUIRE(f.store->close());
    f.store.reset();
    CHECK(storage::verify(f.options.path, nullptr, *f.log).value().problems.empty());
  }
}

TEST_CASE("a day whose segments do not open keeps its tiers, and they stand for it when it goes") {
  TierFixture f;
  f.start();
  f.fill();
  f.put("late", {{f.begin + 6 * one_hour, 2}});
  REQUIRE(f.store->seal());
  f.settle();
  f.store.reset();
  auto damaged = f.files(f.begin);
  REQUIRE(damaged.size() == 2);
  const bool all = GENERATE(false, true);
  if (!all) damaged.pop_back();
  for (const auto& path : damaged) std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  const auto tiers = f.files(0);
  REQUIRE(tiers.size() == 4);
  f.open();
  f.settle();
  CHECK((f.files(0) == tiers));
  // What seals now is not in the tiers, and no others can be made.
  REQUIRE(f.store->write(one_series(named("counter"), {{f.begin + 7 * one_hour, 1e9}})));
  REQUIRE(f.store->seal());
  f.settle();
  CHECK((f.files(0) == tiers));
  f.drop_samples();
  f.compare(f.random_windows(one_hour), one_hour);
  CHECK(f.store->stats().series_total == 6);
}

TEST_CASE("a day that opens and does not read holds up no other") {
  TierFixture f;
  f.start();
  f.fill();
  f.store.reset();
  const auto path = f.files(f.begin).at(0);
  flip(path, std::filesystem::file_size(path) / 3, 1);
  f.open();
  f.settle();
  CHECK(f.written() == 2);
  std::vector<TimeRange> windows;
  for (int hour = 0; hour < 24; ++hour) windows.push_back(TierFixture::window(f.begin + day + hour * one_hour, f.begin + day + (hour + 1) * one_hour));
  f.compare(windows, one_hour);
  CHECK_FALSE(f.store->erase({{Matcher::equal("__name__", "whole")}}, {}));  // and says so, but the other days are done
  f.model.erase("whole");
  f.compare(windows, one_hour);
  f.drop_samples();
  f.compare(windows, one_hour);
}

TEST_CASE("a disk that refuses a tier's commit leaves one file at most, and none when it is well again") {
  TierFixture f;
  storage::kv::FaultDisk disk(f.seed);
  f.use(disk);
  f.start();
  const auto tiers = [&] { return std::ranges::count_if(disk.files(), [](const std::string& p) { return storage::series::is_tier_name(p.substr(p.rfind('/') + 1)); }); };
  f.put("counter", {{f.begin + 1, 1}});
  REQUIRE(f.store->seal());
  f.settle();
  REQUIRE(tiers() == 2);
  int failed = 0;
  for (std::uint64_t n = 1; n <= 15; ++n) {
    INFO("seed " << f.seed << ", operation " << n);
    f.put("counter", {{f.begin + 1 + static_cast<std::int64_t>(n), 1}});
    REQUIRE(f.store->seal());
    const auto before = tiers();
    disk.fail_operation(n);
    const bool refused = !f.store->maintain();
    CHECK(tiers() <= before + 1);
    disk.fail_operation(0);
    if (!f.store->maintain()) f.reopen();  // an error of its log ends the database's writing until a start
    f.settle();
    if (refused) CHECK(tiers() == before);  // else the removal of the old one may have failed: a start does it
    failed += refused ? 1 : 0;
    f.compare({TierFixture::window(f.begin, f.begin + day)}, one_hour);
  }
  CHECK(failed > 3);
  f.reopen();
  CHECK(tiers() == 2);
}

TEST_CASE("a tier's writer refuses series out of order, as a forged file may have them") {
  using namespace storage::series;
  TempDir directory;
  const auto files = storage::kv::TableFiles::open({directory.path("segments")}).value();
  const auto writer = TierWriter::create(*files, 19675, tier_1h).value();
  const std::vector<std::int64_t> times{19675 * day + 1};
  const std::vector<double> values{1};
  REQUIRE(writer->add({5, 1}, times, values));
  for (const SeriesRef wrong : {SeriesRef{4, 2}, SeriesRef{5, 1}, SeriesRef{6, 1}}) {
    const Status added = writer->add(wrong, times, values);
    REQUIRE_FALSE(added);
    CHECK(added.error().code == Code::corrupt);
  }
  TierInfo info;
  info.resolution = tier_1h;
  info.groups = {{3, 9}, {9, 9}};
  CHECK(decode_tier_info(encode_tier_info(info)));
  info.groups = {{3, 9}, {8, 9}};
  CHECK_FALSE(decode_tier_info(encode_tier_info(info)));
}
