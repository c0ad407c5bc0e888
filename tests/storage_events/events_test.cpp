// The event engine, promise by promise.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "storage/events/directory.hpp"
#include "storage/events/keys.hpp"
#include "tests/storage_events/engine_fixture.hpp"

namespace plumbline::test {
namespace {

using model::EventKind;
using model::Labels;
using model::LateLabel;
using model::Row;
using model::Value;
using storage::EventQuery;
using storage::RowBlock;
using storage::kv::Family;

const Labels api = Labels::of({{"app", "api"}});
const Labels web = Labels::of({{"app", "web"}});

Row line(std::int64_t time, std::string text) { return {time, {{"line", Value(std::move(text))}}}; }
std::size_t count(const EngineFixture& f, const EventQuery& q) { return scan_rows(*f.engine, q).size(); }

TEST_CASE("rows are found in the active head, the frozen head and in blocks, once each at every step of a seal") {
  EngineFixture f;
  EventQuery all;
  for (int round = 0; round < 3; ++round) {
    const auto r = static_cast<std::size_t>(round);
    const std::size_t before = r * 2;  // api rows; each round also leaves a web row
    f.engine->append({rows_of(EventKind::log, api, {line(start + round, "a"), line(start + round, "b")})}, {});
    REQUIRE(count(f, all) == before + r + 2);
    f.engine->freeze(++f.seals);
    REQUIRE(count(f, all) == before + r + 2);
    f.engine->append({rows_of(EventKind::log, web, {line(start, "c")})}, {});
    REQUIRE(count(f, all) == before + r + 3);
    REQUIRE(f.commit());
    REQUIRE(count(f, all) == before + r + 3);
    f.engine->thaw();
    REQUIRE(count(f, all) == before + r + 3);
    all.stream = {model::Matcher::equal("app", "api")};
    REQUIRE(count(f, all) == before + 2);
    all.stream.clear();
  }
  f.restart();  // the last web row was never sealed
  REQUIRE(count(f, all) == 8);
}

TEST_CASE("a scan that is under way while its head is frozen, sealed and thawed sees no row twice") {
  EngineFixture f;
  for (int i = 0; i < 3; ++i)
    f.engine->append({rows_of(EventKind::log, Labels::of({{"s", std::to_string(i)}}), {line(start + i, "x")})}, {});
  std::size_t rows = 0;
  REQUIRE(f.engine->scan({}, [&](const RowBlock& b) {
    if (rows == 0) f.seal();
    rows += b.times_ns.size();
    return true;
  }));
  REQUIRE(rows == 3);
}

TEST_CASE("columns: all, by name, by prefix; nulls and mixed types are kept") {
  EngineFixture f;
  const std::vector<Row> rows{
      {start, {{"feature.a", Value(1.5)}, {"feature.b", Value("x")}, {"score", Value(0.25)}}},
      {start + 1, {{"feature.a", Value("text")}, {"score", Value(std::int64_t{3})}, {"feature.c", Value(model::List{1, 2})}}},
      {start + 2, {{"feature.a", Value()}}}};
  f.engine->append({rows_of(EventKind::inference, api, rows)}, {});
  for (const bool sealed : {false, true}) {
    if (sealed) f.seal();
    const auto names = [&](std::vector<std::string> columns) {
      EventQuery q;
      q.kind = EventKind::inference;
      q.columns = std::move(columns);
      std::vector<std::string> out;
      REQUIRE(f.engine->scan(q, [&](const RowBlock& b) {
        for (const auto& c : b.columns) out.push_back(c.name);
        REQUIRE(b.times_ns.size() == 3);
        if (const auto* a = b.find("feature.a"))
          REQUIRE(same(a->values, std::vector<Value>{Value(1.5), Value("text"), Value()}));
        return true;
      }));
      return out;
    };
    using Names = std::vector<std::string>;
    CHECK(names({}) == Names{"feature.a", "feature.b", "score", "feature.c"});
    CHECK(names({"score"}) == Names{"score"});
    CHECK(names({"feature.*"}) == Names{"feature.a", "feature.b", "feature.c"});
    CHECK(names({"feature.c", "absent"}) == Names{"feature.c"});
    CHECK(names({"absent"}) == Names{});
  }
}

TEST_CASE("rows of several days are sealed by day and trimmed to the range") {
  EngineFixture f;
  std::vector<Row> rows;
  for (int i = 0; i < 72; ++i) rows.push_back(line(start + (71 - i) * 3600 * second, fmt::format("h{}", 71 - i)));
  f.engine->append({rows_of(EventKind::log, api, rows)}, {});
  for (const bool sealed : {false, true}) {
    if (sealed) f.seal();
    EventQuery q;
    q.range_ns = {start + 10 * 3600 * second, start + 50 * 3600 * second};
    CHECK(count(f, q) == 41);
    q.range_ns = {start + 10 * 3600 * second + 1, start + 11 * 3600 * second - 1};
    CHECK(count(f, q) == 0);
    q.range_ns = {5, 4};
    CHECK(count(f, q) == 0);
    CHECK(f.engine->streams(EventKind::log, {}, {start, start})->size() == 1);
    CHECK(f.engine->streams(EventKind::log, {}, {start + 1, start + 2})->empty());
    CHECK(f.engine->streams(EventKind::span, {}, {})->empty());
  }
  std::size_t blocks = 0;
  for (const auto& [key, value] : f.kv.copy(Family::events)) blocks += storage::events::BlockKey::decode(key) ? 1 : 0;
  CHECK(blocks == 3);
}

TEST_CASE("newest first visits later blocks first, and a visitor may stop") {
  EngineFixture f;
  for (int i = 0; i < 5; ++i) {
    f.engine->append({rows_of(EventKind::log, api, {line(start + i * second, "x"), line(start + i * second + 1, "y")})}, {});
    if (i < 4) f.seal();
  }
  for (const bool newest : {false, true}) {
    EventQuery q;
    q.newest_first = newest;
    std::vector<std::int64_t> seen;
    REQUIRE(f.engine->scan(q, [&](const RowBlock& b) {
      seen.push_back((b.times_ns.front() - start) / second);
      return seen.size() < 3;
    }));
    REQUIRE(seen == (newest ? std::vector<std::int64_t>{4, 3, 2} : std::vector<std::int64_t>{0, 1, 2}));
  }
}

TEST_CASE("rows are found by trace, span and prediction id, in heads and blocks") {
  EngineFixture f;
  std::vector<Row> rows;
  for (int i = 0; i < 300; ++i)
    rows.push_back({start + i,
                    {{"trace_id", Value(fmt::format("{:032x}", i / 10))},
                     {"span_id", Value(fmt::format("{:016x}", i))},
                     {"prediction_id", Value(fmt::format("p-{}", i))},
                     {"n", Value(std::int64_t{i})}}});
  f.engine->append({rows_of(EventKind::span, api, rows), rows_of(EventKind::log, web, {rows[5]})}, {});
  const std::string long_id(5000, 'z');
  f.engine->append({rows_of(EventKind::span, api, {{start, {{"prediction_id", Value(long_id)}}}})}, {});
  for (int step = 0; step < 3; ++step) {
    if (step == 1) f.engine->freeze(++f.seals);
    if (step == 2) {
      REQUIRE(f.commit());
      f.engine->thaw();
    }
    EventQuery q;
    q.kind = EventKind::span;
    q.id.emplace("trace_id", fmt::format("{:032x}", 3));
    CHECK(count(f, q) == 10);
    q.columns = {"n"};
    REQUIRE(f.engine->scan(q, [](const RowBlock& b) {
      REQUIRE(b.columns.size() == 1);
      REQUIRE(same(b.columns[0].values.front(), Value(std::int64_t{30})));
      return true;
    }));
    q.columns.clear();
    q.range_ns = {start + 35, start + 100};
    CHECK(count(f, q) == 5);
    q.range_ns = {};
    q.id.emplace("span_id", fmt::format("{:016x}", 299));
    CHECK(count(f, q) == 1);
    q.id.emplace("prediction_id", "p-5");
    CHECK(count(f, q) == 1);
    q.stream = {model::Matcher::equal("app", "web")};
    CHECK(count(f, q) == 0);
    q.kind = EventKind::log;
    CHECK(count(f, q) == 1);
    q.stream.clear();
    q.kind = EventKind::span;
    q.id.emplace("prediction_id", long_id);
    CHECK(count(f, q) == 1);
    q.id.emplace("prediction_id", "p-");
    CHECK(count(f, q) == 0);
    q.id.emplace("line", "p-5");
    const Status status = f.engine->scan(q, [](const RowBlock&) { return true; });
    REQUIRE_FALSE(status);
    CHECK(status.error().code == Code::unsupported);
  }
}

TEST_CASE("a late label overwrites the one before it, wherever that is") {
  EngineFixture f;
  const auto label = [&](const std::string& model, const std::string& id) {
    const std::vector<std::string> ids{"other", id};
    const auto found = f.engine->late_labels(model, ids);
    REQUIRE(found);
    REQUIRE_FALSE((*found)[0]);
    return (*found)[1] ? show((*found)[1]->label) : "none";
  };
  CHECK(label("m", "p1") == "none");
  f.engine->append({}, {LateLabel{"m", "p1", Value("yes"), start + 5}});
  CHECK(label("m", "p1") == show(Value("yes")));
  CHECK(label("n", "p1") == "none");
  f.engine->append({}, {LateLabel{"m", "p1", Value(1.0), start + 4}, LateLabel{"m", "p1", Value(2.0), start + 3}});
  CHECK(label("m", "p1") == show(Value(2.0)));  // by arrival, not by its own time
  f.engine->freeze(++f.seals);
  CHECK(label("m", "p1") == show(Value(2.0)));
  f.engine->append({}, {LateLabel{"m", "p1", Value(true), start}});
  CHECK(label("m", "p1") == "true");
  REQUIRE(f.commit());
  f.engine->thaw();
  CHECK(label("m", "p1") == "true");
  f.restart();
  CHECK(label("m", "p1") == show(Value(2.0)));
  f.engine->append({}, {LateLabel{"m", "p1", Value(model::List{1, 2}), start + 7}});
  f.seal();
  f.restart();
  CHECK(label("m", "p1") == show(Value(model::List{1, 2})));
  CHECK((*f.engine->late_labels("m", std::vector<std::string>{"p1"}))[0]->time_ns == start + 7);
}

TEST_CASE("retention drops whole days with their ids, directories and labels, and nothing else") {
  EngineFixture f;
  const auto write = [&](std::int64_t time, const std::string& id) {
    f.engine->append({rows_of(EventKind::inference, api, {{time, {{"prediction_id", Value(id)}}}}),
                      rows_of(EventKind::log, web, {line(time, id)})},
                     {LateLabel{"m", id, Value(1.0), time}});
  };
  for (int d = 0; d < 5; ++d) {
    write(start + d * day, fmt::format("first{}", d));
    write(start + d * day + day - 1, fmt::format("last{}", d));
    if (d % 2 == 0) f.seal();
  }
  f.seal();
  REQUIRE(f.engine->retain(start + 2 * day + day / 2));  // inside day 2: days 0 and 1 go
  EventQuery q;
  CHECK(count(f, q) == 6);
  CHECK(f.kv.copy(Family::event_ids).size() == 6);
  CHECK(f.kv.copy(Family::labels).size() == 6);
  q.kind = EventKind::inference;
  q.id.emplace("prediction_id", "last1");
  CHECK(count(f, q) == 0);
  q.id.emplace("prediction_id", "first2");
  CHECK(count(f, q) == 1);
  CHECK_FALSE((*f.engine->late_labels("m", std::vector<std::string>{"last1"}))[0]);
  CHECK((*f.engine->late_labels("m", std::vector<std::string>{"first2"}))[0]);
  REQUIRE(f.engine->retain(start + 2 * day));  // earlier: nothing to do

  f.kv.fail_drops(true);
  REQUIRE_FALSE(f.engine->retain(start + 5 * day));
  f.kv.fail_drops(false);
  REQUIRE(f.engine->retain(start + 5 * day));
  for (const Family family : {Family::events, Family::event_ids, Family::labels}) CHECK(f.kv.copy(family).empty());
}

TEST_CASE("retention finds the ids of a damaged block too") {
  EngineFixture f;
  f.engine->append({rows_of(EventKind::span, api, {{start, {{"trace_id", Value("ab")}}}})}, {});
  f.engine->append({rows_of(EventKind::span, api, {{start + day, {{"trace_id", Value("ab")}}}})}, {});
  f.seal();
  for (const auto& [key, value] : f.kv.copy(Family::events))
    if (const auto k = storage::events::BlockKey::decode(key); k && k->day == 19'700) f.kv.replace(Family::events, key, "x");
  REQUIRE(f.engine->retain(start + day));
  CHECK(f.kv.copy(Family::event_ids).size() == 1);
  EventQuery q;
  q.kind = EventKind::span;
  CHECK(count(f, q) == 1);
}

TEST_CASE("a damaged block fails its queries by name; others still answer") {
  EngineFixture f;
  f.engine->append({rows_of(EventKind::log, api, {line(start, "a")}), rows_of(EventKind::log, web, {line(start, "b")})}, {});
  f.seal();
  std::string damaged;
  for (const auto& [key, value] : f.kv.copy(Family::events)) {
    const auto decoded = storage::events::BlockKey::decode(key);
    if (!decoded || decoded->stream != api.fingerprint()) continue;
    damaged = key;
    std::string bad = value;
    bad.back() = static_cast<char>(bad.back() ^ 1);
    f.kv.replace(Family::events, key, bad);
  }
  REQUIRE_FALSE(damaged.empty());
  EventQuery q;
  const Status status = f.engine->scan(q, [](const RowBlock&) { return true; });
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Code::corrupt);
  CHECK(status.error().message.find(hex(damaged)) != std::string::npos);
  q.stream = {model::Matcher::equal("app", "web")};
  CHECK(count(f, q) == 1);
  CHECK(f.engine->streams(EventKind::log, {}, {})->size() == 2);
}

TEST_CASE("a hint passes over sealed blocks that cannot hold the words") {
  EngineFixture f;
  f.engine->append({rows_of(EventKind::log, api, {line(start, "disk full")})}, {});
  f.seal();
  f.engine->append({rows_of(EventKind::log, api, {line(start + 1, "all quiet")})}, {});
  f.seal();
  const std::vector<storage::events::ScanHint> hints{{"line", "disk"}};
  std::size_t blocks = 0;
  REQUIRE(f.engine->scan({}, hints, [&](const RowBlock& b) {
    ++blocks;
    CHECK(b.times_ns.front() == start);
    return true;
  }));
  CHECK(blocks == 1);
}

TEST_CASE("blocks keep to their limits of rows, raw bytes and cells") {
  EngineFixture f;
  std::vector<Row> many;
  for (int i = 0; i < 20'000; ++i) many.push_back(line(start + i, "x"));
  std::vector<Row> fat;
  for (int i = 0; i < 10; ++i) fat.push_back(line(start + i, std::string(900'000, 'y')));
  std::vector<Row> sparse;
  for (int i = 0; i < 3000; ++i) sparse.push_back({start + i, {{fmt::format("f{}", i), Value(1.0)}}});
  f.engine->append({rows_of(EventKind::log, api, many), rows_of(EventKind::log, web, fat),
                    rows_of(EventKind::span, api, sparse)},
                   {});
  for (const bool sealed : {false, true}) {
    if (sealed) f.seal();
    std::size_t rows = 0;
    for (const EventKind kind : {EventKind::log, EventKind::span}) {
      EventQuery q;
      q.kind = kind;
      REQUIRE(f.engine->scan(q, [&](const RowBlock& b) {
        REQUIRE(b.times_ns.size() <= 8192);
        REQUIRE(b.times_ns.size() * b.columns.size() <= 1u << 20);
        if (*b.stream == web) REQUIRE(b.times_ns.size() <= 2);
        rows += b.times_ns.size();
        return true;
      }));
    }
    REQUIRE(rows == 23'010);
  }
}

TEST_CASE("streams whose fingerprints collide share a directory record and stay apart") {
  using namespace storage::events;
  const std::vector<DirectoryEntry> in{{api.encode(), {{0, start, start + 5, 2}}}, {web.encode(), {{1, start, start, 1}, {2, -5, 7, 3}}}};
  const std::string bytes = encode_directory(in);
  const auto out = decode_directory(bytes);
  REQUIRE(out);
  REQUIRE(out->size() == 2);
  CHECK((*out)[1].stream == web.encode());
  CHECK((*out)[1].blocks[1].min_time == -5);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string bad = bytes;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    CHECK_FALSE(decode_directory(bad));
    CHECK_FALSE(decode_directory(bytes.substr(0, at)));
  }
}

TEST_CASE("keys decode to what they were and sort by kind, day, stream and time") {
  using namespace storage::events;
  const BlockKey key{EventKind::span, 19'700, 0x0123456789abcdefull, -7, 42, 9};
  const auto back = BlockKey::decode(key.encode());
  REQUIRE(back);
  CHECK(back->encode() == key.encode());
  CHECK(key.encode().size() == 40);
  const auto by_id = block_of_id_key(id_key(IdKind::span, "00ff", key));
  REQUIRE(by_id);
  CHECK(by_id->encode() == key.encode());
  BlockKey later = key;
  later.min_time = 7;
  CHECK(key.encode() < later.encode());
  CHECK_FALSE(BlockKey::decode(DirectoryKey{EventKind::span, 19'700, 1, 2}.encode()));
  CHECK_FALSE(BlockKey::decode("short"));
  CHECK(prefix_end(std::string("a\xff\xff")) == "b");
}

TEST_CASE("the head counts what it holds and gives it back") {
  EngineFixture f;
  CHECK(f.engine->head_bytes() == 0);
  std::vector<Row> rows;
  for (int i = 0; i < 1000; ++i) rows.push_back({start, {{"line", Value(std::string(100, 'a'))}, {"trace_id", Value(fmt::format("{:032x}", i))}}});
  f.engine->append({rows_of(EventKind::log, api, rows)}, {LateLabel{"m", "p", Value("x"), 1}});
  CHECK(f.engine->head_rows() == 1000);
  CHECK(f.engine->head_bytes() > 140'000);
  CHECK(f.engine->head_bytes() < 400'000);
  f.seal();
  CHECK(f.engine->head_bytes() == 0);
  CHECK(f.engine->head_rows() == 0);
}

}  // namespace
}  // namespace plumbline::test
