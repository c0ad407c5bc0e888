#include <bit>
#include <catch2/catch.hpp>
#include <cmath>

#include "ingest/text/exposition.hpp"
#include "storage/model/sample.hpp"

using namespace plumbline;
using namespace plumbline::ingest;
using Item = ExpositionParser::Item;

namespace {

constexpr auto text = ExpositionFormat::text;
constexpr auto openmetrics = ExpositionFormat::openmetrics;

struct Read {
  std::vector<ExpositionLine> samples, metadata, errors;
};

Read read(std::string_view body, ExpositionFormat format) {
  ExpositionParser parser(body, format);
  Read out;
  ExpositionLine line;
  while (true) {
    switch (parser.next(line)) {
      case Item::sample:
        out.samples.push_back(line);
        break;
      case Item::metadata:
        out.metadata.push_back(line);
        break;
      case Item::error:
        out.errors.push_back(line);
        break;
      case Item::end:
        return out;
    }
  }
}

// The series as PromQL prints it; exact spelling of labels, sorted.
std::string series(const ExpositionLine& line) {
  auto labels = model::Labels::make(line.labels);
  return labels ? labels->str() : "bad: " + labels.error().message;
}

ExpositionLine one(std::string_view body, ExpositionFormat format = text) {
  const Read r = read(body, format);
  INFO(body);
  for (const auto& e : r.errors) INFO(e.message);
  REQUIRE(r.errors.empty());
  REQUIRE(r.samples.size() == 1);
  return r.samples[0];
}

ExpositionLine fault(std::string_view body, ExpositionFormat format = text) {
  const Read r = read(body, format);
  INFO(body);
  REQUIRE(r.errors.size() == 1);
  return r.errors[0];
}

}  // namespace

TEST_CASE("a line of classic text is a sample", "[exposition]") {
  struct Case {
    std::string_view line, series;
    double value;
  };
  const auto c = GENERATE(
      Case{"up 1", "up", 1}, Case{"up 1\n", "up", 1}, Case{"up 1\r\n", "up", 1}, Case{"  up\t 1  ", "up", 1},
      Case{"up{} 1", "up", 1}, Case{"a{b=\"c\"} 2", "a{b=\"c\"}", 2}, Case{"a{b=\"c\",} 2", "a{b=\"c\"}", 2},
      Case{"a { b = \"c\" , d=\"e\" } 2", "a{b=\"c\", d=\"e\"}", 2}, Case{"a{b=\"c\"}2", "a{b=\"c\"}", 2},
      Case{R"(a{b="x\\y\"z\n"} 1)", "a{b=\"x\\\\y\\\"z\\n\"}", 1}, Case{"{\"a\"} 3", "a", 3},
      Case{"{\"a\",b=\"c\"} 3", "a{b=\"c\"}", 3}, Case{"{b=\"c\",\"a\"} 3", "a{b=\"c\"}", 3},
      Case{"{__name__=\"a\",b=\"c\"} 3", "a{b=\"c\"}", 3}, Case{"a 1e3", "a", 1000},
      Case{"a -0.5", "a", -0.5}, Case{"a +Inf", "a", INFINITY}, Case{"a -inf", "a", -INFINITY},
      Case{"a .5", "a", 0.5},
      // vLLM: a colon in the name, and a histogram called _total
      Case{"vllm:num_requests_running{model_name=\"m\"} 2.0", "vllm:num_requests_running{model_name=\"m\"}",
           2},
      Case{"vllm:iteration_tokens_total_bucket{le=\"1.0\"} 7",
           "vllm:iteration_tokens_total_bucket{le=\"1.0\"}", 7},
      // TensorFlow Serving: the name starts with a colon
      Case{":tensorflow:serving:request_count{model_name=\"m\",status=\"OK\"} 4",
           ":tensorflow:serving:request_count{model_name=\"m\", status=\"OK\"}", 4},
      // TorchServe: CamelCase
      Case{"PredictionTime{ModelName=\"bert\",Level=\"Model\",} 12.5",
           "PredictionTime{Level=\"Model\", ModelName=\"bert\"}", 12.5},
      // Triton
      Case{"nv_inference_request_duration_us{model=\"m\",version=\"1\"} 12345678",
           "nv_inference_request_duration_us{model=\"m\", version=\"1\"}", 12345678});
  const ExpositionLine line = one(c.line);
  CHECK(series(line) == c.series);
  CHECK(line.value == c.value);
  CHECK_FALSE(line.timestamp_ms);
}

