#include "storage/kv/table_salvage.hpp"

#include <algorithm>
#include <vector>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table_properties.h>

#include "daemon/base/bytes.hpp"
#include "storage/kv/slices.hpp"
#include "storage/kv/table_judge.hpp"

namespace plumbline::storage::kv {

namespace {

constexpr std::size_t internal_bytes = 8;  // sequence number and type, behind a user key
constexpr std::uint64_t index_bytes_max = 256u << 20;

// Per block a key that is not smaller than its last one and smaller than the first of the next. Empty: they cannot be had.
// RocksDB has verified the index's checksum when it opened the table.
std::vector<std::string> separators(const std::string& path, rocksdb::FileSystem& disk, const rocksdb::TableProperties& properties) {
  std::uint64_t size = 0;
  if (!disk.GetFileSize(path, {}, &size, nullptr).ok() || size < table_footer_bytes) return {};
  std::unique_ptr<rocksdb::FSRandomAccessFile> file;
  if (!disk.NewRandomAccessFile(path, {}, &file, nullptr).ok()) return {};
  std::string room(table_footer_bytes, '\0');
  rocksdb::Slice got;
  if (!file->Read(size - room.size(), room.size(), {}, &got, room.data(), nullptr).ok()) return {};
  const auto footer = decode_table_footer(view(got));
  if (!footer || footer->index.bytes > index_bytes_max || footer->index.bytes < 4) return {};
  const std::uint64_t bytes = footer->index.bytes;
  room.resize(static_cast<std::size_t>(bytes) + 1);  // with the type of its compression
  if (!file->Read(footer->index.at, room.size(), {}, &got, room.data(), nullptr).ok() || got.size() != room.size()) return {};
  if (got[room.size() - 1] != 0) return {};  // stored compressed
  const std::string_view block = view(got).substr(0, static_cast<std::size_t>(bytes));
  const std::uint64_t restarts = ByteReader(block.substr(block.size() - 4)).le32() & 0x7fff'ffff;
  if (restarts > (block.size() - 4) / 4) return {};
  const std::size_t entries = block.size() - 4 * (static_cast<std::size_t>(restarts) + 1);
  std::vector<std::string> out;
  for (std::uint64_t i = 0; i < restarts; ++i) {
    const std::size_t from = ByteReader(block.substr(entries + 4 * static_cast<std::size_t>(i))).le32();
    if (from >= entries) return {};
    ByteReader in(block.substr(from, entries - from));
    const std::uint64_t shared = in.varint();
    const std::uint64_t length = in.varint();
    if (!properties.index_value_is_delta_encoded) in.varint();
    if (shared != 0 || length > in.left()) return {};
    std::string_view key = in.raw(static_cast<std::size_t>(length));
    if (!properties.index_key_is_user_key) {
      if (key.size() < internal_bytes) return {};
      key.remove_suffix(internal_bytes);
    }
    if (!in.ok() || (!out.empty() && out.back() > key)) return {};
    out.emplace_back(key);
  }
  return out;
}

}  // namespace

Result<TableRest> salvage_table(const std::string& path, const std::shared_ptr<rocksdb::FileSystem>& file_system, const EntryVisit& visit) {
  const std::shared_ptr<rocksdb::FileSystem> disk = with_judged_tables(file_system);
  const auto env = rocksdb::NewCompositeEnv(disk);
  rocksdb::Options options;
  options.env = env.get();
  rocksdb::SstFileReader reader(options);
  if (const rocksdb::Status opened = reader.Open(path); !opened.ok())
    return fail(opened.IsIOError() ? Code::io : Code::corrupt, path + ": " + opened.ToString());
  const auto properties = reader.GetTableProperties();
  if (!properties) return fail(Code::corrupt, path + ": it has no properties");
  TableRest out{properties->column_family_name, properties->num_entries, 0};
  const std::vector<std::string> blocks = separators(path, *disk, *properties);
  const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(rocksdb::ReadOptions()));
  std::string last;  // the key read last
  const auto show = [&]() -> Status {
    ++out.read;
    last = it->key().ToString();
    return visit(out.family, last, view(it->value()));
  };
  std::size_t block = 0;  // the one to be read next; those before are read or damaged
  it->SeekToFirst();
  for (;;) {
    const bool any = it->Valid();
    for (; it->Valid(); it->Next()) PLUMBLINE_CHECK_OK(show());
    if (it->status().ok()) return out;
    if (any) block = std::max(block, static_cast<std::size_t>(std::ranges::lower_bound(blocks, last) - blocks.begin()) + 1);
    if (block >= blocks.size()) break;
    it->Seek(slice(blocks[block] + '\0'));  // behind the damaged one
    ++block;
  }
  if (!blocks.empty()) return out;
  const std::string front = last;
  const bool any = out.read > 0;
  for (it->SeekToLast(); it->Valid() && (!any || view(it->key()) > front); it->Prev()) PLUMBLINE_CHECK_OK(show());
  return out;
}

}  // namespace plumbline::storage::kv
