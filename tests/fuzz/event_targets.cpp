// The wide-event engine's bytes in RocksDB: blocks, directories, keys, late labels.
#include "storage/events/block.hpp"
#include "storage/events/directory.hpp"
#include "storage/events/keys.hpp"
#include "storage/events/late_label.hpp"
#include "storage/events/value_bytes.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace plumbline::fuzz {
namespace {

using namespace storage::events;

void block(std::string_view bytes) {
  const auto view = BlockView::open(bytes, Verify::no);
  if (view) (void)view->may_contain_words("line", "error in");
  fuzz_block(bytes);
}

void directory(std::string_view bytes) {
  const auto entries = decode_directory(bytes);
  if (!entries) return;
  const std::string canonical = encode_directory(*entries);
  const auto again = decode_directory(canonical);
  PLUMBLINE_CHECK(again && encode_directory(*again) == canonical, "a directory reads back");
}

void keys(std::string_view bytes) {
  if (const auto key = BlockKey::decode(bytes)) {
    const auto again = BlockKey::decode(key->encode());
    PLUMBLINE_CHECK(again && again->encode() == key->encode(), "a block's key reads back");
  }
  if (const auto key = DirectoryKey::decode(bytes)) {
    const auto again = DirectoryKey::decode(key->encode());
    PLUMBLINE_CHECK(again && again->encode() == key->encode(), "a directory's key reads back");
  }
  (void)block_of_id_key(bytes);
  (void)id_kind_of(bytes);
}

void late_label(std::string_view bytes) {
  const auto label = decode_label(bytes);
  if (label) PLUMBLINE_CHECK(decode_label(encode_label(*label)).has_value(), "a label reads back");
  ByteReader a(bytes), b(bytes), c(bytes);
  model::Value value;
  const bool read = get_value(a, value);
  PLUMBLINE_CHECK(read == skip_value(b) && (!read || a.left() == b.left()), "reading and skipping agree");
  (void)match_value(c, "x");
}

std::vector<std::string> block_seeds() {
  const std::int64_t times[] = {1, 2, 3, 4};
  const storage::Column columns[] = {
      {"line", {std::string("error in a"), std::string("b"), std::string("error"), std::monostate{}}},
      {"status", {std::int64_t{200}, std::int64_t{500}, 1.5, true}},
      {"feature.v", {model::List{1, 2}, model::List{}, std::monostate{}, std::string("x")}}};
  return {build_block(model::EventKind::log, model::Labels::of({{"app", "api"}}), times, columns)};
}
std::vector<std::string> key_seeds() {
  const BlockKey block{model::EventKind::span, 19675, 77, 123, 4, 5};
  return {block.encode(), DirectoryKey{model::EventKind::log, 19675, 77, 4}.encode(), id_key(IdKind::trace, "abcd", block)};
}

}  // namespace

Targets event_targets() {
  return {
      {"event_block", block, block_seeds},
      {"event_directory", directory, [] {
         return std::vector<std::string>{
             encode_directory({{model::Labels::of({{"app", "api"}}).encode(), {{0, 1, 9, 4}, {1, 5, 7, 2}}}})};
       }},
      {"event_keys", keys, key_seeds},
      {"late_label", late_label, [] {
         return std::vector<std::string>{encode_label({std::string("x"), 5}), encode_label({1.5, -5}), encode_label({model::List{1}, 0})};
       }},
  };
}

}  // namespace plumbline::fuzz
