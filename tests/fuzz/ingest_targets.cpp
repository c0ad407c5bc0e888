// The ingest doors but OTLP: remote write, Loki, expositions, inference records, relabelling, and all of them through HTTP.
#include <cmath>

#include <protozero/exception.hpp>

#include "daemon/base/compression.hpp"
#include "daemon/base/text.hpp"
#include "ingest/ingest.hpp"
#include "ingest/limits.hpp"
#include "ingest/remote_write.hpp"
#include "ingest/remote_write_histogram.hpp"
#include "ingest/scrape/target.hpp"
#include "ingest/scrape/target_samples.hpp"
#include "ingest/sink_schema.hpp"
#include "ingest/text/exposition.hpp"
#include "ingest/text/inference_json.hpp"
#include "ingest/text/json_tree.hpp"
#include "ingest/text/label_text.hpp"
#include "ingest/text/log_level.hpp"
#include "ingest/text/loki.hpp"
#include "ingest/wire_samples.hpp"
#include "prometheus/remote_write_v2.pb.h"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/support.hpp"

namespace plumbline::fuzz {
namespace {

using namespace ingest;

constexpr std::int64_t now_ns = 1'700'000'000'000'000'000;

// What a decoder accepted is fit for the store.
void well_formed(const storage::WriteBatch& batch) {
  for (const storage::SeriesSamples& series : batch.series) {
    PLUMBLINE_CHECK(!series.labels.metric().empty(), "a series has a name");
    for (const model::Label& l : series.labels)
      PLUMBLINE_CHECK(!l.value.empty() && valid_utf8(l.name) && valid_utf8(l.value), "labels are text");
  }
  for (const storage::WireSeries& series : batch.wire.series)
    PLUMBLINE_CHECK(series.first + std::size_t{series.count} <= batch.wire.samples.size(), "samples are where they should be");
  for (const model::StreamRows& stream : batch.events)
    for (const model::Row& row : stream.rows)
      for (const model::Field& field : row.fields) {
        PLUMBLINE_CHECK(valid_utf8(field.name), "field names are text");
        if (const auto* text = std::get_if<std::string>(&field.value)) PLUMBLINE_CHECK(valid_utf8(*text), "fields are text");
      }
}

void remote_write(std::string_view bytes) {
  if (const auto decoded = decode_remote_write(bytes)) well_formed(decoded->batch);
  storage::WireSamples wire;
  if (read_wire_series(bytes, wire)) {
    PLUMBLINE_CHECK(wire.samples.empty() ? wire.series.empty() : wire.series.size() == 1 && wire.series[0].count == wire.samples.size(),
                    "one series, if there are samples, and they are its");
  } else {
    PLUMBLINE_CHECK(wire.series.empty() && wire.samples.empty(), "nothing is appended when it is not for the short way");
  }
}

void remote_write_v2(std::string_view bytes) {
  if (const auto decoded = decode_remote_write_v2(bytes)) well_formed(decoded->batch);
}
// Called inside a decoder that answers for bytes that are no message.
void remote_write_histogram(std::string_view bytes) {
  try {
    if (const auto read = ingest::remote_write::read_histogram(bytes))
      PLUMBLINE_CHECK(model::check_histogram(read->h).has_value(), "what is accepted is valid");
  } catch (const protozero::exception&) {
  }
}
io::prometheus::write::v2::Request write_request_v2() {
  io::prometheus::write::v2::Request request;
  for (const char* symbol : {"", "__name__", "requests_total", "job", "api", "Requests."}) request.add_symbols(symbol);
  auto& series = *request.add_timeseries();
  for (const std::uint32_t ref : {1u, 2u, 3u, 4u}) series.add_labels_refs(ref);
  auto& sample = *series.add_samples();
  sample.set_value(1.5);
  sample.set_timestamp(now_ns / 1'000'000);
  series.mutable_metadata()->set_type(io::prometheus::write::v2::Metadata::COUNTER);
  series.mutable_metadata()->set_help_ref(5);
  auto& h = *series.add_histograms();
  h.set_count_int(3);
  h.set_schema(2);
  h.add_positive_spans()->set_length(2);
  for (const int delta : {1, 1}) h.add_positive_deltas(delta);
  return request;
}

void wire_labels(std::string_view bytes) {
  const auto labels = model::parse_wire_labels(bytes);
  if (labels) {
    const auto again = model::parse_wire_labels(model::wire_form(*labels));
    PLUMBLINE_CHECK(again && *again == *labels, "labels read back");
  }
  (void)model::wire_name(bytes);
  if (const auto decoded = model::Labels::decode(bytes))
    PLUMBLINE_CHECK(model::Labels::decode(decoded->encode()) == *decoded, "the canonical form reads back");
}

void loki_json(std::string_view bytes) {
  Refusals refusals("entry");
  LokiRows rows(refusals);
  if (decode_loki_json(bytes, rows)) well_formed(rows.take());
}
void loki_protobuf(std::string_view bytes) {
  Refusals refusals("entry");
  LokiRows rows(refusals);
  if (decode_loki_protobuf(bytes, rows)) well_formed(rows.take());
}

void exposition(std::string_view bytes) {
  Input in(bytes);
  ExpositionParser parser(bytes.substr(bytes.empty() ? 0 : 1),
                          in.byte() % 2 == 0 ? ExpositionFormat::text : ExpositionFormat::openmetrics);
  ExpositionLine line;
  std::size_t last = 0;
  for (auto item = parser.next(line); item != ExpositionParser::Item::end; item = parser.next(line)) {
    PLUMBLINE_CHECK(line.line >= last, "lines come in order");
    last = line.line;
    if (item == ExpositionParser::Item::error) PLUMBLINE_CHECK(!line.reason.empty() && !line.message.empty(), "an error says what");
    if (item == ExpositionParser::Item::sample) (void)series_labels(line.labels);
  }
}

void label_text(std::string_view bytes) {
  if (const auto labels = parse_label_text(bytes)) (void)stream_labels(*labels);
}

void log_level(std::string_view bytes) {
  PLUMBLINE_CHECK(!detect_level({}, {}, bytes).empty(), "a line has a level, if only unknown");
}

void inferences(std::string_view bytes) {
  Refusals refusals("row");
  const JsonRows rows = decode_inferences(bytes, now_ns, refusals);
  well_formed(rows.batch);
  std::size_t stored = 0;
  for (const auto& stream : rows.batch.events) stored += stream.rows.size();
  PLUMBLINE_CHECK(stored + refusals.count() == rows.rows, "every row is stored or refused");
}
void labels(std::string_view bytes) {
  Refusals refusals("row");
  const JsonRows rows = decode_labels(bytes, now_ns, refusals);
  PLUMBLINE_CHECK(rows.batch.labels.size() + refusals.count() == rows.rows, "every label is stored or refused");
}

void json_tree(std::string_view bytes) {
  (void)parse_json(bytes, {});
  (void)parse_json_rows(bytes, {}, [](std::size_t, JsonNode) {});
  const std::string_view names[] = {"level", "severity"};
  (void)find_json_string(bytes, names, 3);
}

void feature_schema(std::string_view bytes) {
  FeatureSchema schema;
  if (!schema.load("m", bytes)) return;
  FeatureSchema again;
  PLUMBLINE_CHECK(again.load("m", schema.encode("m", {})) && again.encode("m", {}) == schema.encode("m", {}), "types read back");
}

// Pieces: source labels, separator, regex, target, replacement, action, then name and value of labels.
void relabel(std::string_view bytes) {
  Input in(bytes);
  std::vector<RelabelRule> rules;
  for (std::size_t i = 0, n = 1 + in.below(3); i < n; ++i) {
    RelabelRule rule;
    rule.action = static_cast<RelabelAction>(in.byte() % 11);
    rule.modulus = in.byte();
    rule.source_labels = {std::string(in.piece()), "a"};
    rule.separator = in.piece();
    rule.regex = in.piece();
    rule.target_label = in.piece();
    rule.replacement = in.piece();
    rules.push_back(std::move(rule));
  }
  const auto compiled = Relabeller::make(std::move(rules));
  if (!compiled) return;
  std::vector<model::Label> all;
  while (!in.done()) {
    std::string name(in.piece());
    all.push_back({std::move(name), std::string(in.piece())});
  }
  if (auto made = model::Labels::make(std::move(all))) (void)compiled->apply(std::move(*made));
}

// Pieces: address, a parameter, a relabelled metric's regex, the target's answer; then another answer.
void scrape(std::string_view bytes) {
  Input in(bytes);
  ScrapeJob job;
  job.job_name = "j";
  job.honor_labels = in.byte() % 2 != 0;
  job.sample_limit = in.byte() % 2 != 0 ? 3 : 0;
  const std::string address(in.piece());
  job.params = {{"module", std::string(in.piece())}};
  job.metric_relabel = {{.source_labels = {"__name__"}, .regex = std::string(in.piece()), .action = RelabelAction::drop}};
  auto rules = ScrapeJobRules::make(std::move(job));
  if (!rules) return;
  const auto target = make_target(*rules, address, {{"env", "x"}});
  if (!target || !*target) return;
  TargetSamples samples;
  std::int64_t t = now_ns / 1'000'000;
  const std::string_view first = in.piece();
  for (const std::string_view body : {first, in.rest()}) {
    const auto outcome =
        samples.scraped(**target, Scraped{std::string(body), "application/openmetrics-text"}, t += 15'000, 0.1);
    well_formed(outcome.decoded.batch);
  }
  well_formed(samples.gone(**target, t += 15'000).batch);
}

// Every ingest route, as the router calls it: route, content type, content encoding, query, body.
void ingest_api(std::string_view bytes) {
  static test::ManualClock clock;
  static const auto log = make_null_log();
  static Registry registry;
  Input in(bytes);
  test::MemoryStore store;
  Sink sink(store, store, clock, *log, registry);
  const http::Routes all = ingest::routes(sink, clock, {1 << 20, 4 << 20}, {});
  const http::Route& route = all[in.byte() % all.size()];
  static constexpr std::string_view types[] = {"application/json", "application/x-protobuf", "text/plain", "",
                                               "application/x-ndjson",
                                               "application/x-protobuf;proto=io.prometheus.write.v2.Request"};
  static constexpr std::string_view encodings[] = {"", "snappy", "gzip", "zstd", "deflate"};
  http::Request request{.method = route.method, .path = route.pattern};
  request.headers = {{"content-type", std::string(types[in.byte() % std::size(types)])},
                     {"content-encoding", std::string(encodings[in.byte() % std::size(encodings)])}};
  const std::string_view query = in.take(in.byte());
  if (!query.empty()) request.query = {{"timestamp", std::string(query)}, {"extra_label", std::string(query)}};
  request.body = in.rest();
  const http::Response response = route.handler(request);
  PLUMBLINE_CHECK(response.status >= 200 && response.status < 600 && response.status != 500, "an answer, and not that we broke");
}

std::string varint_field(int field, std::string_view bytes) {
  ByteWriter out;
  out.varint(static_cast<std::uint64_t>(field) << 3 | 2);
  out.sized(bytes);
  return out.take();
}
std::string wire_series() {
  std::string out = model::wire_form(model::Labels::of({{"__name__", "up"}, {"job", "api"}}));
  ByteWriter sample;
  sample.u8(0x09);
  sample.f64(1.5);
  sample.u8(0x10);
  sample.varint(1'700'000'000'000);
  return out + varint_field(2, sample.str());
}
std::string write_request() { return varint_field(1, wire_series()); }
std::string loki_push() {
  ByteWriter time;
  time.u8(0x08);
  time.varint(1'700'000'000);
  const std::string pair = varint_field(1, "k") + varint_field(2, "v");
  const std::string entry = varint_field(1, time.str()) + varint_field(2, "level=error boom") + varint_field(3, pair);
  return varint_field(1, varint_field(1, "{app=\"api\", env=\"prod\"}") + varint_field(2, entry));
}
const std::string loki_text =
    R"({"streams":[{"stream":{"app":"api"},"values":[["1700000000000000000","hello {\"level\":\"warn\"}",{"trace_id":"ab"}]]}]})";
const std::string inference_text =
    R"({"model":"m","version":"2","prediction_id":"p1","time":"2023-11-14T22:13:20Z","features":{"age":31,"plan":"free","v":[1,2.5]},)"
    R"("prediction":1,"score":0.75,"label":true,"segment":{"country":"de"},"latency_ms":12.5,"status":"ok"})";
const std::string exposition_text =
    "# HELP a b\n# TYPE a counter\na{b=\"c\",d=\"\\n\\\"\"} 1 1700000000000\n{\"x.y\",\"z w\"=\"q\"} NaN\n"
    "h_bucket{le=\"+Inf\"} 3 # {trace_id=\"x\"} 0.5 1.2\n# EOF\n";

std::vector<std::string> relabel_seeds() {
  std::string rule{1, 0, 0, 7};
  for (const char* p : {"__address__", ";", "([^:]+)(?::\\d+)?", "instance", "$1-${1}"}) rule += piece(p);
  std::string map = rule;
  map[2] = 6;
  return {rule + piece("__address__") + piece("h:80") + piece("a") + piece("b"), map + piece("meta_x") + piece("y")};
}
std::vector<std::string> scrape_seeds() {
  const std::string head = piece("host:9100") + piece("http_2xx") + piece("go_.*");
  return {std::string(2, '\0') + head + piece(exposition_text) + "a 1\n# EOF\n",
          std::string(2, '\1') + head + piece("a{job=\"x\"} 1\n# EOF\n") + ""};
}
std::vector<std::string> api_seeds() {
  std::vector<std::string> out;
  test::ManualClock clock;
  const auto log = make_null_log();
  Registry registry;
  test::MemoryStore store;
  Sink sink(store, store, clock, *log, registry);
  const http::Routes all = ingest::routes(sink, clock, {}, {});
  for (std::size_t r = 0; r < all.size(); ++r) {
    const char route = static_cast<char>(r);
    out.push_back(std::string{route, 1, 1, 0} + snappy(write_request()));
    out.push_back(std::string{route, 1, 1, 0} + snappy(loki_push()));
    for (const std::string& text : {loki_text, inference_text, exposition_text}) {
      out.push_back(std::string{route, 0, 0, 0} + text);
      out.push_back(std::string{route, 2, 2, 13} + "1700000000000" + gzip(text));
    }
  }
  return out;
}

template <const std::string& text>
std::vector<std::string> seed() {
  return {text};
}

}  // namespace

