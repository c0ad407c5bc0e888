#include "storage/events/directory.hpp"

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::storage::events {
namespace {

constexpr std::uint8_t version = 1;

}  // namespace

std::string encode_directory(const std::vector<DirectoryEntry>& entries) {
  ByteWriter out;
  out.u8(version);
  out.varint(entries.size());
  for (const DirectoryEntry& e : entries) {
    out.sized(e.stream);
    out.varint(e.blocks.size());
    for (const SealedBlock& b : e.blocks) {
      out.varint(b.number);
      out.zigzag(b.min_time);
      out.varint(static_cast<std::uint64_t>(b.max_time) - static_cast<std::uint64_t>(b.min_time));
      out.varint(b.rows);
    }
  }
  out.le32(crc32c(out.str()));
  return out.take();
}

Result<std::vector<DirectoryEntry>> decode_directory(std::string_view bytes) {
  if (bytes.size() < 4) return fail(Code::corrupt, "truncated directory record");
  const std::string_view checked = bytes.substr(0, bytes.size() - 4);
  ByteReader crc(bytes.substr(checked.size()));
  if (crc.le32() != crc32c(checked)) return fail(Code::corrupt, "the checksum of the directory record does not match");
  ByteReader in(checked);
  if (const std::uint8_t v = in.u8(); v != version)
    return fail(Code::unsupported, "directory record of version " + std::to_string(v));
  std::vector<DirectoryEntry> entries;
  const std::uint64_t count = in.varint();
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    DirectoryEntry& e = entries.emplace_back();
    e.stream = in.sized();
    const std::uint64_t blocks = in.varint();
    for (std::uint64_t b = 0; b < blocks && in.ok(); ++b) {
      SealedBlock& block = e.blocks.emplace_back();
      block.number = static_cast<std::uint32_t>(in.varint());
      block.min_time = in.zigzag();
      block.max_time = static_cast<std::int64_t>(static_cast<std::uint64_t>(block.min_time) + in.varint());
      block.rows = in.varint();
    }
  }
  if (!in.ok() || !in.done()) return fail(Code::corrupt, "damaged directory record");
  return entries;
}

Status read_directories(const kv::Kv& kv, EventKind kind, model::TimeRange range, const DirectoryVisitor& visit) {
  if (range.min > range.max) return {};
  const Day first = day_of(range.min);
  const Day last = day_of(range.max);
  for (std::uint32_t vshard = 0; vshard < kv::vshards; ++vshard) {
    Status status;
    const auto read = [&](std::string_view key, std::string_view value) {
      const auto decoded = DirectoryKey::decode(key);
      if (!decoded) {
        status = fail(Code::corrupt, "directory record " + hex(key) + ": not a key of a directory record");
        return false;
      }
      auto entries = decode_directory(value);
      if (!entries) {
        status = fail(entries.error().in("directory record " + hex(key)));
        return false;
      }
      for (DirectoryEntry& e : *entries)
        if (status = visit(*decoded, std::move(e)); !status) return false;
      return true;
    };
    const auto shard = static_cast<std::uint16_t>(vshard);
    PLUMBLINE_CHECK_OK(kv.scan(kv::Family::events, directory_day_key(shard, kind, first),
                               directory_day_key(shard, kind, last + 1), read));
    PLUMBLINE_CHECK_OK(status);
  }
  return {};
}

}  // namespace plumbline::storage::events
