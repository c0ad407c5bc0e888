#include <cmath>
#include <random>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "query/promql/series_notation.hpp"
#include "storage/model/histogram.hpp"

using namespace plumbline;
using namespace plumbline::query::promql;

namespace {

// `_` for nothing, S for a stale marker.
std::string read_back(std::string_view text) {
  const auto items = parse_series_values(text);
  if (!items) return items.error().message;
  std::string out;
  for (const SeriesItem& item : *items) {
    if (!out.empty()) out += ' ';
    if (item.histogram) out += notation_of(*item.histogram);
    else if (!item.present) out += '_';
    else if (model::is_stale(item.v)) out += 'S';
    else out += fmt::format("{}", item.v);
  }
  return out;
}

std::string labels_of(std::string_view text) {
  const auto labels = parse_metric(text);
  return labels ? labels->str() : labels.error().message;
}

}  // namespace

TEST_CASE("numbers, gaps, stale markers and their repetitions", "[promql][notation]") {
  CHECK(read_back("") == "");
  CHECK(read_back("  1 2\t3\n") == "1 2 3");
  CHECK(read_back("1+2x3") == "1 3 5 7");
  CHECK(read_back("-2+4x3") == "-2 2 6 10");
  CHECK(read_back("1-2x4") == "1 -1 -3 -5 -7");
  CHECK(read_back("7x2 _ _x3 stale stalex1") == "7 7 7 _ _ _ _ S S S");
  CHECK(read_back("0x3") == "0 0 0 0");  // no hexadecimal here
  CHECK(read_back("_x0 5x0") == "5");
  CHECK(read_back("1e3 1E-2 .5 +4 1e2-1e1x2") == "1000 0.01 0.5 4 100 90 80");
  CHECK(read_back("Inf -inf NaN Inf+0x1") == "inf -inf nan inf inf");
}

TEST_CASE("histograms and their repetitions", "[promql][notation]") {
  CHECK(read_back("{{}}") == "{{}}");
  CHECK(read_back("{{schema:1 sum:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 0 7] offset:-3 n_buckets:[4.1 5] "
                  "n_offset:-5 counter_reset_hint:gauge}}") ==
        "{{schema:1 count:3.1 sum:-0.3 z_bucket:7.1 z_bucket_w:0.05 counter_reset_hint:gauge offset:-3 buckets:[5.1 0 7] "
        "n_offset:-5 n_buckets:[4.1 5]}}");
  CHECK(read_back("{{count:1 sum:2 buckets:[1]}}+{{count:2 sum:1 buckets:[1 1]}}x2") ==
        "{{count:1 sum:2 buckets:[1]}} {{count:3 sum:3 buckets:[2 1]}} {{count:5 sum:4 buckets:[3 2]}}");
  // A difference is no counter.
  CHECK(read_back("{{count:5 buckets:[5]}}-{{count:1 buckets:[1]}}x1") ==
        "{{count:5 buckets:[5]}} {{count:4 counter_reset_hint:gauge buckets:[4]}}");
  CHECK(read_back("{{count:5}}x1") == "{{count:5}} {{count:5}}");
  CHECK(read_back("{{schema:-53 count:3 sum:1 custom_values:[1 2] buckets:[1 1 1] counter_reset_hint:not_reset}}") ==
        "{{schema:-53 count:3 sum:1 custom_values:[1 2] counter_reset_hint:not_reset buckets:[1 1 1]}}");
  const auto hinted = parse_series_values("{{counter_reset_hint:unknown}} {{}}");
  REQUIRE(hinted);
  CHECK(hinted->at(0).has_hint);
  CHECK_FALSE(hinted->at(1).has_hint);
}

