// Random texts and random expressions: nothing stops the parser, and whatever it accepts evaluates to an answer or to an
// error, the same for an instant query and for the one step of a range query.
#include <algorithm>
#include <iostream>
#include <random>
#include <string>

#include <catch2/catch.hpp>

#include "query/promql/ast.hpp"
#include "query/query.hpp"
#include "tests/query/random_expressions.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;

namespace {

using Generator = test::ExpressionGenerator;

void fill(test::MemoryStore& store, Generator& g) {
  storage::WriteBatch batch;
  for (const char* name : {"a_total", "b_total", "g", "h_bucket"})
    for (const char* x : {"1", "2", "3"})
      for (const char* y : {"p", "q"}) {
        storage::SeriesSamples s;
        s.labels = model::Labels::of({{"__name__", name}, {"x", x}, {"y", y}, {"le", name[0] == 'h' ? x : ""}});
        double v = 0;
        for (std::int64_t t = 0; t < 600'000; t += 15'000) {
          if (g.below(12) == 0) continue;
          const std::size_t kind = g.below(40);
          v += static_cast<double>(g.below(100)) / 8;
          const double value = kind == 0   ? model::stale_nan
                               : kind == 1 ? std::numeric_limits<double>::quiet_NaN()
                               : kind == 2 ? std::numeric_limits<double>::infinity()
                               : kind == 3 ? (v = 0)
                                           : v;
          s.samples.push_back({t, value});
        }
        batch.series.push_back(std::move(s));
      }
  REQUIRE(store.write(std::move(batch)));
}

// Whether an aggregation depends on the order of series that another node has put in order: a range query's are by labels, an instant
// query's as Prometheus has them, and ties and last bits differ.
bool depends_on_order(const query::promql::Expr& e) {
  using namespace query::promql;
  const auto any = [](auto&&... parts) { return (depends_on_order(parts) || ...); };
  switch (e.kind) {
    case Kind::subquery: return any(*static_cast<const Subquery&>(e).inner);
    case Kind::paren: return any(*static_cast<const Paren&>(e).inner);
    case Kind::unary: return any(*static_cast<const Unary&>(e).inner);
    case Kind::binary: return any(*static_cast<const Binary&>(e).left, *static_cast<const Binary&>(e).right);
    case Kind::call: return std::ranges::any_of(static_cast<const Call&>(e).arguments, [&](const ExprPtr& a) { return any(*a); });
    case Kind::aggregate: {
      const auto& a = static_cast<const Aggregate&>(e);
      const bool free = a.op == Tok::min || a.op == Tok::max || a.op == Tok::count || a.op == Tok::group || a.op == Tok::quantile;
      return (!free && unwrap(*a.inner).kind != Kind::selector) || any(*a.inner) || (a.parameter && any(*a.parameter));
    }
    default: return false;
  }
}

}  // namespace

TEST_CASE("random expressions evaluate or fail, and agree between instant and range") {
  const unsigned seed = std::random_device{}();
  std::cout << "promql random seed " << seed << "\n";
  INFO("seed " << seed);
  Generator g(seed);
  test::MemoryStore store;
  fill(store, g);
  const test::ManualClock clock;
  const query::Engine engine(store, clock, {});
  int answered = 0;
  for (int i = 0; i < 1500; ++i) {
    const std::string text = g.vector(3);
    CAPTURE(text);
    const auto printed = query::format_promql(text);
    if (!printed) continue;  // a type error, for example topk of a string
    CHECK(query::format_promql(*printed) == *printed);
    const std::int64_t t = static_cast<std::int64_t>(g.below(700)) * 1000;
    const auto instant = engine.instant(text, t);
    // A step so long that no window slides: sums that do are added in another order.
    const auto range = engine.range(text, t, t, 10'000'000);
    static_cast<void>(engine.range(text, 0, 600'000, 37'000));
    if (text.find("step()") != std::string::npos) continue;
    // Sorting does nothing in a range query (as in Prometheus): what depends on order, topk's ties or a sum's last bit, differs.
    if (text.find("sort") != std::string::npos) continue;
    const auto tree = query::promql::parse(text);
    REQUIRE(tree);
    if (depends_on_order(**tree)) continue;
    CHECK(instant.has_value() == range.has_value());
    if (!instant || !range) continue;
    ++answered;
    auto points = std::get<query::Vector>(instant->value);
    std::sort(points.begin(), points.end(), [](const auto& l, const auto& r) { return l.labels < r.labels; });
    const auto& matrix = std::get<query::Matrix>(range->value);
    REQUIRE(points.size() == matrix.size());
    for (std::size_t k = 0; k < points.size(); ++k) {
      CHECK(points[k].labels == matrix[k].labels);
      const double a = points[k].v, b = matrix[k].samples[0].v;
      CHECK((a == b || (std::isnan(a) && std::isnan(b))));
    }
  }
  CHECK(answered > 100);
}

TEST_CASE("random texts never stop the parser") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  Generator g(seed);
  static const char alphabet[] = "abmsx01.59 \t\n()[]{}<>=!~+-*/%^@,:\"'`\\#_$\xff\xc3";
  for (int i = 0; i < 4000; ++i) {
    std::string text;
    if (i % 2 == 0) {
      for (std::size_t n = g.below(60); n > 0; --n) text += alphabet[g.below(sizeof alphabet - 1)];
    } else {
      text = g.vector(3);
      for (std::size_t n = g.below(4); n > 0 && !text.empty(); --n) {
        const std::size_t at = g.below(text.size());
        if (g.below(2) == 0) text.erase(at, 1 + g.below(5));
        else text.insert(at, 1, alphabet[g.below(sizeof alphabet - 1)]);
      }
    }
    CAPTURE(text);
    const auto printed = query::format_promql(text);
    if (printed) CHECK(query::format_promql(*printed) == *printed);
    else CHECK(printed.error().message.find("parse error: ") != std::string::npos);
  }
}
