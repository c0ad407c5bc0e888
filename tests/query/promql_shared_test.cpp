// Equal parts of an expression are evaluated once, and nobody can tell: beside each text the same one with a space more in every
// repetition, so that no two of them are equal byte for byte.
#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <set>
#include <string>

#include <catch2/catch.hpp>

#include "query/query.hpp"
#include "tests/query/counting_reader.hpp"
#include "tests/query/random_expressions.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query;

namespace {

void fill(test::MemoryStore& store, test::ExpressionGenerator& g) {
  storage::WriteBatch batch;
  for (const char* name : {"a_total", "b_total", "g", "h_bucket"})
    for (const char* x : {"1", "2", "3"}) {
      storage::SeriesSamples s;
      s.labels = model::Labels::of({{"__name__", name}, {"x", x}, {"y", x[0] == '2' ? "q" : "p"}, {"le", name[0] == 'h' ? x : ""}});
      for (std::int64_t t = 0; t < 600'000; t += 15'000)
        if (g.below(10) != 0) s.samples.push_back({t, g.below(40) == 0 ? std::nan("") : static_cast<double>(g.below(1000)) / 7});
      batch.series.push_back(std::move(s));
    }
  REQUIRE(store.write(std::move(batch)));
}

// `part` in the places of @: the n-th with n spaces behind its first parenthesis, or the same everywhere.
std::string repeated(const std::string& pattern, const std::string& part, bool same) {
  std::string out;
  std::size_t n = 0;
  for (const char c : pattern) {
    if (c != '@') {
      out += c;
      continue;
    }
    std::string one = part;
    if (!same) one.insert(one.find('(') + 1, n++, ' ');
    out += one;
  }
  return out;
}

// Without the place in the text.
std::set<std::string> messages(const std::vector<std::string>& notes) {
  std::set<std::string> out;
  for (const std::string& n : notes) out.insert(n.substr(0, n.rfind(" (")));
  return out;
}

std::string difference(const Matrix& a, const Matrix& b) {
  if (a.size() != b.size()) return "another number of series";
  for (std::size_t s = 0; s < a.size(); ++s) {
    if (a[s].labels != b[s].labels) return a[s].labels.str();
    const auto same = [](const model::Sample& x, const model::Sample& y) {
      return x.t == y.t && (std::bit_cast<std::uint64_t>(x.v) == std::bit_cast<std::uint64_t>(y.v) || (std::isnan(x.v) && std::isnan(y.v)));
    };
    if (!std::ranges::equal(a[s].samples, b[s].samples, same)) return "values of " + a[s].labels.str();
  }
  return "";
}

}  // namespace

TEST_CASE("equal parts give what unequal ones give: values, errors, annotations, counts", "[shared]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  test::ExpressionGenerator g(seed);
  test::MemoryStore store;
  fill(store, g);
  const test::ManualClock clock;
  int answered = 0, annotated = 0;
  for (int i = 0; i < 1000; ++i) {
    static const char* const patterns[] = {"(@) / (@)", "@ - on (x) group_left () sum by (x) (@) * count by (x) (@)", "(@ and @) or @",
                                           "sum(@) / (stddev(@) + stddev(@))", "max_over_time((@ + @)[2m:30s]) - (@)", "topk(1, @) + @"};
    const std::string part = g.below(3) == 0 ? "rate(" + g.selector() + "[1m])" : g.vector(1 + static_cast<int>(g.below(2)));
    if (part.find('(') == std::string::npos) continue;
    const std::string pattern = g.one_of(patterns), one = repeated(pattern, part, true), other = repeated(pattern, part, false);
    CAPTURE(one);
    EngineOptions options;
    if (g.below(5) == 0) options.samples_max = 4000;  // then not all that is equal is kept
    const Engine engine(store, clock, options);
    QueryStats a_stats, b_stats;
    a_stats.count_steps = b_stats.count_steps = true;
    const auto a = engine.range(one, 0, 600'000, 30'000, &a_stats), b = engine.range(other, 0, 600'000, 30'000, &b_stats);
    if ((!a && a.error().code == Code::over_limit) || (!b && b.error().code == Code::over_limit)) continue;
    REQUIRE(a.has_value() == b.has_value());
    if (!a) continue;
    ++answered;
    CHECK(difference(std::get<Matrix>(a->value), std::get<Matrix>(b->value)) == "");
    CHECK(messages(a->warnings) == messages(b->warnings));
    CHECK(messages(a->infos) == messages(b->infos));
    CHECK(a->warnings.size() == b->warnings.size());
    CHECK(a->infos.size() == b->infos.size());
    annotated += !a->warnings.empty() || !a->infos.empty();
    CHECK(a_stats.samples_per_step == b_stats.samples_per_step);
  }
  CHECK(answered > 200);
  CHECK(annotated > 20);
}

TEST_CASE("equal parts are evaluated once", "[shared]") {
  test::ExpressionGenerator g(1);
  test::MemoryStore memory;
  fill(memory, g);
  const test::ManualClock clock;
  // A selector that one part needs is read while it is turned into columns, and kept by nobody: evaluated twice, it is read twice.
  const auto reads = [&](const char* text) {
    const test::CountingReader reader(memory);
    const Engine engine(reader, clock, {});
    REQUIRE(engine.range(text, 0, 600'000, 30'000));
    const auto plan = engine.plan(text, 0, 600'000, 30'000);
    REQUIRE(plan);
    const PlanNode* node = &*plan;
    while (!node->children.empty()) node = &node->children.front();
    return std::pair(reader.ranges.size(), node->fused);
  };
  const std::pair<std::size_t, bool> once{1, true}, loaded{1, false};
  CHECK(reads("rate(a_total[5m]) / rate(a_total[5m])") == once);
  CHECK(reads("sum by (x) (rate(a_total[5m])) / on () group_left () sum(sum by (x) (rate(a_total[5m])))") == once);
  CHECK(reads("(abs(g) + 1) / ((abs(g) + 1) - abs(g))") == once);
  CHECK(reads("rate(a_total[5m]) / rate( a_total[5m])") == loaded);
  CHECK(reads("rate(a_total[5m]) / on () group_left () sum(rate(a_total[5m]))") == loaded);
  CHECK(reads("max_over_time(rate(a_total[5m])[5m:1m]) + rate(a_total[5m])") == loaded);
  // An annotation stands at each of the places.
  const Engine engine(memory, clock, {});
  const auto answer = engine.range("rate(g[5m])\n/ rate(g[5m])", 0, 600'000, 30'000);
  REQUIRE(answer);
  REQUIRE(answer->infos.size() == 2);
  CHECK(answer->infos[0].ends_with("(1:6)"));
  CHECK(answer->infos[1].ends_with("(2:8)"));
}
