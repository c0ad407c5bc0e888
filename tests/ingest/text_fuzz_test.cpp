// Each decoder against seeded mutations of good input: whatever comes, it answers; what it accepts is well
// formed.
#include <catch2/catch.hpp>
#include <protozero/pbf_writer.hpp>
#include <random>

#include "daemon/base/text.hpp"
#include "ingest/text/exposition.hpp"
#include "ingest/text/inference_json.hpp"
#include "ingest/text/label_text.hpp"
#include "ingest/text/log_level.hpp"
#include "ingest/text/loki.hpp"

using namespace plumbline;
using namespace plumbline::ingest;

namespace {

constexpr int rounds = 4000;

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}
  std::string operator()(std::string text, std::string_view alphabet) {
    const int changes = 1 + static_cast<int>(below(6));
    for (int i = 0; i < changes && !text.empty(); ++i) {
      const std::size_t at = below(text.size());
      switch (below(6)) {
        case 0:
          text[at] = static_cast<char>(below(256));
          break;
        case 1:
          text.erase(at, 1 + below(8));
          break;
        case 2:
          text.insert(at, 1, alphabet[below(alphabet.size())]);
          break;
        case 3:
          text.insert(at, text.substr(at, below(32)));
          break;
        case 4:
          text.resize(at);
          break;
        case 5:
          text[at] = alphabet[below(alphabet.size())];
          break;
      }
    }
    return text;
  }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

 private:
  std::mt19937_64 random_;
};

std::uint64_t seed_of_run() {
  static const std::uint64_t seed = std::random_device{}();
  return seed;
}

void check_fields(const storage::WriteBatch& batch) {
  for (const model::StreamRows& stream : batch.events) {
    REQUIRE_FALSE(stream.rows.empty());
    for (const model::Row& row : stream.rows)
      for (const model::Field& field : row.fields) {
        REQUIRE(valid_utf8(field.name));
        if (const auto* text = std::get_if<std::string>(&field.value)) REQUIRE(valid_utf8(*text));
      }
  }
}

}  // namespace

TEST_CASE("mutated expositions", "[fuzz]") {
  const std::uint64_t seed = seed_of_run();
  INFO("seed " << seed);
  Mutator mutate(seed);
  const std::string good =
      "# HELP a b\n# TYPE a counter\na{b=\"c\",d=\"\\n\\\"\"} 1 1700000000000\n{\"x.y\",\"z w\"=\"q\"} "
      "NaN\nvllm:x_total{le=\"+Inf\"} 1e9 # {t=\"u\"} 1 2\n# EOF\n";
  for (int i = 0; i < rounds; ++i) {
    const std::string body = mutate(good, "{}\",=# \\\n\r\t:1e-.aEOF");
    for (const ExpositionFormat format : {ExpositionFormat::text, ExpositionFormat::openmetrics}) {
      ExpositionParser parser(body, format);
      ExpositionLine line;
      std::size_t items = 0;
      for (auto item = parser.next(line); item != ExpositionParser::Item::end; item = parser.next(line)) {
        REQUIRE(++items <= body.size() + 2);
        if (item == ExpositionParser::Item::error) {
          REQUIRE_FALSE(line.reason.empty());
          REQUIRE(line.column >= 1);
        }
        if (item == ExpositionParser::Item::sample) REQUIRE_FALSE(line.labels.empty());
      }
    }
  }
}

TEST_CASE("mutated inference rows", "[fuzz]") {
  const std::uint64_t seed = seed_of_run();
  INFO("seed " << seed);
  Mutator mutate(seed + 1);
  const std::string good =
      R"({"model":"m","version":"1","time":1700000000.5,"features":{"a":1.5e3,"b":"x\u00e9","c":[1,2],"d":null},"prediction":true,"score":{"y":0.5},"trace_id":"0af7651916cd43dd8448eb211c80319c"})";
  for (int i = 0; i < rounds; ++i) {
    const bool array = mutate.below(2) == 0;
    const std::string body = mutate(array ? "[" + good + "," + good + "]" : good + "\n" + good,
                                    "{}[]\",:0123456789eE.-\\u\n nulltrue");
    Refusals refusals("row");
    const JsonRows rows = decode_inferences(body, 1, refusals);
    std::size_t stored = 0;
    for (const auto& stream : rows.batch.events) stored += stream.rows.size();
    REQUIRE(stored + refusals.count() == rows.rows);
    check_fields(rows.batch);
    Refusals label_refusals("row");
    const JsonRows labels = decode_labels(body, 1, label_refusals);
    REQUIRE(labels.batch.labels.size() + label_refusals.count() == labels.rows);
  }
}

TEST_CASE("mutated Loki pushes", "[fuzz]") {
  const std::uint64_t seed = seed_of_run();
  INFO("seed " << seed);
  Mutator mutate(seed + 2);
  const std::string json =
      R"({"streams":[{"stream":{"app":"x"},"values":[["1570818238000000000","level=info {\"a\":1}",{"trace_id":"ab"}],["2","y"]]}]})";
  std::string message;
  {
    protozero::pbf_writer request(message);
    protozero::pbf_writer stream(request, 1);
    stream.add_string(1, "{a=\"b\", c=\"d\"}");
    protozero::pbf_writer entry(stream, 2);
    {
      protozero::pbf_writer time(entry, 1);
      time.add_int64(1, 1700000000);
      time.add_int32(2, 5);
    }
    entry.add_string(2, "level=warn x");
    protozero::pbf_writer pair(entry, 3);
    pair.add_string(1, "k");
    pair.add_string(2, "v");
  }
  for (int i = 0; i < rounds; ++i) {
    Refusals refusals("entry");
    LokiRows from_json(refusals);
    (void)decode_loki_json(mutate(json, "{}[]\",:0123456789"), from_json);
    check_fields(from_json.take());
    LokiRows from_protobuf(refusals);
    (void)decode_loki_protobuf(mutate(message, std::string_view("\x0a\x12\x1a\x08\x10\xff\x80\x00", 8)),
                               from_protobuf);
    check_fields(from_protobuf.take());
  }
}

TEST_CASE("mutated label sets and log lines", "[fuzz]") {
  const std::uint64_t seed = seed_of_run();
  INFO("seed " << seed);
  Mutator mutate(seed + 3);
  for (int i = 0; i < rounds; ++i) {
    (void)parse_label_text(mutate(R"({a="b\n\u00e9\x41", c=`d`, e="f"})", "{}\"`=,\\ux0"));
    for (const char* line :
         {"ts=1 level=\"info\\\" x=y", R"({"a":{"level":"warn"},"b":[1,{"level":"x"}]})", "[ERROR] =\"\\"})
      REQUIRE_FALSE(detect_level({}, {}, mutate(line, "{}\"=\\: ")).empty());
  }
}
