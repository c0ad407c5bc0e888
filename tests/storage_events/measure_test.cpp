// Bytes per row for a realistic mix of inference records: the numbers of storage/events/README.md. Run by name:
//   test_storage_events "[measure]" -s
#include <array>
#include <cmath>
#include <ctime>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "storage/events/keys.hpp"
#include "tests/storage_events/engine_fixture.hpp"

namespace plumbline::test {
namespace {

using model::EventKind;
using model::Labels;
using model::Row;
using model::Value;

// 12 features as credit or churn models have them: counts, money, ratios, f32 embeddings' leftovers, categories, a flag.
Row record(Random& random, std::int64_t time, std::uint64_t n) {
  std::normal_distribution<double> normal(0, 1);
  const double logit = normal(random);
  Row r{time, {}};
  const auto add = [&](std::string name, Value v) { r.fields.push_back({std::move(name), std::move(v)}); };
  add("prediction_id", Value(fmt::format("{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}", random() >> 32, random() >> 48,
                                         random() >> 52, random() >> 52, random() >> 16)));
  add("trace_id", Value(fmt::format("{:016x}{:016x}", random(), random())));
  add("feature.age", Value(static_cast<double>(18 + below(random, 60))));
  add("feature.tenure_months", Value(static_cast<double>(below(random, 240))));
  add("feature.balance", Value(std::round(std::exp(7 + 1.5 * normal(random)) * 100) / 100));
  add("feature.monthly_spend", Value(std::round(std::exp(4 + normal(random)) * 100) / 100));
  add("feature.logins_7d", Value(static_cast<double>(below(random, 30))));
  add("feature.utilization", Value(std::round(1000 / (1 + std::exp(-normal(random)))) / 1000));
  add("feature.similarity", Value(static_cast<double>(static_cast<float>(normal(random)))));
  add("feature.risk_raw", Value(normal(random)));
  add("feature.country", Value(std::array{"de", "fr", "us", "jp", "br"}[below(random, 5)]));
  add("feature.plan", Value(std::array{"free", "basic", "pro"}[below(random, 3)]));
  add("feature.is_mobile", Value(below(random, 2) == 0));
  if (below(random, 20) != 0) add("feature.last_ticket_days", Value(static_cast<double>(below(random, 400))));
  const double score = 1 / (1 + std::exp(-logit));
  add("prediction", Value(score > 0.5 ? "churn" : "stay"));
  add("score", Value(score));
  add("latency_ms", Value(std::round(std::exp(1.5 + 0.5 * normal(random)) * 1000) / 1000));
  add("status", Value("ok"));
  add("segment.channel", Value(n % 3 == 0 ? "app" : "web"));
  return r;
}

TEST_CASE("bytes per inference record", "[.][measure]") {
  constexpr std::size_t rows = 100'000;
  Random random(1);
  EngineFixture f;
  const Labels stream = Labels::of({{"model", "churn"}, {"version", "7"}});
  std::size_t raw = 0;
  const auto now = [] { return std::clock(); };  // CPU time: a busy machine must not change the number
  const auto ms = [](std::clock_t d) { return static_cast<double>(d) * 1e3 / CLOCKS_PER_SEC; };
  double append_ms = 0;
  for (std::size_t n = 0; n < rows;) {
    model::StreamRows batch{EventKind::inference, stream, {}};
    for (int i = 0; i < 500; ++i, ++n) {
      batch.rows.push_back(record(random, start + static_cast<std::int64_t>(n) * 20'000'000 + static_cast<std::int64_t>(below(random, 9)) * 1'000'000, n));
      for (const auto& field : batch.rows.back().fields) {
        raw += field.name.size() + 4;  // "name":v,
        if (const auto* s = std::get_if<std::string>(&field.value)) raw += s->size() + 2;
        if (const auto* d = std::get_if<double>(&field.value)) raw += fmt::format("{}", *d).size();
      }
    }
    const auto begin = now();
    f.engine->append({batch}, {});
    append_ms += ms(now() - begin);
  }
  const double head = static_cast<double>(f.engine->head_bytes());
  const auto before_seal = now();
  f.seal();
  const double seal_ms = ms(now() - before_seal);
  double blocks = 0;
  double ids = 0;
  for (const auto& [key, value] : f.kv.copy(storage::kv::Family::events)) blocks += static_cast<double>(key.size() + value.size());
  for (const auto& [key, value] : f.kv.copy(storage::kv::Family::event_ids)) ids += static_cast<double>(key.size());
  const auto scan_ms = [&](std::vector<std::string> columns) {
    storage::EventQuery q;
    q.kind = EventKind::inference;
    q.columns = std::move(columns);
    std::size_t seen = 0;
    const auto begin = now();
    REQUIRE(f.engine->scan(q, [&](const storage::RowBlock& b) { return (seen += b.times_ns.size()) > 0; }));
    REQUIRE(seen == rows);
    return ms(now() - begin);
  };
  const double n = rows;
  const double one = scan_ms({"feature.age"});
  const double all = scan_ms({});
  WARN(fmt::format("per row: JSON about {:.0f} B, head {:.0f} B, blocks {:.1f} B, id keys {:.1f} B before RocksDB's compression; "
                   "append {:.2f} us, seal {:.2f} us, scan of one column {:.3f} us, of all {:.2f} us",
                   static_cast<double>(raw) / n, head / n, blocks / n, ids / n, append_ms * 1e3 / n, seal_ms * 1e3 / n,
                   one * 1e3 / n, all * 1e3 / n));
}

}  // namespace
}  // namespace plumbline::test
