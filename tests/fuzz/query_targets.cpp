// What people and Grafana send to read: PromQL, LogQL, filters, uploads, and every read route through HTTP.
#include <algorithm>
#include <bit>
#include <cmath>

#include <protozero/pbf_writer.hpp>

#include "daemon/base/compression.hpp"
#include "daemon/base/text.hpp"
#include "query/logql/logql.hpp"
#include "query/ml/filter.hpp"
#include "query/ml/reference.hpp"
#include "query/ml/reference_store.hpp"
#include "query/ml/upload.hpp"
#include "query/promql/ast.hpp"
#include "query/promql/series_notation.hpp"
#include "query/query.hpp"
#include "query/stopping_reader.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/support.hpp"

namespace plumbline::fuzz {
namespace {

using namespace query;

constexpr std::int64_t start_ms = 1'700'000'000'000;

// Counters that reset, gauges with NaN and infinities, histograms of both kinds, log lines, spans, inference records.
void fill(test::MemoryStore& store) {
  storage::WriteBatch batch;
  for (int i = 0; i < 4; ++i) {
    const std::string pod = "p" + std::to_string(i % 2);
    const std::string code = i < 2 ? "200" : "500";
    storage::SeriesSamples counter{model::Labels::of({{"__name__", "c"}, {"pod", pod}, {"code", code}}), {}};
    storage::SeriesSamples gauge{model::Labels::of({{"__name__", "g"}, {"pod", pod}, {"n", std::to_string(i)}}), {}};
    storage::SeriesSamples bucket{model::Labels::of({{"__name__", "h_bucket"}, {"le", i == 3 ? "+Inf" : std::to_string(i)}}), {}};
    for (int k = 0; k < 40; ++k) {
      const std::int64_t t = start_ms + k * 15'000 + i;
      counter.samples.push_back({t, static_cast<double>(k % 17 * (i + 1))});
      gauge.samples.push_back({t, k % 13 == 5 ? std::nan("") : k % 11 == 7 ? -INFINITY : k == 20 ? model::stale_nan : k * 0.25 - i});
      bucket.samples.push_back({t, static_cast<double>(k * (i + 1))});
    }
    for (auto* s : {&counter, &gauge, &bucket}) batch.series.push_back(std::move(*s));
  }
  storage::SeriesHistograms native{model::Labels::of({{"__name__", "nh"}}), {}};
  for (int k = 0; k < 40; ++k) {
    model::Histogram h;
    h.layout = {k < 20 ? 1 : 0, 0.001, {{-1, 2}, {k % 3, 1}}, {{0, 1}}, {}};
    h.is_integer = k % 10 != 7;
    h.positive = {1.0 * (k % 17), 2.0 * k, 3};
    h.negative = {k / 2 * 1.0};
    h.count = h.positive[0] + h.positive[1] + h.positive[2] + h.negative[0];
    h.sum = k == 33 ? model::stale_nan : k - 7.5;
    native.samples.push_back({start_ms + k * 15'000, std::move(h)});
  }
  batch.histograms.push_back(std::move(native));
  model::StreamRows logs{model::EventKind::log, model::Labels::of({{"app", "api"}, {"service_name", "api"}}), {}};
  model::StreamRows spans{model::EventKind::span, model::Labels::of({{"service_name", "api"}, {"span_name", "GET"}}), {}};
  model::StreamRows records{model::EventKind::inference, model::Labels::of({{"model", "m"}, {"version", "1"}}), {}};
  for (int k = 0; k < 10; ++k) {
    const std::int64_t t = (start_ms + k * 30'000) * 1'000'000;
    logs.rows.push_back({t, {{"line", "level=error n=" + std::to_string(k)}, {"status", std::to_string(500 + k)}}});
    spans.rows.push_back({t, {{"trace_id", std::string(32, '1')}, {"span_id", std::string(16, static_cast<char>('a' + k % 6))},
                              {"name", std::string("GET")}, {"duration_ns", std::int64_t{k * 1000}}}});
    records.rows.push_back({t, {{"prediction_id", "p" + std::to_string(k)}, {"feature.age", 20.0 + k}, {"feature.plan", std::string("free")},
                                {"prediction", 1.0}, {"score", 0.1 * k}, {"label", k % 2 == 0}}});
  }
  batch.events = {logs, spans, records};
  batch.metadata = {{"c", "counter", "help", "1"}};
  PLUMBLINE_CHECK(store.write(std::move(batch)).has_value(), "the store in memory writes");
}
const test::MemoryStore& store() {
  static const auto filled = [] {
    auto out = std::make_unique<test::MemoryStore>();
    fill(*out);
    return out;
  }();
  return *filled;
}
const Clock& real_clock() {  // for deadlines
  static const SystemClock clock;
  return clock;
}
const EngineOptions limits{.timeout = Millis(2'000), .samples_max = 200'000, .series_max = 1'000, .points_max = 200};

// A histogram that was read is written, and read again as the same one.
void series_notation(std::string_view text) {
  (void)promql::parse_metric(text);
  const auto line = promql::parse_series_line(text);
  if (!line) return PLUMBLINE_CHECK(!line.error().message.empty(), "a refusal says why");
  const auto found = std::ranges::find_if(line->items, [](const auto& item) { return item.histogram != nullptr; });
  if (found == line->items.end()) return;
  const auto again = promql::parse_series_values(promql::notation_of(*found->histogram));
  PLUMBLINE_CHECK(again && again->size() == 1 && again->front().histogram, "what is written can be read");
}

void promql(std::string_view text) {
  (void)promql::parse_selector(text);
  const auto parsed = promql::parse(text);
  if (!parsed) return;
  const std::string printed = promql::print(**parsed);
  const auto again = promql::parse(printed);
  // Printing spaces an expression out: what was just below the limits of length or height may not be any more.
  if (!again && printed.size() > promql::text_bytes_max) return;
  PLUMBLINE_CHECK(again.has_value(), "what is printed parses");
  PLUMBLINE_CHECK(promql::print(**again) == printed, "printing is stable");
}

bool same(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (a != a && b != b); }
bool same(const PromValue& a, const PromValue& b) {
  if (a.index() != b.index()) return false;
  if (const auto* s = std::get_if<Scalar>(&a)) return same(s->v, std::get<Scalar>(b).v);
  if (const auto* s = std::get_if<StringValue>(&a)) return s->v == std::get<StringValue>(b).v;
  if (const auto* v = std::get_if<Vector>(&a)) {
    const auto& w = std::get<Vector>(b);
    return std::equal(v->begin(), v->end(), w.begin(), w.end(), [](const VectorPoint& x, const VectorPoint& y) {
      return x.labels == y.labels && x.t == y.t && same(x.v, y.v);
    });
  }
  const auto& m = std::get<Matrix>(a);
  const auto& n = std::get<Matrix>(b);
  return std::equal(m.begin(), m.end(), n.begin(), n.end(), [](const MatrixSeries& x, const MatrixSeries& y) {
    return x.labels == y.labels && std::equal(x.samples.begin(), x.samples.end(), y.samples.begin(), y.samples.end(),
                                              [](const Sample& s, const Sample& t) { return s.t == t.t && same(s.v, t.v); });
  });
}

void promql_eval(std::string_view text) {
  const Engine engine(store(), real_clock(), limits);
  const auto answer = engine.instant(text, start_ms + 300'000);
  (void)engine.range(text, start_ms + 60'000, start_ms + 400'000, 15'000);
  if (!answer) return;
  const auto printed = format_promql(text);
  PLUMBLINE_CHECK(printed.has_value(), "what was evaluated parses");
  if (printed->size() > promql::text_bytes_max) return;
  const auto again = engine.instant(*printed, start_ms + 300'000);
  PLUMBLINE_CHECK(again || again.error().code == Code::timeout, "the printed form can be evaluated, too");
  if (again) PLUMBLINE_CHECK(same(answer->value, again->value), "the printed form means the same");
}

void logql(std::string_view text) {
  (void)logql::parse_selector(text);
  const auto parsed = logql::parse(text);
  if (!parsed) return;
  const std::int64_t start = start_ms * 1'000'000;
  if (const auto* logs = std::get_if<logql::LogQuery>(&*parsed)) {
    const auto entries = logql::run_logs(store(), *logs, {start, start + 1'000'000'000'000, 50, true});
    if (entries) PLUMBLINE_CHECK(entries->size() <= 50, "the limit holds");
  } else {
    const StoppingReader reader(store(), {});
    (void)logql::run_metric(reader, *std::get<logql::MetricPtr>(*parsed), start, start + 300'000'000'000, 30'000'000'000);
  }
}

void filter(std::string_view text) {
  const auto parsed = ml::Filter::parse(text);
  if (!parsed) return;
  storage::EventQuery wanted{.kind = model::EventKind::inference};
  (void)store().scan(wanted, [&](const storage::RowBlock& block) {
    const ml::Filter::Bound bound(*parsed, block);
    for (std::size_t row = 0; row < block.times_ns.size(); ++row) (void)bound.passes(row);
    return true;
  });
}

void check_upload(const Result<ml::Upload>& upload) {
  if (!upload) return;
  const std::string bytes = ml::encode_features(upload->features);
  const auto again = ml::decode_features(bytes);
  PLUMBLINE_CHECK(again && *again == upload->features, "features read back");
}
void csv(std::string_view bytes) { check_upload(ml::parse_csv(bytes, {})); }
void ndjson(std::string_view bytes) { check_upload(ml::parse_ndjson(bytes, {})); }

void features(std::string_view bytes) {
  const auto decoded = ml::decode_features(bytes);
  if (!decoded) return;
  for (const auto& f : *decoded) (void)ml::CategoryBins(f).reference_counts();
}

// A stored reference as the state holds it, with a checksum that fits.
void reference(std::string_view bytes) {
  Input in(bytes);
  test::MemoryStore state;
  const std::string_view head = in.piece();
  const std::string_view content = in.rest();
  ByteWriter value;
  value.raw("PLRF");
  value.u8(1);
  value.le32(1);
  ByteWriter after;
  after.sized(head);
  after.raw(content);
  value.le32(crc32c(after.str()));
  value.raw(after.str());
  PLUMBLINE_CHECK(state.put({{"ml/ref/m/r/0000000001", value.take()}}).has_value(), "the state in memory writes");
  const ml::ReferenceStore references(state);
  (void)references.list("");
  (void)references.find("m", "");
  (void)references.find("m", "r@1");
}

const http::Routes& read_routes() {
  static const Engine engine(store(), real_clock(), limits);
  static test::MemoryStore state;
  static Models models(store(), state, real_clock());
  static const http::Routes all = [] {
    const DaemonStatus status{[] { return RuntimeInfo{}; }, [] { return std::string("a: b\n"); },
                              [] { return std::vector<std::pair<std::string, std::string>>{{"a", "b"}}; }};
    http::Routes out;
    for (http::Routes part : {prometheus_routes(engine, store(), real_clock(), {"1", "x"}), loki_routes(store(), real_clock()),
                              jaeger_routes(store(), real_clock()), ml_routes(models, store(), real_clock()),
                              plan_routes(engine, store(), real_clock()), parse_query_routes(), exemplar_routes(store()),
                              federate_routes(engine, store(), real_clock()), status_routes(real_clock(), status)})
      for (http::Route& route : part) out.push_back(std::move(route));
    return out;
  }();
  return all;
}

// The route, the value of its path, then lines: name=value, each a parameter; after an empty line the body.
void query_api(std::string_view bytes) {
  Input in(bytes);
  const http::Route& route = read_routes()[in.byte() % read_routes().size()];
  // A reference that is stored would be there for the next input.
  if (route.method == "POST" && route.pattern.find("references") != std::string::npos) return;
  http::Request request{.method = route.method, .path = route.pattern};
  const std::string value(in.take(in.byte()));
  for (const char* name : {"name", "id", "model", "service", "m", "n", "s"}) request.path_values.emplace_back(name, value);
  std::string_view text = in.rest();
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty()) break;
    const std::size_t equals = std::min(line.find('='), line.size());
    request.query.emplace_back(line.substr(0, equals), line.substr(std::min(line.size(), equals + 1)));
  }
  request.body = text;
  const http::Response response = route.handler(request);
  PLUMBLINE_CHECK(response.status >= 200 && response.status < 600 && response.status != 500, "an answer, and not that we broke");
  PLUMBLINE_CHECK(valid_utf8(response.body), "answers are text");
}

// A prometheus.ReadRequest before it is compressed.
void remote_read(std::string_view bytes) {
  static const http::Routes routes = remote_read_routes(store());
  http::Request request{.method = "POST", .path = "/api/v1/read"};
  request.body = snappy(bytes);
  const http::Response response = routes.front().handler(request);
  PLUMBLINE_CHECK(response.status == 200 || response.status == 400, "an answer or a refusal");
}

std::vector<std::string> remote_read_seeds() {
  std::vector<std::string> out;
  for (const int form : {0, 1}) {
    std::string bytes;
    protozero::pbf_writer request(bytes);
    for (const char* metric : {"nh", "c"}) {
      protozero::pbf_writer query(request, 1);
      query.add_int64(1, start_ms);
      query.add_int64(2, start_ms + 500'000);
      protozero::pbf_writer matcher(query, 3);
      matcher.add_enum(1, 2);
      matcher.add_string(2, "__name__");
      matcher.add_string(3, metric);
    }
    request.add_enum(2, form);
    out.push_back(std::move(bytes));
  }
  return out;
}

std::vector<std::string> promql_seeds() {
  return {"1", "-1 ^ 2", "inf^1", "0x1F + .5e3", "c{pod=\"p0\",code!~\"5..\"}[5m] @ start() offset -1w", "sum by (pod) (rate(c[5m])) / on (pod) group_left (n) g",
          "histogram_quantile(0.9, sum by (le) (rate(h_bucket[2m])))", "max_over_time(rate(c[1m])[5m:30s])", "topk(2, g) or vector(1)",
          "label_replace(g, \"a\", \"$1\", \"pod\", \"(.*)\")", "{\"my.metric\",\"la bel\"=\"x\"}", "count_values(\"v\", g)",
          "quantile_over_time(0.5, g[3m]) > bool 1", "predict_linear(g[4m], 60)", "absent(nope{a=\"b\"})", "c @ 1700000100 atan2 g",
          "foo[min_of(5m, step()) * 2:range()]", "-g unless on () c",
          "histogram_quantile(0.9, rate(nh[2m])) + histogram_sum(nh)", "sort_by_label(g, \"pod\", \"n\")", "time() - timestamp(g)", "\"a\\u00e9\\x41\""};
}
std::vector<std::string> logql_seeds() {
  return {"{app=\"api\", env=~\"prod|stage\"} |= \"error\" or \"panic\" !~ \"health\" | status >= 500 and region = \"eu\" | drop pod",
          "sum by (level) (count_over_time({app=\"api\"} |= `x` [5m]))", "vector(1)+vector(1)",
          "rate({app=\"api\"}[1m] offset 30s) / 2", "bytes_over_time({service_name=~\".+\"}[2m]) > 10"};
}
std::vector<std::string> query_api_seeds() {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < read_routes().size(); ++i)
    for (const char* parameters :
         {"query=c{pod=\"p0\"}\ntime=1700000300\nstart=1700000000\nend=1700000300\nstep=15\nmatch[]=g\nlimit=10\n",
          "query={app=\"api\"} |= \"error\"\nstart=1700000000000000000\nend=1700000300000000000\nstep=30s\ndirection=forward\n",
          "service=api\nlookback=1h\ntags={\"a\":\"b\"}\nminDuration=1ms\nlimit=5\n",
          "start=2023-11-14T22:13:20Z\nend=2023-11-14T23:13:20Z\nwhere=age > 20\nreference=r\nfeatures=age\nstatistic=psi\n"})
      out.push_back(std::string{static_cast<char>(i), 1, 'm'} + parameters);
  return out;
}
std::vector<std::string> reference_seeds() {
  ByteWriter head;
  head.sized("r");
  head.varint(1);
  head.zigzag(5);
  head.sized("text/csv");
  head.sized("hash");
  head.varint(3);
  head.varint(1);
  return {piece(head.str()) + "x"};
}
std::vector<std::string> features_seeds() {
  return {ml::encode_features(ml::parse_csv("age,plan\n1,a\n2,b\n3,a\n", {})->features)};
}

}  // namespace

Targets query_targets() {
  return {
      {"query_api", query_api, query_api_seeds},
      {"remote_read", remote_read, remote_read_seeds},
      {"promql", promql, promql_seeds},
      {"series_notation", series_notation, [] {
         return std::vector<std::string>{"up{job=\"a\"} 1+2x3 _x2 stale -1e3-.5x2 NaN", "{} {{schema:1 sum:2 count:3 z_bucket:1 z_bucket_w:0.1 "
             "buckets:[1 0 2] offset:-1 n_buckets:[1] n_offset:3 counter_reset_hint:gauge}}+{{schema:1 buckets:[1]}}x3",
             "h {{schema:-53 custom_values:[1 2] buckets:[1 1 1] count:3}}x2"};
       }},
      {"promql_eval", promql_eval, promql_seeds},
      {"logql", logql, logql_seeds},
      {"ml_filter", filter, [] {
         return std::vector<std::string>{"version=\"1\" and segment.country=\"de\" and not (age < 30 or plan =~ \"free.*\")",
                                         "`odd name` != 'x' or score.a >= -1.5e3 and label == true"};
       }},
      {"ml_csv", csv, [] { return std::vector<std::string>{"age,\"pl\"\"an\",label\r\n1,a,0\n,\"b,c\nd\",1\n-2.5e3,null,0\n"}; }},
      {"ml_ndjson", ndjson, [] {
         return std::vector<std::string>{"{\"features\":{\"age\":31,\"plan\":\"free\"},\"model\":\"m\"}\n{\"age\":null,\"ok\":true,\"v\":[1]}\n"};
       }},
      {"ml_features", features, features_seeds},
      {"ml_reference", reference, reference_seeds},
  };
}

}  // namespace plumbline::fuzz
