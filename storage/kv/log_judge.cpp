#include "storage/kv/log_judge.hpp"

#include <algorithm>
#include <bit>

#include <rocksdb/file_system.h>

#include "daemon/base/bytes.hpp"
#include "storage/kv/files.hpp"

namespace plumbline::storage::kv {

namespace {

constexpr std::size_t header_bytes = log_header_bytes;
constexpr std::uint8_t type_max = 4;     // whole, first, middle, last; the others are of options that we do not set
constexpr std::size_t sector_bytes = 512;

bool zeros(std::string_view bytes) {
  return std::ranges::all_of(bytes, [](char c) { return c == '\0'; });
}

// The bytes of the whole record at the beginning; 0: there is none.
std::size_t record_at(std::string_view bytes) {
  const auto piece = log_piece(bytes);
  return piece ? piece->bytes() : 0;
}

// The bytes from the offset `at` of the file on do not verify: is that because the kernel had not written some of their sectors?
// `last`: they are the end of the file, and so is that of their last sector.
bool has_hole(std::string_view bytes, std::uint64_t at, bool last) {
  if (bytes.empty()) return false;
  const std::size_t to_sector = sector_bytes - static_cast<std::size_t>(at % sector_bytes);
  if (zeros(bytes.substr(0, std::min(header_bytes, to_sector)))) return true;
  for (std::size_t from = to_sector; from < bytes.size(); from += sector_bytes)
    if ((last || from + sector_bytes <= bytes.size()) && zeros(bytes.substr(from, sector_bytes))) return true;
  return false;
}

using Judged = std::vector<std::pair<std::string, LogJudge>>;

Result<Judged> judge_logs(const std::string& directory, rocksdb::FileSystem& disk) {
  std::vector<std::string> names;
  Judged out;
  const rocksdb::IOStatus listed = disk.GetChildren(directory, {}, &names, nullptr);
  if (listed.IsNotFound() || listed.IsPathNotFound()) return out;
  if (!listed.ok()) return fail(Code::io, directory + ": " + listed.ToString());
  std::ranges::sort(names);
  std::string room(log_block_bytes, '\0');
  for (const std::string& name : names) {
    if (!name.ends_with(".log") && !name.starts_with("MANIFEST-")) continue;
    std::unique_ptr<rocksdb::FSSequentialFile> file;
    rocksdb::IOStatus status = disk.NewSequentialFile(directory + "/" + name, {}, &file, nullptr);
    LogJudge& judge = out.emplace_back(name, LogJudge()).second;
    rocksdb::Slice got;
    do {
      if (status.ok()) status = file->Read(room.size(), {}, &got, room.data(), nullptr);
      if (!status.ok()) return fail(Code::io, directory + "/" + name + ": " + status.ToString());
      judge.block({got.data(), got.size()});
    } while (got.size() == room.size());
  }
  return out;
}

std::string damage_of(const LogJudge& judge) {
  return "the record at offset " + std::to_string(*judge.damage()) + " is damaged, and others follow it";
}

}  // namespace

std::optional<LogPiece> log_piece(std::string_view bytes) {
  if (bytes.size() < header_bytes) return std::nullopt;
  ByteReader in(bytes);
  const std::uint32_t masked = in.le32();
  std::size_t length = in.u8();
  length |= static_cast<std::size_t>(in.u8()) << 8;
  const std::uint8_t type = in.u8();
  if (type == 0 || type > type_max || length > bytes.size() - header_bytes) return std::nullopt;
  const std::uint32_t crc = crc32c(bytes.substr(header_bytes - 1, 1 + length));
  if (masked != std::rotr(crc, 15) + 0xa282ead8u) return std::nullopt;
  return LogPiece{type, bytes.substr(header_bytes, length)};
}

void LogJudge::block(std::string_view bytes) {
  const std::uint64_t first = read_;
  read_ += bytes.size();
  if (followed_ || hole_) return;
  std::size_t at = 0;
  if (!torn_) {
    while (const std::size_t record = record_at(bytes.substr(at))) at += record;
    if (at + header_bytes > log_block_bytes || at == bytes.size()) return;  // the end of a block has no room for a header
    torn_ = first + at;
  }
  std::size_t next = at + (torn_ == first + at ? 1 : 0);
  while (next < bytes.size() && record_at(bytes.substr(next)) == 0) ++next;
  hole_ = has_hole(bytes.substr(at, next - at), first + at, next == bytes.size());
  followed_ = !hole_ && next < bytes.size();
}

Result<std::vector<std::pair<std::string, std::string>>> damaged_logs(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system) {
  PLUMBLINE_TRY(const Judged judged, judge_logs(directory, file_system ? *file_system : *rocksdb::FileSystem::Default()));
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, judge] : judged)
    if (judge.damage()) out.emplace_back(name, damage_of(judge));
  return out;
}

Status check_logs(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system, Log& log) {
  PLUMBLINE_TRY(const Judged judged, judge_logs(directory, *file_system));
  for (const auto& [name, judge] : judged)
    if (judge.damage())
      return fail(Code::corrupt, directory + "/" + name + ": " + damage_of(judge) +
                                     "; nothing was dropped: restore the file from a backup or move the directory away");
  for (const auto& [name, judge] : judged) {
    if (!judge.hole()) continue;
    PLUMBLINE_TRY(const auto files, Files::open(directory, file_system));
    PLUMBLINE_TRY(std::string bytes, files->read(name));
    log.warn("a power cut left holes in the end of a log; it is cut behind the last whole record",
             {{"file", directory + "/" + name}, {"offset", *judge.hole()}, {"bytes", bytes.size() - *judge.hole()}});
    bytes.resize(static_cast<std::size_t>(*judge.hole()));
    PLUMBLINE_CHECK_OK(files->replace(name, bytes));
  }
  return {};
}

}  // namespace plumbline::storage::kv