TEST_CASE("quoted names may hold any UTF-8", "[exposition]") {
  const ExpositionLine line = one(R"({"http.server.duration","my.label"="x","ü"="y"} 1)");
  REQUIRE(line.labels.size() == 3);
  CHECK(line.labels[0] == model::Label{"__name__", "http.server.duration"});
  CHECK(line.labels[1] == model::Label{"my.label", "x"});
  CHECK(line.labels[2] == model::Label{"ü", "y"});
}

TEST_CASE("NaN in text is never the staleness marker", "[exposition]") {
  const double v = one("a NaN").value;
  CHECK(std::isnan(v));
  CHECK_FALSE(model::is_stale(v));
  CHECK(std::bit_cast<std::uint64_t>(v) == 0x7ff8000000000001ull);
}

TEST_CASE("timestamps are milliseconds in text and seconds in OpenMetrics", "[exposition]") {
  CHECK(one("a 1 1700000000123").timestamp_ms == 1700000000123);
  CHECK(one("a 1 -5").timestamp_ms == -5);
  CHECK(one("a 1 1700000000.5\n# EOF\n", openmetrics).timestamp_ms == 1700000000500);
  CHECK(one("a 1 12\n# EOF", openmetrics).timestamp_ms == 12000);
  CHECK(fault("a 1 1.5").reason == "bad_timestamp");
  CHECK(fault("a 1 NaN\n# EOF\n", openmetrics).reason == "bad_timestamp");
  CHECK(fault("a 1 1e300\n# EOF\n", openmetrics).reason == "bad_timestamp");
}

TEST_CASE("metadata lines carry type, help and unit", "[exposition]") {
  const Read r = read(
      "# HELP a the \\\\ help\\nline\n# TYPE a counter\n# a comment\n#\n#comment\n# TYPE b untyped\n\na 1\n",
      text);
  CHECK(r.errors.empty());
  REQUIRE(r.metadata.size() == 3);
  CHECK(r.metadata[0].text == "the \\ help\nline");
  CHECK(r.metadata[1].text == "counter");
  CHECK(r.metadata[2].text == "unknown");
  CHECK(r.samples.size() == 1);
  const Read om =
      read("# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n# HELP a_seconds x\na_seconds 1\n# EOF\n",
           openmetrics);
  CHECK(om.errors.empty());
  REQUIRE(om.metadata.size() == 3);
  CHECK(om.metadata[1].about == ExpositionLine::About::unit);
  CHECK(fault("# TYPE a nonsense\n").reason == "bad_metadata");
  CHECK(fault("# UNIT a_seconds minutes\n# EOF\n", openmetrics).reason == "bad_metadata");
}

TEST_CASE("a bad line says where and the next one is read", "[exposition]") {
  struct Case {
    std::string_view line, reason;
    std::size_t column;
  };
  const auto c = GENERATE(
      Case{"1a 1", "syntax", 1}, Case{"a", "syntax", 2}, Case{"a{b=c} 1", "syntax", 5},
      Case{"a{b=\"c} 1", "syntax", 5}, Case{"a{b=\"c\" d=\"e\"} 1", "syntax", 9}, Case{"a{b} 1", "syntax", 4},
      Case{"a{=\"c\"} 1", "syntax", 3}, Case{"a{b=\"c\"", "syntax", 8}, Case{"a x", "bad_value", 3},
      Case{"a 1_0", "bad_value", 3}, Case{"a 1 2 3", "syntax", 7}, Case{"{b=\"c\"} 1", "missing_name", 1},
      Case{"{} 1", "missing_name", 1}, Case{"a{\"b\"} 1", "syntax", 3}, Case{"a-b 1", "syntax", 2},
      Case{"a{b=\"\xff\"} 1", "syntax", 5}, Case{"a{,} 1", "syntax", 3}, Case{"{\"\"} 1", "syntax", 2});
  const std::string body = "first 1\n" + std::string(c.line) + "\nlast 2\n";
  const Read r = read(body, text);
  INFO(c.line);
  REQUIRE(r.errors.size() == 1);
  CHECK(r.errors[0].line == 2);
  CHECK(r.errors[0].reason == c.reason);
  CHECK(r.errors[0].column == c.column);
  CHECK(r.errors[0].message.find("line 2, column " + std::to_string(c.column)) == 0);
  REQUIRE(r.samples.size() == 2);
  CHECK(r.samples[1].value == 2);
}

