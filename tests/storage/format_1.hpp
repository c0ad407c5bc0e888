// A directory of format 1, made of the documents' examples, and what it holds.
#pragma once

#include <fstream>

#include "daemon/base/bytes.hpp"
#include "storage/kv/kv.hpp"
#include "storage/store_keys.hpp"
#include "tests/storage/store_fixture.hpp"

namespace plumbline::test {

// The first ```hex block of a document as bytes.
inline std::string example_bytes(const std::string& document) {
  std::ifstream in(std::string(PLUMBLINE_SOURCE_DIR) + "/storage/format/" + document);
  REQUIRE(in);
  std::string digits;
  std::string line;
  while (std::getline(in, line) && line != "```hex") {
  }
  while (std::getline(in, line) && line != "```")
    for (const char c : line.substr(0, line.find(';')))
      if (c != ' ') digits += c;
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    out += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return out;
}

inline std::string format_1_key(std::uint16_t vshard, std::initializer_list<std::uint32_t> parts) {
  ByteWriter out;
  out.raw(storage::kv::key_prefix(vshard));
  for (const std::uint32_t part : parts) out.be32(part);
  return out.take();
}

// Series 300 has a sealed chunk; series 7 and 8, two log lines and a late label are in journal record 258; 257 is trimmed.
inline void write_format_1(const storage::Options& options) {
  const auto log = make_null_log();
  Registry registry;
  auto kv = storage::kv::Kv::open({.path = options.path, .file_system = options.file_system}, *log, registry);
  REQUIRE(kv);
  storage::kv::Batch batch;
  batch.put(storage::kv::Family::meta, storage::format_key(), "1");
  ByteWriter positions;
  positions.le64(257);
  positions.le64(12);
  batch.put(storage::kv::Family::meta, storage::positions_key(), positions.str());
  for (const std::uint32_t id : {300u, 7u, 8u}) {
    const Labels labels = Labels::of({{"__name__", "m"}, {"id", std::to_string(id)}});
    batch.put(storage::kv::Family::series, format_1_key(static_cast<std::uint16_t>(labels.fingerprint() % 256), {id}), labels.encode());
  }
  ByteWriter chunk;
  chunk.raw(format_1_key(200, {19675, 300}));
  chunk.be_i64(1'700'000'000'000);
  chunk.be64(12);
  batch.put(storage::kv::Family::chunks, chunk.str(), example_bytes("legacy_chunk.md"));
  batch.put(storage::kv::Family::journal, storage::journal_key(258), example_bytes("legacy_journal.md"));
  REQUIRE((*kv)->write(std::move(batch), storage::kv::Sync::yes));
  REQUIRE((*kv)->close());
}

inline void check_format_1(const storage::Store& store) {
  const auto of = [](std::string id) { return Labels::of({{"__name__", "m"}, {"id", std::move(id)}}); };
  CHECK(read_all(store, of("300")) == std::vector<Sample>{{1'700'000'000'000, 1}, {1'700'000'015'000, 3},
                                                          {1'700'000'030'000, 2}, {1'700'000'045'003, model::stale_nan}});
  CHECK(read_all(store, of("7")) == std::vector<Sample>{{1'700'000'000'000, 1.5}, {1'700'000'015'000, -0.0}});
  CHECK(read_all(store, of("8")) == std::vector<Sample>{{1'700'000'000'000, model::stale_nan}});
  int lines = 0;
  REQUIRE(store.scan({}, [&](const storage::RowBlock& block) {
    lines += static_cast<int>(block.times_ns.size());
    return true;
  }));
  CHECK(lines == 2);
  const std::vector<std::string> ids{"p1"};
  const auto labels = store.late_labels("fraud", ids);
  REQUIRE(labels);
  CHECK((*labels)[0].has_value());
}

}  // namespace plumbline::test
