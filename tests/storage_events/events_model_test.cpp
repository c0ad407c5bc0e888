// The event engine against a naive model: random appends, seals, retention, restarts-with-replay and queries.
#include <array>
#include <map>
#include <optional>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "tests/storage_events/engine_fixture.hpp"

namespace plumbline::test {
namespace {

using model::EventKind;
using model::Labels;
using model::Row;
using model::Value;
using storage::EventQuery;

struct NaiveRow {
  EventKind kind;
  Labels stream;
  Row row;
};

struct Naive {
  std::vector<NaiveRow> rows;
  std::map<std::pair<std::string, std::string>, model::LateLabel> labels;

  static bool wants(const std::vector<std::string>& columns, const std::string& name) {
    if (columns.empty()) return true;
    for (const std::string& c : columns)
      if (c == name || (c.ends_with(".*") && name.starts_with(c.substr(0, c.size() - 1)))) return true;
    return false;
  }
  bool matches(const NaiveRow& r, const EventQuery& q) const {
    if (r.kind != q.kind || !q.range_ns.contains(r.row.time_ns) || !model::matches_all(q.stream, r.stream)) return false;
    if (!q.id) return true;
    const Value* id = r.row.find(q.id->first);
    return id != nullptr && same(*id, Value(q.id->second));
  }
  std::vector<std::string> scan(const EventQuery& q) const {
    std::vector<std::string> out;
    for (const NaiveRow& r : rows) {
      if (!matches(r, q)) continue;
      std::vector<std::pair<std::string, Value>> fields;
      for (const model::Field& f : r.row.fields)
        if (wants(q.columns, f.name)) fields.emplace_back(f.name, f.value);
      out.push_back(row_text(r.stream, r.row.time_ns, std::move(fields)));
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  std::vector<Labels> streams(const EventQuery& q) const {
    std::vector<Labels> out;
    for (const NaiveRow& r : rows)
      if (matches(r, q)) out.push_back(r.stream);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }
};

struct World {
  explicit World(std::uint64_t seed) : random(seed) {}
  Random random;
  EngineFixture f;
  Naive naive;
  std::int64_t days_kept_from = 0;
  bool frozen = false;

  std::int64_t time() {
    // Four days, many equal times; never in a day that retention has already dropped.
    const std::int64_t d = days_kept_from + static_cast<std::int64_t>(below(random, 4));
    return start + d * day + static_cast<std::int64_t>(below(random, 50)) * (day / 50);
  }
  Labels stream() { return Labels::of({{"model", fmt::format("m{}", below(random, 3))}, {"v", fmt::format("{}", below(random, 2))}}); }
  EventKind kind() { return static_cast<EventKind>(1 + below(random, 3)); }
  std::string id() { return fmt::format("{:04x}", below(random, 60)); }

  Row row() {
    Row r{time(), {}};
    if (below(random, 2) == 0) r.fields.push_back({"trace_id", Value(id())});
    if (below(random, 3) == 0) r.fields.push_back({"span_id", Value(id())});
    if (below(random, 3) == 0) r.fields.push_back({"prediction_id", below(random, 9) == 0 ? odd_value(random) : Value(id())});
    for (std::uint64_t i = below(random, 5); i > 0; --i) r.fields.push_back({fmt::format("feature.{}", i), odd_value(random)});
    if (below(random, 2) == 0) r.fields.push_back({"score", Value(odd_double(random))});
    return r;
  }
  void append() {
    std::vector<model::StreamRows> events;
    std::vector<model::LateLabel> labels;
    for (std::uint64_t i = 1 + below(random, 3); i > 0; --i) {
      model::StreamRows e{kind(), stream(), {}};
      for (std::uint64_t n = below(random, 30); n > 0; --n) e.rows.push_back(row());
      for (const Row& r : e.rows) naive.rows.push_back({e.kind, e.stream, r});
      events.push_back(std::move(e));
    }
    for (std::uint64_t i = below(random, 4); i > 0; --i) {
      labels.push_back({fmt::format("m{}", below(random, 2)), id(), odd_value(random), time()});
      naive.labels[{labels.back().model, labels.back().prediction_id}] = labels.back();
    }
    f.engine->append(events, labels);
  }
  void seal_step() {
    if (!frozen) {
      f.engine->freeze(++f.seals);
      frozen = true;
    } else {
      REQUIRE(f.commit());
      if (below(random, 2) == 0) query();
      f.engine->thaw();
      frozen = false;
    }
  }
  void retain() {
    // Only sealed rows are dropped: seal everything first, as a store that ages does.
    if (frozen) seal_step();
    f.seal();
    ++days_kept_from;
    const std::int64_t cutoff = start + days_kept_from * day;
    REQUIRE(f.engine->retain(cutoff + static_cast<std::int64_t>(below(random, day))));
    std::erase_if(naive.rows, [&](const NaiveRow& r) { return r.row.time_ns < cutoff; });
    std::erase_if(naive.labels, [&](const auto& l) { return l.second.time_ns < cutoff; });
  }
  void query() {
    EventQuery q;
    q.kind = kind();
    if (below(random, 2) == 0) q.range_ns = {time(), time()};
    if (below(random, 3) == 0) q.stream = {model::Matcher::equal("model", fmt::format("m{}", below(random, 4)))};
    if (below(random, 6) == 0) q.stream.push_back(*model::Matcher::make(model::MatchOp::not_equal, "v", "1"));
    if (below(random, 3) == 0) q.columns = {"score", "feature.*"};
    q.newest_first = below(random, 2) == 0;
    REQUIRE(*f.engine->streams(q.kind, q.stream, q.range_ns) == naive.streams(q));
    if (below(random, 2) == 0)
      q.id.emplace(std::array{"trace_id", "span_id", "prediction_id"}[below(random, 3)], id());
    REQUIRE(scan_rows(*f.engine, q) == naive.scan(q));
  }
  void look_up_labels() {
    const std::string model = fmt::format("m{}", below(random, 2));
    std::vector<std::string> ids;
    for (int i = 0; i < 10; ++i) ids.push_back(id());
    const auto found = f.engine->late_labels(model, ids);
    REQUIRE(found);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto expected = naive.labels.find({model, ids[i]});
      REQUIRE((*found)[i].has_value() == (expected != naive.labels.end()));
      if (!(*found)[i]) continue;
      REQUIRE(same((*found)[i]->label, expected->second.label));
      REQUIRE((*found)[i]->time_ns == expected->second.time_ns);
    }
  }
};

TEST_CASE("the event engine answers as a naive model does") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  for (std::uint64_t world = 0; world < 4; ++world) {
    World w(seed + world);
    for (int step = 0; step < 250; ++step) {
      CAPTURE(world, step);
      switch (below(w.random, 12)) {
        case 0:
        case 1:
        case 2: w.seal_step(); break;
        case 3:
          if (step % 4 == 0) w.retain();
          break;
        case 4: w.look_up_labels(); break;
        case 5:
        case 6:
        case 7: w.append(); break;
        default: w.query(); break;
      }
    }
    if (w.frozen) w.seal_step();
    w.f.seal();
    w.f.restart();
    for (int i = 0; i < 20; ++i) w.query();
  }
}

}  // namespace
}  // namespace plumbline::test