TEST_CASE("good OpenMetrics", "[exposition][openmetrics]") {
  const auto body =
      GENERATE(as<std::string_view>{}, "# EOF\n", "# EOF",
               "# TYPE a counter\n# HELP a help\na_total 1\na_created 1.5\n# EOF\n",
               "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 2.5\n# EOF\n",
               "# TYPE a gaugehistogram\na_gcount 1\n# EOF\n", "# TYPE a stateset\na{a=\"x\"} 1\n# EOF\n",
               "# TYPE a info\na_info{version=\"1\"} 1\n# EOF\n", "# TYPE a unknown\na NaN\n# EOF\n",
               "a{b=\"c\"} 1 1.0\n# EOF\n", "a 1e-3\n# EOF\n", "# HELP a \\\"quoted\\\"\n# EOF\n",
               "{\"a.b\",c=\"d\"} 1\n# EOF\n", "a 1\r\n# EOF\r\n");
  INFO(body);
  const Read r = read(body, openmetrics);
  for (const auto& e : r.errors) INFO(e.message);
  CHECK(r.errors.empty());
}

TEST_CASE("bad OpenMetrics", "[exposition][openmetrics]") {
  struct Case {
    std::string_view body, reason;
  };
  const auto c = GENERATE(
      Case{"a 1\n", "no_eof"}, Case{"", "no_eof"}, Case{"a 1\n# EOF\na 2\n", "after_eof"},
      Case{"\n# EOF\n", "syntax"}, Case{"a  1\n# EOF\n", "syntax"}, Case{"a\t1\n# EOF\n", "syntax"},
      Case{"a 1 \n# EOF\n", "syntax"}, Case{"# comment\n# EOF\n", "syntax"}, Case{"#\n# EOF\n", "syntax"},
      Case{" a 1\n# EOF\n", "syntax"}, Case{"# TYPE a untypedx\n# EOF\n", "bad_metadata"},
      Case{"a{b='c'} 1\n# EOF\n", "syntax"}, Case{"a 1 1 1\n# EOF\n", "syntax"},
      Case{"a_total 1 # {x=\"y\" 1\n# EOF\n", "syntax"}, Case{"a_total 1 # {x=\"y\"}\n# EOF\n", "syntax"},
      Case{"a_total 1 # {x=\"y\"} z\n# EOF\n", "bad_value"});
  INFO(c.body);
  const Read r = read(c.body, openmetrics);
  REQUIRE(r.errors.size() == 1);
  CHECK(r.errors[0].reason == c.reason);
}

TEST_CASE("exemplars are read", "[exposition][openmetrics]") {
  const Read r =
      read("a_total 1 # {trace_id=\"abc\"} 0.5 1700000000.1\na_bucket{le=\"1\"} 2 17 # {} 1\n# EOF\n",
           openmetrics);
  CHECK(r.errors.empty());
  REQUIRE(r.samples.size() == 2);
  REQUIRE(r.samples[0].exemplar);
  CHECK(r.samples[0].exemplar->labels == std::vector<model::Label>{{"trace_id", "abc"}});
  CHECK(r.samples[0].exemplar->value == 0.5);
  CHECK(r.samples[0].exemplar->timestamp_ms == 1700000000100);
  REQUIRE(r.samples[1].exemplar);
  CHECK(r.samples[1].exemplar->labels.empty());
  CHECK_FALSE(r.samples[1].exemplar->timestamp_ms);
  CHECK_FALSE(r.samples[0].timestamp_ms);
  CHECK(r.samples[1].timestamp_ms == 17000);
}

TEST_CASE("lines and labels are bounded", "[exposition]") {
  CHECK(fault("a{b=\"" + std::string(exposition_line_bytes_max, 'x') + "\"} 1").reason == "too_long");
  std::string many = "a{";
  for (int i = 0; i < 300; ++i) many += "l" + std::to_string(i) + "=\"x\",";
  CHECK(fault(many + "} 1").reason == "too_many_labels");
}

TEST_CASE("the content type chooses the format", "[exposition]") {
  CHECK(exposition_format("application/openmetrics-text; version=1.0.0; charset=utf-8") == openmetrics);
  CHECK(exposition_format("Application/OpenMetrics-Text") == openmetrics);
  CHECK(exposition_format("text/plain; version=0.0.4") == text);
  CHECK(exposition_format("") == text);
}
