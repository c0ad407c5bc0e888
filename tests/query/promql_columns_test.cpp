// Columns by the shortest way: planned windows, groups of parts, a heap for topk, points printed on several threads. Each beside the
// long way.
#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <memory>
#include <random>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/api/prometheus_json.hpp"
#include "query/promql/fold.hpp"
#include "query/promql/range_functions.hpp"
#include "query/promql/window_plan.hpp"
#include "query/query.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query;
using model::Sample;

namespace {

bool same_bits(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (std::isnan(a) && std::isnan(b)); }

// The times of samples as a reader gives them: shared, and one object for the same times, or standing until the visit is over.
std::vector<storage::TimesPiece> in_pieces(const std::vector<Sample>& samples,
                                           std::map<std::vector<std::int64_t>, std::shared_ptr<const std::vector<std::int64_t>>>& shared,
                                           std::mt19937_64& random) {
  std::vector<storage::TimesPiece> out;
  for (std::size_t from = 0; from < samples.size();) {
    const std::size_t to = std::min<std::size_t>(samples.size(), from + 100);  // the same pieces for the same times
    std::vector<std::int64_t> times;
    for (; from < to; ++from) times.push_back(samples[from].t);
    auto& known = shared[times];
    if (!known) known = std::make_shared<const std::vector<std::int64_t>>(times);
    out.push_back({*known, random() % 4 ? known : nullptr});
  }
  return out;
}

}  // namespace

TEST_CASE("planned rates are to the last bit what each window gives") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const auto one_of = [&](std::initializer_list<double> values) { return values.begin()[random() % values.size()]; };
  std::size_t windows = 0, at_zero = 0;
  for (int round = 0; round < 300; ++round) {
    const std::int64_t step = 1000 * static_cast<std::int64_t>(1 + random() % 60), range = 1000 * static_cast<std::int64_t>(1 + random() % 600);
    std::vector<std::int64_t> ends(1 + random() % 200);
    for (std::size_t i = 0; i < ends.size(); ++i) ends[i] = 1'000'000 + static_cast<std::int64_t>(i) * step;
    const bool per_second = random() % 2 == 0, counter = per_second || random() % 2 == 0;
    promql::WindowPlans plans(ends, range, per_second ? promql::WindowPlans::Rate::per_second : promql::WindowPlans::Rate::per_window);
    std::vector<std::int64_t> times(1 + random() % 300);
    std::int64_t t = 900'000;
    // Half of them as steps are, so that windows follow each other sample by sample.
    const bool regular = random() % 2 == 0;
    for (std::int64_t& at : times) at = t += regular ? step : 1 + static_cast<std::int64_t>(random() % 30'000);
    std::map<std::vector<std::int64_t>, std::shared_ptr<const std::vector<std::int64_t>>> shared;
    // Several series with the same times, and one with others that begin and end alike.
    for (int s = 0; s < 4; ++s) {
      std::vector<Sample> samples;
      double v = one_of({0, 0, 1, 1e-300, 1e9});
      const bool odd = random() % 3 == 0;
      for (const std::int64_t at : times) {
        v = random() % 30 == 0 ? one_of({0, 1e-310, 3}) : v + one_of({0, 0, 1, 0.1, 1e-308, 1e6});
        samples.push_back({at, odd && random() % 15 == 0 ? one_of({NAN, INFINITY, -INFINITY, -1, -0.0, 1e308}) : v});
      }
      if (s == 3 && samples.size() > 3 && samples[1].t + 1 < samples[2].t) ++samples[1].t;
      promql::Column column(model::Labels{}, ends.size());
      std::vector<double> values;
      for (const Sample& p : samples) values.push_back(p.v);
      const auto plan = random() % 2 ? plans.of(samples) : plans.of(in_pieces(samples, shared, random));
      REQUIRE(plan->low.size() == ends.size());
      std::size_t ticks = 0;
      REQUIRE(promql::planned_rates(values, plans, *plan, counter, per_second, [&]() -> Status { return ++ticks, Status(); }, column));
      const promql::Fn fn = per_second ? promql::Fn::rate : counter ? promql::Fn::increase : promql::Fn::delta;
      for (std::size_t i = 0; i < ends.size(); ++i) {
        INFO("round " << round << " series " << s << " window " << i);
        promql::Window w;
        w.end = w.now = ends[i];
        w.range = range;
        const auto inside = [&](const Sample& p) { return p.t > ends[i] - range && p.t <= ends[i]; };
        const auto first = std::ranges::find_if(samples, inside);
        const auto last = std::find_if_not(first, samples.end(), inside);
        w.samples = {first, last};
        CHECK(plan->high[i] - plan->low[i] == w.samples.size());
        const auto resets = counter ? promql::counter_resets(w.samples) : std::vector<std::size_t>{};
        w.resets = resets;
        double direct = 0;
        const bool there = !w.samples.empty() && promql::evaluate_window(fn, w, direct);
        REQUIRE((column.present[i] != 0) == there);
        if (!there) continue;
        ++windows;
        at_zero += counter && w.samples.front().v < w.samples.back().v / 100;
        CHECK(same_bits(column.values[i], direct));
      }
    }
  }
  CHECK(windows > 1000);
  CHECK(at_zero > 100);
}

