#include <catch2/catch.hpp>

#include "storage/model/labels.hpp"
#include "storage/model/matcher.hpp"
#include "storage/model/sample.hpp"

using namespace plumbline;
using namespace plumbline::model;

TEST_CASE("a label set is sorted, unique and without empty values", "[model]") {
  const auto labels = Labels::make({{"z", "1"}, {"__name__", "up"}, {"empty", ""}, {"a", "x\"y"}});
  REQUIRE(labels);
  CHECK(labels->str() == "up{a=\"x\\\"y\", z=\"1\"}");
  CHECK(labels->get("z") == "1");
  CHECK(labels->get("empty").empty());
  CHECK(labels->metric() == "up");
  CHECK(labels->with("m", "1").str() == "up{a=\"x\\\"y\", m=\"1\", z=\"1\"}");
  CHECK(labels->without("a").without("z").str() == "up");
  CHECK(Labels::make({{"a", "1"}, {"a", "2"}}).error().message == "duplicate label \"a\"");
  CHECK_FALSE(Labels::make({{"", "1"}}).has_value());
  CHECK_FALSE(Labels::make({{"a", "\xff"}}).has_value());
  CHECK(Labels::of({{"__name__", "http.requests"}, {"la bel", "x"}}).str() == "{\"http.requests\", \"la bel\"=\"x\"}");
}

TEST_CASE("encoding a label set is canonical and survives the round trip", "[model]") {
  const auto a = Labels::of({{"b", "2"}, {"a", "1"}});
  const auto b = Labels::of({{"a", "1"}, {"b", "2"}});
  CHECK(a == b);
  CHECK(a.fingerprint() == b.fingerprint());
  CHECK(Labels::decode(a.encode()) == a);
  const std::string bytes = a.encode();
  for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(Labels::decode(bytes.substr(0, n)).has_value());
  CHECK_FALSE(Labels::decode(bytes + "x").has_value());
}

TEST_CASE("matchers are anchored and a missing label is empty", "[model]") {
  const auto re = Matcher::make(MatchOp::regex, "code", "5..");
  REQUIRE(re);
  CHECK(re->matches("500"));
  CHECK_FALSE(re->matches("1500"));
  CHECK_FALSE(re->matches_empty());
  CHECK(re->str() == "code=~\"5..\"");
  CHECK(Matcher::make(MatchOp::not_regex, "code", "5..")->matches_empty());
  CHECK(Matcher::make(MatchOp::regex, "x", ".*")->matches("a\nb"));
  const auto times = [](int n) {
    std::string pattern;
    while (n-- > 0) pattern += "(.*)*";
    return Matcher::make(MatchOp::regex, "x", pattern);
  };
  REQUIRE(times(1000));
  CHECK(times(1000)->matches("a"));
  REQUIRE_FALSE(times(1500));
  CHECK(times(1500).error().message.ends_with(": pattern too large - compile failed"));
  CHECK(Matcher::make(MatchOp::regex, "x", "a|b")->matches("b"));
  CHECK_FALSE(Matcher::make(MatchOp::regex, "x", "a|b")->matches("ab"));
  CHECK(Matcher::make(MatchOp::not_equal, "x", "1")->matches(Labels::of({{"y", "1"}})));
  const auto bad = Matcher::make(MatchOp::regex, "x", "(");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code == Code::invalid_input);
  // A regex that would need a huge program is refused, not compiled.
  CHECK_FALSE(Matcher::make(MatchOp::regex, "x", "((a{1000}){1000}){1000}").has_value());
}

TEST_CASE("the staleness marker is told from other NaNs by its bits", "[model]") {
  CHECK(is_stale(stale_nan));
  CHECK_FALSE(is_stale(std::numeric_limits<double>::quiet_NaN()));
  CHECK(Sample{1, stale_nan} == Sample{1, stale_nan});
  CHECK_FALSE(Sample{1, 0.0} == Sample{1, -0.0});
}