TEST_CASE("what is wrong with values, and where", "[promql][notation]") {
  const auto starts = [](const std::string& text, std::string_view with) {
    INFO(text);
    CHECK(text.starts_with(with));
  };
  starts(read_back("1 2y"), "1:4: parse error: unexpected \"y\"");
  starts(read_back("1+2"), "1:4: parse error: unexpected end of input");
  starts(read_back("1x"), "1:3: parse error: unexpected end of input in series values, expected how often");
  starts(read_back("1x-2"), "1:3: parse error");
  starts(read_back("1 foo"), "1:3: parse error: unexpected \"f\"");
  starts(read_back("stale+1x2"), "1:6: parse error");
  starts(read_back("1 2\n3 4z"), "2:4: parse error");
  starts(read_back("1x1000000"), "1:10: parse error: more than 1000000 samples");
  starts(read_back("1x600000 1x600000"), "1:18: parse error: more than 1000000 samples");
  starts(read_back("_x99999999999999999999999"), "1:3: parse error: more than 1000000 samples");
  starts(read_back("{{count:1"), "1:10: parse error: unexpected end of input");
  starts(read_back("{{cuont:1}}"), "1:3: parse error: unknown field \"cuont\"");
  starts(read_back("{{count:1 count:2}}"), "1:11: parse error: duplicate field");
  starts(read_back("{{schema:9}}"), "1:1: parse error: schema 9");
  starts(read_back("{{schema:0.5}}"), "1:10: parse error: not a whole number");
  starts(read_back("{{buckets:1}}"), "1:11: parse error");
  starts(read_back("{{buckets:[1}}"), "1:13: parse error");
  starts(read_back("{{custom_values:[1]}}"), "1:1: parse error: custom_values belong");
  starts(read_back("{{schema:-53 buckets:[1 2 3] custom_values:[1]}}"), "1:1: parse error: custom_values belong");
  starts(read_back("{{counter_reset_hint:maybe}}"), "1:22: parse error");
  starts(read_back("{{count:1}}+{{count:1}}"), "1:24: parse error: unexpected end of input");
  starts(read_back("{{count:1}}+{{schema:-53 custom_values:[1]}}x1"), "1:1: parse error: a histogram with exponential");
  std::string wide;
  for (int i = 0; i < 100; ++i) wide += "1 ";
  starts(read_back(fmt::format("{{{{buckets:[{0}]}}}}+{{{{buckets:[{0}]}}}}x999999", wide)), "1:1: parse error: more than 10000000 buckets");
}

TEST_CASE("series without values", "[promql][notation]") {
  CHECK(labels_of("up") == "up");
  CHECK(labels_of("") == "{}");
  CHECK(labels_of("{}") == "{}");
  CHECK(labels_of("a:b{}") == "a:b");
  CHECK(labels_of("sum{by=\"x\"}") == "sum{by=\"x\"}");
  CHECK(labels_of(R"({job="a"})") == R"({job="a"})");
  CHECK(labels_of(R"( up { job = "a", le='x"}',} )") == R"(up{job="a", le="x\"}"})");
  CHECK(labels_of(R"({"up", "my label"="a", empty=""})") == R"(up{"my label"="a"})");
  CHECK(labels_of("up{job=~\"a\"}").starts_with("1:7: parse error: unexpected"));
  CHECK(labels_of("up{job=a}").starts_with("1:8: parse error: unexpected"));
  CHECK(labels_of("up{").starts_with("1:4: parse error"));
  CHECK(labels_of("up[5m]").starts_with("1:3: parse error: unexpected"));
  CHECK(labels_of("up 1").starts_with("1:4: parse error: unexpected"));
  CHECK(labels_of("5").starts_with("1:1: parse error: unexpected"));
  CHECK_FALSE(parse_metric("up{a=\"1\",a=\"2\"}").has_value());
  CHECK_FALSE(parse_metric(std::string(20'000, 'a')).has_value());
}

TEST_CASE("a line is a series and its values", "[promql][notation]") {
  const auto line = parse_series_line(R"(up{job="} 1",x='\'}'} 1 2)");
  REQUIRE(line);
  CHECK(line->labels.str() == R"(up{job="} 1", x="'}"})");
  CHECK(line->items.size() == 2);
  CHECK(parse_series_line("{} 5")->labels.empty());
  CHECK(parse_series_line("up")->items.empty());
  CHECK(parse_series_line("up 1 z").error().message.starts_with("1:6: parse error"));
}

// What the notation says of a histogram is the whole of it.
TEST_CASE("histograms survive the notation", "[promql][notation]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::string text = fmt::format("{{{{schema:{} count:{} sum:{} z_bucket:{} z_bucket_w:{}", static_cast<int>(random() % 13) - 4,
                                   random() % 1000, 0.1 * static_cast<double>(random() % 1000) - 50, random() % 3, random() % 2);
    for (const char* side : {"", "n_"}) {
      text += fmt::format(" {0}offset:{1} {0}buckets:[", side, static_cast<int>(random() % 40) - 20);
      for (unsigned n = random() % 6; n > 0; --n) text += fmt::format("{} ", random() % 4);
      text += "]";
    }
    const auto first = parse_series_values(text + "}}");
    REQUIRE(first);
    const std::string written = notation_of(*first->at(0).histogram);
    const auto second = parse_series_values(written);
    INFO(text << " -> " << written);
    REQUIRE(second);
    CHECK(model::same_bits(*first->at(0).histogram, *second->at(0).histogram));
  }
}