TEST_CASE("groups of parts are the groups of the whole") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const auto one_of = [&](std::initializer_list<double> values) { return values.begin()[random() % values.size()]; };
  using promql::Tok;
  for (int round = 0; round < 200; ++round)
    for (const Tok op : {Tok::sum, Tok::avg, Tok::min, Tok::max, Tok::count, Tok::group}) {
      REQUIRE(promql::Fold::merges(op));
      const std::size_t steps = 1 + random() % 50;
      promql::Fold whole(op, steps), joined(op, steps);
      const bool odd = round % 3 == 2, holes = round % 2 == 1;
      std::vector<std::vector<double>> seen(steps);
      for (int part = 0; part < 4; ++part) {
        promql::Fold own(op, steps);
        for (std::size_t series = random() % 4; series > 0; --series) {
          promql::Column c(model::Labels{}, steps);
          for (std::size_t i = 0; i < steps; ++i) {
            if (holes && random() % 3 == 0) continue;
            // Infinities or sums that overflow, not both: what comes of them together depends on the order.
            const double v = odd && random() % 10 == 0 ? round % 2 == 0 ? one_of({NAN, INFINITY, -INFINITY, -0.0}) : one_of({1.7e308, -1.7e308})
                                                       : static_cast<double>(random() % 1000) / one_of({1, 3, 1e-12, -7});
            c.set(i, v);
            seen[i].push_back(v);
          }
          whole.add(c);
          own.add(c);
        }
        joined.merge(own);
      }
      for (std::size_t i = 0; i < steps; ++i) {
        INFO("round " << round << " op " << static_cast<int>(op) << " step " << i << " of " << seen[i].size());
        REQUIRE(whole.any(i) == !seen[i].empty());
        REQUIRE(joined.any(i) == whole.any(i));
        if (!whole.any(i)) continue;
        // Beside sums that the processor's wider numbers add up.
        long double sum = 0, size = 0;
        for (const double v : seen[i]) sum += v, size += std::fabs(v);
        const double n = static_cast<double>(seen[i].size());
        for (const double got : {whole.value(i), joined.value(i)}) {
          if (op == Tok::count) CHECK(got == n);
          if (op == Tok::group) CHECK(got == 1);
          if (op == Tok::min || op == Tok::max) {
            const auto less = [op](double a, double b) {
              if (std::isnan(a) || std::isnan(b)) return !std::isnan(a);
              return op == Tok::min ? a < b : a > b;
            };
            CHECK((got == *std::ranges::min_element(seen[i], less) || std::isnan(got)));
            CHECK(std::isnan(got) == std::ranges::all_of(seen[i], [](double v) { return std::isnan(v); }));
          }
          if (op != Tok::sum && op != Tok::avg) continue;
          const long double want = op == Tok::sum ? sum : sum / n;
          // A mean does not overflow.
          if (op == Tok::avg && std::isfinite(sum)) {
            long double largest = 0;
            for (const double v : seen[i]) largest = std::max(largest, std::fabs(static_cast<long double>(v)));
            CHECK(std::fabs(got - want) <= 1e-14L * largest);
          }
          if (std::isnan(static_cast<double>(sum))) CHECK(std::isnan(got));
          else if (std::isinf(sum)) CHECK(static_cast<long double>(got) == sum);
          else if (std::fabs(size) < 1e307L) CHECK(std::fabs(static_cast<double>(got - want)) <= 1e-15 * static_cast<double>(size));
        }
      }
    }
}

