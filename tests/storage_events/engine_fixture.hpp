// An engine over a MemoryKv, sealed as the store seals it.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/base/log.hpp"
#include "daemon/base/meters.hpp"
#include "storage/events/event_engine.hpp"
#include "tests/storage_events/memory_kv.hpp"
#include "tests/storage_events/random_values.hpp"

namespace plumbline::test {

inline constexpr std::int64_t second = 1'000'000'000;
inline constexpr std::int64_t day = 86'400 * second;
inline constexpr std::int64_t start = 19'700 * day;  // a midnight in 2023

struct EngineFixture {
  MemoryKv kv;
  std::unique_ptr<Log> log = make_null_log();
  Registry registry;
  std::unique_ptr<storage::events::EventEngine> engine = make();
  std::uint64_t seals = 0;

  std::unique_ptr<storage::events::EventEngine> make() {
    return std::make_unique<storage::events::EventEngine>(kv, *log, registry);
  }
  Status commit() {
    storage::kv::Batch batch;
    PLUMBLINE_CHECK_OK(engine->seal(batch));
    return kv.write(std::move(batch), storage::kv::Sync::no);
  }
  void seal() {
    engine->freeze(++seals);
    REQUIRE(commit());
    engine->thaw();
  }
  void restart() { engine = make(); }  // with an empty head: what was not sealed is the journal's business
};

inline model::StreamRows rows_of(model::EventKind kind, model::Labels stream, std::vector<model::Row> rows) {
  return {kind, std::move(stream), std::move(rows)};
}

// A row as text, fields sorted, nulls left out: null and absent are the same to a reader.
inline std::string row_text(const model::Labels& stream, std::int64_t time, std::vector<std::pair<std::string, model::Value>> fields) {
  std::sort(fields.begin(), fields.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string out = stream.str() + " " + std::to_string(time);
  for (const auto& [name, value] : fields)
    if (value.index() != 0) out += " " + name + "=" + show(value);
  return out;
}

// All rows of a scan, sorted; checks what every scan promises about its blocks.
inline std::vector<std::string> scan_rows(const storage::events::EventEngine& engine, const storage::EventQuery& query) {
  std::vector<std::string> out;
  std::int64_t last = 0;
  bool first = true;
  const Status status = engine.scan(query, [&](const storage::RowBlock& block) {
    REQUIRE_FALSE(block.times_ns.empty());
    REQUIRE(block.kind == query.kind);
    REQUIRE(std::is_sorted(block.times_ns.begin(), block.times_ns.end()));
    if (!query.id) {  // a look-up knows only where blocks begin
      if (!first && query.newest_first) REQUIRE(block.times_ns.back() <= last + day);
      if (!first && !query.newest_first) REQUIRE(block.times_ns.front() >= last - day);
    }
    last = query.newest_first ? block.times_ns.back() : block.times_ns.front();
    first = false;
    for (std::size_t row = 0; row < block.times_ns.size(); ++row) {
      std::vector<std::pair<std::string, model::Value>> fields;
      for (const storage::Column& c : block.columns) {
        REQUIRE(c.values.size() == block.times_ns.size());
        fields.emplace_back(c.name, c.values[row]);
      }
      out.push_back(row_text(*block.stream, block.times_ns[row], std::move(fields)));
    }
    return true;
  });
  INFO((status ? std::string() : status.error().message));
  REQUIRE(status);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace plumbline::test
