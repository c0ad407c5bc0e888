#include "storage/kv/table_judge.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <rocksdb/file_system.h>

#include "daemon/base/bytes.hpp"
#include "storage/kv/slices.hpp"

namespace plumbline::storage::kv {

namespace {

using rocksdb::IOStatus;

constexpr std::size_t handles_bytes = 40;
constexpr std::uint64_t table_magic = 0x88e241b785f4cff7;
constexpr std::uint32_t last_byte_prime = 0x6b9083d9;     // RocksDB's: the type of compression in a checksum
constexpr std::uint64_t meta_block_bytes_max = 1u << 20;  // properties have one or two KiB
constexpr std::string_view properties_name = "rocksdb.properties";
// Written into the file after its checksum, when RocksDB takes a file in; the checksum is that of 0.
constexpr std::string_view sequence_name = "rocksdb.external_sst_file.global_seqno";

BlockHandle handle_of(ByteReader& in) {
  BlockHandle out;
  out.at = in.varint();
  out.bytes = in.varint();
  return out;
}

std::string_view without_trailer(std::string_view block) { return block.substr(0, block.size() - block_trailer_bytes); }

// But for the sequence number of a table that was taken in, which no checksum covers.
bool properties_verify(std::string block) {
  if (block_verifies(block)) return true;
  std::string_view sequence;
  visit_block(without_trailer(block), [&](std::string_view key, std::string_view value) {
    if (key == sequence_name) sequence = value;
    return sequence.empty();
  });
  if (sequence.empty()) return false;
  std::fill_n(block.begin() + (sequence.data() - block.data()), sequence.size(), '\0');
  return block_verifies(block);
}

// A table that is being opened.
struct Opening {
  const std::string& path;
  const rocksdb::FSRandomAccessFile& file;
  std::uint64_t size = 0;

  IOStatus damaged(std::string_view what) const { return IOStatus::Corruption(std::string(what) + " in " + path); }

  IOStatus read(std::uint64_t at, std::uint64_t bytes, std::string& out) const {
    out.resize(static_cast<std::size_t>(bytes));
    rocksdb::Slice got;
    const IOStatus status = file.Read(at, out.size(), {}, &got, out.data(), nullptr);
    if (!status.ok()) return status;
    if (got.size() < bytes) return damaged("the end is missing");
    if (got.data() != out.data()) out.assign(got.data(), got.size());
    return status;
  }

  // With its trailer, not verified.
  IOStatus block(const BlockHandle& handle, std::string_view what, std::string& out) const {
    const std::uint64_t room = size - table_footer_bytes;
    if (handle.bytes > meta_block_bytes_max || handle.at > room || handle.bytes + block_trailer_bytes > room - handle.at)
      return damaged(fmt::format("{} would be at {}, {} bytes long", what, handle.at, handle.bytes));
    return read(handle.at, handle.bytes + block_trailer_bytes, out);
  }

