// The journal's files and records, and the store's values in RocksDB.
#include <algorithm>
#include <bit>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "storage/kv/close_mark.hpp"
#include "storage/kv/log_judge.hpp"
#include "storage/journal/frame.hpp"
#include "storage/journal/journal.hpp"
#include "storage/model/wire_labels.hpp"
#include "storage/series/series_keys.hpp"
#include "storage/store_keys.hpp"
#include "storage/store_record.hpp"
#include "storage/store_values.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/support.hpp"

namespace plumbline::fuzz {
namespace {

using namespace storage;

void frame(std::string_view bytes) {
  if (const auto read = journal::read_frame(bytes)) PLUMBLINE_CHECK(read->bytes() <= bytes.size(), "a frame is inside the bytes");
  if (const auto header = journal::decode_header(bytes); header && *header)
    PLUMBLINE_CHECK(journal::encode_header(**header).size() == journal::header_bytes, "a header has its size");
  std::string framed(journal::frame_bytes, '\0');
  framed += bytes;
  journal::seal_frame(framed, 7, 3);
  const auto back = journal::read_frame(framed);
  PLUMBLINE_CHECK(back && back->record == bytes && back->sequence == 7 && back->synced == 3, "a record reads back");
}

std::string framed(std::string_view record, std::uint64_t sequence, std::uint64_t synced) {
  std::string out(journal::frame_bytes, '\0');
  out += record;
  journal::seal_frame(out, sequence, synced);
  return out;
}

using Records = std::vector<std::pair<std::uint64_t, std::string>>;
// nullopt: refused. `more`: appended behind what was read.
std::optional<Records> replay(const std::string& folder, const std::string* more) {
  static const auto log = make_null_log();
  static Registry registry;
  const auto opened = journal::Journal::open({.directory = folder}, *log, registry);
  PLUMBLINE_CHECK(opened.has_value(), "the folder opens");
  Records out;
  const Status status = (*opened)->replay(0, [&](std::uint64_t sequence, std::string_view record) {
    out.emplace_back(sequence, record);
    return Status{};
  });
  if (!status) {
    PLUMBLINE_CHECK(!status.error().message.empty(), "a refusal says why");
    return std::nullopt;
  }
  if (more != nullptr) {
    std::string record(journal::frame_bytes, '\0');
    record += *more;
    PLUMBLINE_CHECK((*opened)->append(record, journal::Sync::no, [](std::uint64_t) {}).has_value(), "the journal goes on");
  }
  return out;
}

// A first file: its header as given or whole, records with good checksums, then any bytes. Perhaps a second one.
void file(std::string_view bytes) {
  static const test::TempDir folder;
  Input in(bytes);
  const std::uint8_t form = in.byte();
  std::string first;
  if ((form & 1) == 0) first = journal::encode_header({1, 0, 0});
  std::uint64_t sequence = 1;
  for (std::size_t i = 0, n = form >> 1 & 3; i < n; ++i) first += framed(in.piece(), sequence++, in.byte());
  const std::uint8_t previous_end = in.byte();
  first += (form & 16) != 0 ? in.piece() : in.rest();
  std::filesystem::remove_all(folder.path("journal"));
  std::filesystem::create_directory(folder.path("journal"));
  std::ofstream(folder.path("journal/0000000000000001.journal"), std::ios::binary) << first;
  if ((form & 16) != 0) {
    const std::string second = journal::encode_header({sequence, (form & 32) != 0 ? first.size() : previous_end, 1});
    std::ofstream(folder.path(fmt::format("journal/{:016x}.journal", sequence)), std::ios::binary) << second << in.rest();
  }
  const std::string more = "more";
  auto before = replay(folder.path("journal"), &more);
  if (!before) return;
  before->emplace_back(before->empty() ? 1 : before->back().first + 1, more);
  const auto after = replay(folder.path("journal"), nullptr);
  PLUMBLINE_CHECK(after && *after == *before, "what was recovered is recovered again, and what was appended to it");
}

// Sections are left out when empty, so that encoding is canonical: what decodes the second time is what was encoded.
void record(std::string_view bytes) {
  static Record used;  // by whatever came before, whole or not
  const bool again_whole = decode_record(bytes, used).has_value();
  const auto decoded = decode_record(bytes);
  PLUMBLINE_CHECK(again_whole == decoded.has_value(), "a used record takes what a fresh one takes");
  if (!decoded) return;
  PLUMBLINE_CHECK(encode_record(used) == encode_record(*decoded), "a used record keeps nothing of what it was");
  const std::string canonical = encode_record(*decoded);
  const auto again = decode_record(canonical);
  PLUMBLINE_CHECK(again && encode_record(*again) == canonical, "a record reads back");
}
void record_v1(std::string_view bytes) {
  (void)decode_record_v1(7, bytes);
  ByteWriter out;
  out.u8(1);
  out.be64(7);
  out.raw(bytes);
  out.le32(crc32c(out.str()));
  (void)decode_record_v1(7, out.str());
}

void values(std::string_view bytes) {
  if (const auto v = decode_positions(bytes)) PLUMBLINE_CHECK(encode_positions(*v) == bytes, "positions read back");
  if (const auto v = kv::decode_close_mark(bytes)) PLUMBLINE_CHECK(kv::decode_close_mark(kv::encode_close_mark(*v)) == v, "a mark reads back");
  if (const auto v = decode_metadata("m", bytes)) PLUMBLINE_CHECK(decode_metadata("m", encode_metadata(*v)).has_value(), "metadata reads back");
  if (const auto v = series::decode_next_id(bytes)) PLUMBLINE_CHECK(series::encode_next_id(*v) == bytes, "the next id reads back");
  if (const auto v = series::decode_bounds(bytes)) PLUMBLINE_CHECK(series::decode_bounds(series::encode_bounds(*v)).has_value(), "bounds read back");
  if (const auto v = series::segment_day("s", bytes)) PLUMBLINE_CHECK(series::segment_day("s", series::segment_value(*v)) == *v, "a day reads back");
  if (const auto v = series::decode_tier("t", bytes)) PLUMBLINE_CHECK(series::decode_tier("t", series::tier_value(*v)) == *v, "a tier's entry reads back");
}

void database_log(std::string_view bytes) {
  kv::LogJudge judge;
  for (std::string_view rest = bytes; !rest.empty(); rest.remove_prefix(std::min(rest.size(), kv::log_block_bytes)))
    judge.block(rest.substr(0, kv::log_block_bytes));
  if (const auto at = judge.damage()) PLUMBLINE_CHECK(*at + 7 < bytes.size(), "a record follows a damaged one");
}
std::string database_log_record(std::string_view payload) {
  const std::string checked = "\1" + std::string(payload);
  ByteWriter out;
  out.le32(std::rotr(crc32c(checked), 15) + 0xa282ead8u);
  out.u8(static_cast<std::uint8_t>(payload.size()));
  out.u8(0);
  out.raw(checked);
  return out.take();
}

Record some_record() {
  Record out;
  out.definitions = {{7, model::wire_form(model::Labels::of({{"__name__", "up"}, {"job", "api"}}))}};
  out.samples = {{1'700'000'000'000, 1.5}, {1'700'000'015'000, -0.0}, {1'700'000'000'000, model::stale_nan}};
  out.runs = {{7, 0, 2}, {8, 2, 1}};
  out.events = {{model::EventKind::log, model::Labels::of({{"app", "api"}}),
                 {{5, {{"line", std::string("x")}, {"n", std::int64_t{-3}}}}, {6, {{"line", model::List{1, 2}}, {"b", true}, {"z", std::monostate{}}}}}}};
  out.labels = {{"m", "p", 1.5, 9}};
  out.metadata = {{"up", "gauge", "help", "1"}};
  out.state = {{"a/b", "c"}, {"a/d", std::nullopt}};
  return out;
}
std::vector<std::string> record_v1_seeds() {
  ByteWriter out;
  out.varint(1);
  out.zigzag(3);
  out.varint(1);
  out.zigzag(1'700'000'000'000);
  out.f64(1.5);
  out.varint(0);
  out.varint(0);
  return {out.str()};
}

}  // namespace

Targets store_targets() {
  return {
      {"journal_frame", frame, [] {
         return std::vector<std::string>{framed("abc", 5, 1), journal::encode_header({1, 2, 3}), "abc"};
       }},
      {"journal_file", file, [] {
         return std::vector<std::string>{"\4" + piece("one") + "\1" + piece("two") + "\2" + framed("three", 3, 0),
                                         "\1" + std::string(1, 0) + journal::encode_header({1, 0, 0}) + framed("one", 1, 0),
                                         "\x32" + piece("one") + "\1\1" + piece("torn") + framed("two", 2, 0)};
       }},
      {"database_log", database_log, [] {
         return std::vector<std::string>{database_log_record("one") + database_log_record("two"), "\7" + database_log_record("three"),
                                         std::string(kv::log_block_bytes - 3, '\3') + "end" + database_log_record("four")};
       }},
      {"record", record, [] { return std::vector<std::string>{encode_record(some_record())}; }},
      {"record_v1", record_v1, record_v1_seeds},
      {"store_values", values, [] {
         return std::vector<std::string>{kv::encode_close_mark({{"CURRENT", {16, 7}}}), encode_positions({7, 3}), encode_metadata({"m", "gauge", "h", "1"}),
                                         series::encode_next_id(9), series::encode_bounds({1, 2}), series::segment_value(19675)};
       }},
  };
}

}  // namespace plumbline::fuzz