TEST_CASE("topk and bottomk choose as sorting does") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  test::ManualClock clock;
  test::MemoryStore store;
  const std::int64_t end = clock.now_ms() / 60'000 * 60'000;
  constexpr int series = 40, steps = 12;
  std::vector<std::vector<double>> values(series, std::vector<double>(steps));
  storage::WriteBatch batch;
  for (int s = 0; s < series; ++s) {
    storage::SeriesSamples one;
    one.labels = model::Labels::of({{"__name__", "m"}, {"s", fmt::format("{:02}", s)}});
    for (int i = 0; i < steps; ++i) {
      values[static_cast<std::size_t>(s)][static_cast<std::size_t>(i)] = random() % 8 == 0 ? NAN : static_cast<double>(random() % 6);
      one.samples.push_back({end - (steps - 1 - i) * 60'000, values[static_cast<std::size_t>(s)][static_cast<std::size_t>(i)]});
    }
    batch.series.push_back(std::move(one));
  }
  REQUIRE(store.write(std::move(batch)));
  const Engine engine(store, clock, {});
  for (const bool top : {true, false})
    for (const std::size_t k : {0, 1, 3, 39, 40, 1000}) {
      const auto answer = engine.range(fmt::format("{}({}, m)", top ? "topk" : "bottomk", k), end - (steps - 1) * 60'000, end, 60'000);
      REQUIRE(answer);
      std::vector<std::vector<bool>> got(steps, std::vector<bool>(series));
      for (const MatrixSeries& m : std::get<Matrix>(answer->value))
        for (const Sample& p : m.samples)
          got[static_cast<std::size_t>((p.t - end) / 60'000 + steps - 1)][static_cast<std::size_t>(std::stoi(std::string(m.labels.get("s"))))] = true;
      for (std::size_t i = 0; i < steps; ++i) {
        INFO((top ? "topk " : "bottomk ") << k << " step " << i);
        std::vector<std::size_t> order(series);
        for (std::size_t s = 0; s < series; ++s) order[s] = s;
        std::ranges::stable_sort(order, [&](std::size_t l, std::size_t r) {
          const double a = values[l][i], b = values[r][i];
          if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
          return top ? a > b : a < b;
        });
        std::vector<bool> want(series);
        for (std::size_t n = 0; n < std::min<std::size_t>(k, series); ++n) want[order[n]] = true;
        CHECK(got[i] == want);
      }
    }
}

TEST_CASE("an answer is printed on several threads as on one") {
  Matrix matrix;
  for (int s = 0; s < 50; ++s) {
    MatrixSeries one{model::Labels::of({{"s", std::to_string(s)}}), {}, {}};
    for (int i = 0; i < (s == 7 ? 20'000 : s % 3 == 0 ? 0 : 500); ++i) one.samples.push_back({1'700'000'000'000 + i * 15, i / 7.0});
    matrix.push_back(std::move(one));
  }
  const PromValue value = matrix;
  std::string alone, together;
  JsonWriter one(alone), several(together);
  write_value(one, value);
  const auto workers = make_workers(3);
  write_value(several, value, {}, workers.get());
  CHECK(alone == together);
  std::string by_hand;
  for (const Sample& p : matrix[7].samples) by_hand += (by_hand.empty() ? "[" : ",[") + json_time(p.t) + ",\"" + format_number(p.v) + "\"]";
  CHECK(alone.find("\"values\":[" + by_hand + "]") != std::string::npos);
  CHECK(alone.find("[1700000000,\"0\"],[1700000000.015,\"0.14285714285714285\"]") != std::string::npos);
}