Targets ingest_targets() {
  return {
      {"ingest_api", ingest_api, api_seeds},
      {"remote_write_v2", remote_write_v2, [] { return std::vector<std::string>{write_request_v2().SerializeAsString()}; }},
      {"remote_write_histogram", remote_write_histogram, [] {
         return std::vector<std::string>{write_request_v2().timeseries(0).histograms(0).SerializeAsString()};
       }},
      {"remote_write", remote_write, [] { return std::vector<std::string>{write_request(), wire_series()}; }},
      {"wire_labels", wire_labels, [] {
         const auto l = model::Labels::of({{"__name__", "up"}, {"job", "api"}});
         return std::vector<std::string>{model::wire_form(l), l.encode()};
       }},
      {"loki_json", loki_json, seed<loki_text>},
      {"loki_protobuf", loki_protobuf, [] { return std::vector<std::string>{loki_push()}; }},
      {"exposition", exposition, [] {
         return std::vector<std::string>{std::string(1, '\0') + exposition_text, "\1" + exposition_text};
       }},
      {"label_text", label_text, [] { return std::vector<std::string>{"{a=\"b\\n\\u00e9\", c=`d`}"}; }},
      {"log_level", log_level, [] {
         return std::vector<std::string>{R"({"a":{"level":"warn"}})", "ts=1 lvl=error msg=\"x\"", "2024 [ERROR] boom"};
       }},
      {"inferences", inferences, [] {
         return std::vector<std::string>{inference_text, "[" + inference_text + "," + inference_text + "]", inference_text + "\n\n{}"};
       }},
      {"inference_labels", labels, [] {
         return std::vector<std::string>{R"({"model":"m","prediction_id":"p","label":1,"time":1700000000})",
                                         R"([{"model":"m","prediction_id":"p","label":"x"}])"};
       }},
      {"json_tree", json_tree, [] { return std::vector<std::string>{R"([{"a":[1,-2.5e3,"\ud83d\ude00",null,true]},{"b":{}}])"}; }},
      {"feature_schema", feature_schema, [] {
         FeatureSchema schema;
         return std::vector<std::string>{schema.encode("m", {{"age", FeatureType::number}, {"plan", FeatureType::string}})};
       }},
      {"relabel", relabel, relabel_seeds},
      {"scrape", scrape, scrape_seeds},
  };
}

}  // namespace plumbline::fuzz