  IOStatus judge() const {
    if (size < table_footer_bytes) return damaged("too short for a table");
    std::string bytes;
    if (IOStatus status = read(size - table_footer_bytes, table_footer_bytes, bytes); !status.ok()) return status;
    const auto footer = decode_table_footer(bytes);
    if (!footer) return damaged("no end of a table");
    if (footer->checksums != table_checksums || footer->format != table_format)
      return damaged(fmt::format("format {} with checksums {} at the end (Plumbline writes {} with {})", footer->format, footer->checksums,
                                 table_format, table_checksums));
    if (IOStatus status = block(footer->metaindex, "the metaindex", bytes); !status.ok()) return status;
    if (!block_verifies(bytes)) return damaged("checksum mismatch of the metaindex");
    std::optional<BlockHandle> properties;
    const bool inside = footer->index.at < size && footer->index.bytes < size;
    const std::uint64_t index_end = footer->index.at + footer->index.bytes + block_trailer_bytes;
    bool followed = false;  // by one of the blocks that come behind the index, at the latest that of properties
    visit_block(without_trailer(bytes), [&](std::string_view name, std::string_view value) {
      ByteReader in(value);
      const BlockHandle handle = handle_of(in);
      if (name == properties_name) properties = handle;
      followed |= handle.at == index_end;
      return true;
    });
    if (!properties) return damaged("no properties in the metaindex");
    if (!inside || !followed) return damaged(fmt::format("the index would be at {}, {} bytes long", footer->index.at, footer->index.bytes));
    if (IOStatus status = block(*properties, "the properties", bytes); !status.ok()) return status;
    return properties_verify(std::move(bytes)) ? IOStatus::OK() : damaged("checksum mismatch of the properties");
  }
};

class JudgedTables final : public rocksdb::FileSystemWrapper {
 public:
  using rocksdb::FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "JudgedTables"; }
  IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& how, std::unique_ptr<rocksdb::FSRandomAccessFile>* out,
                               rocksdb::IODebugContext* context) override {
    IOStatus status = target()->NewRandomAccessFile(path, how, out, context);
    if (!status.ok() || !path.ends_with(".sst")) return status;
    std::uint64_t size = 0;
    status = target()->GetFileSize(path, {}, &size, context);
    if (status.ok()) status = Opening{path, **out, size}.judge();
    if (!status.ok()) out->reset();
    return status;
  }
};

}  // namespace

std::optional<TableFooter> decode_table_footer(std::string_view end) {
  if (end.size() < table_footer_bytes) return std::nullopt;
  end.remove_prefix(end.size() - table_footer_bytes);
  TableFooter out;
  out.checksums = static_cast<std::uint8_t>(end[0]);
  ByteReader tail(end.substr(1 + handles_bytes));
  out.format = tail.le32();
  if (tail.le64() != table_magic) return std::nullopt;
  ByteReader handles(end.substr(1, handles_bytes));
  out.metaindex = handle_of(handles);
  out.index = handle_of(handles);
  if (!handles.ok()) out.metaindex = out.index = {std::numeric_limits<std::uint64_t>::max(), std::numeric_limits<std::uint64_t>::max()};
  return out;
}

// libFuzzer reads off an instrumented comparison what it wants, and writes that into its input. A forged checksum is no damage: what it
// covers then is what RocksDB rightly believes.
#ifdef __clang__
[[clang::noinline, clang::no_sanitize("coverage")]]
#endif
bool block_verifies(std::string_view block) {
  if (block.size() < block_trailer_bytes) return false;
  const std::string_view content = without_trailer(block);
  ByteReader trailer(block.substr(content.size()));
  const std::uint32_t type = trailer.u8();
  return trailer.le32() == (static_cast<std::uint32_t>(hash64(content)) ^ type * last_byte_prime);
}

void visit_block(std::string_view block, const std::function<bool(std::string_view key, std::string_view value)>& visit) {
  if (block.size() < 4) return;
  const std::uint64_t restarts = ByteReader(block.substr(block.size() - 4)).le32();
  if (restarts > block.size() / 4 - 1) return;
  ByteReader in(block.substr(0, block.size() - 4 * (static_cast<std::size_t>(restarts) + 1)));
  std::string key;
  while (!in.done()) {
    const std::uint64_t shared = in.varint();
    const std::uint64_t fresh = in.varint();
    const std::uint64_t bytes = in.varint();
    if (shared > key.size() || fresh > in.left()) return;
    key.resize(static_cast<std::size_t>(shared));
    key += in.raw(static_cast<std::size_t>(fresh));
    if (bytes > in.left()) return;
    const std::string_view value = in.raw(static_cast<std::size_t>(bytes));
    if (!in.ok() || !visit(key, value)) return;
  }
}

std::shared_ptr<rocksdb::FileSystem> with_judged_tables(const std::shared_ptr<rocksdb::FileSystem>& disk) {
  return std::make_shared<JudgedTables>(disk ? disk : rocksdb::FileSystem::Default());
}

}  // namespace plumbline::storage::kv
