#include "storage/kv/close_mark.hpp"

#include <rocksdb/file_system.h>

#include <algorithm>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"
#include "storage/kv/durable_directory.hpp"
#include "storage/kv/files.hpp"

namespace plumbline::storage::kv {

namespace {

constexpr std::string_view mark = "CLOSED";
constexpr std::uint8_t version = 1;

bool counts(std::string_view name) {
  return name.ends_with(".sst") || name.ends_with(".log") || name.starts_with("MANIFEST-") || name == "CURRENT";
}

Result<CloseMark> look(const std::string& directory, rocksdb::FileSystem& file_system, const Files& files) {
  PLUMBLINE_TRY(const auto names, files.list());
  CloseMark out;
  for (const std::string& name : names) {
    if (!counts(name)) continue;
    MarkedFile& seen = out[name];
    if (name.ends_with(".sst")) {
      const rocksdb::IOStatus status = file_system.GetFileSize(directory + "/" + name, {}, &seen.bytes, nullptr);
      if (!status.ok()) return fail(Code::io, directory + "/" + name + ": " + status.ToString());
      continue;
    }
    PLUMBLINE_TRY(const std::string content, files.read(name));
    seen = {content.size(), crc32c(content)};
  }
  return out;
}

// Of "MANIFEST-000005"; 0 for anything else.
std::uint64_t manifest_number(std::string_view name) {
  constexpr std::string_view prefix = "MANIFEST-";
  if (!name.starts_with(prefix)) return 0;
  const auto number = parse_int(name.substr(prefix.size()));
  return number && *number > 0 ? static_cast<std::uint64_t>(*number) : 0;
}

// Each opening begins a manifest with a higher number, which neither a crash nor damage does: then somebody who knows nothing of
// the mark (an older Plumbline, a tool) has had the directory since, and the mark speaks of files that are rightly gone.
Result<bool> opened_since(const CloseMark& then, const CloseMark& now, const Files& files) {
  if (!now.contains("CURRENT")) return false;
  PLUMBLINE_TRY(const std::string current, files.read("CURRENT"));
  const std::string name(trim(current));
  std::uint64_t last = 0;
  for (const auto& [file, seen] : then) last = std::max(last, manifest_number(file));
  return now.contains(name) && manifest_number(name) > last;
}

}  // namespace

std::string encode_close_mark(const CloseMark& all) {
  ByteWriter out;
  out.u8(version);
  out.varint(all.size());
  for (const auto& [name, seen] : all) {
    out.sized(name);
    out.varint(seen.bytes);
    out.le32(seen.checksum);
  }
  out.le32(crc32c(out.str()));
  return out.take();
}

std::optional<CloseMark> decode_close_mark(std::string_view bytes) {
  if (bytes.size() < 4) return std::nullopt;
  ByteReader in(bytes);
  CloseMark out;
  if (in.u8() != version) return std::nullopt;
  for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
    std::string name(in.sized());
    MarkedFile& seen = out[std::move(name)];
    seen.bytes = in.varint();
    seen.checksum = in.le32();
  }
  const std::uint32_t checksum = in.le32();
  if (!in.ok() || !in.done() || checksum != crc32c(bytes.substr(0, bytes.size() - 4))) return std::nullopt;
  return out;
}

Status write_close_mark(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system) {
  const auto disk = file_system ? file_system : rocksdb::FileSystem::Default();
  PLUMBLINE_TRY(const auto files, Files::open(directory, disk));
  PLUMBLINE_TRY(const auto all, look(directory, *disk, *files));
  return files->replace(std::string(mark), encode_close_mark(all));
}

Result<std::vector<std::pair<std::string, std::string>>> compare_close_mark(const std::string& directory,
                                                                            const std::shared_ptr<rocksdb::FileSystem>& file_system, Log& log) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto disk = file_system ? file_system : rocksdb::FileSystem::Default();
  const std::string path = directory + "/" + std::string(mark);
  const rocksdb::IOStatus there = disk->FileExists(path, {}, nullptr);
  if (there.IsNotFound() || there.IsPathNotFound()) return out;
  const auto files = Files::read_only(directory, disk);
  PLUMBLINE_TRY(const std::string bytes, files->read(std::string(mark)));
  const auto then = decode_close_mark(bytes);
  if (!then) {
    log.error("the mark of the last close is damaged: whether the files are as they were is not known", {{"file", path}});
    return out;
  }
  PLUMBLINE_TRY(const auto now, look(directory, *disk, *files));
  PLUMBLINE_TRY(const bool stale, opened_since(*then, now, *files));
  if (stale) {
    log.warn("the database was opened since it was closed by a program that leaves no mark; the mark is dropped", {{"file", path}});
    return out;
  }
  for (const auto& [name, seen] : *then) {
    const auto found = now.find(name);
    if (found != now.end() && found->second == seen) continue;
    out.emplace_back(name, "it is not what it was when the directory was closed (" +
                               (found == now.end() ? std::string("it is missing")
                                                   : std::to_string(found->second.bytes) + " bytes now, " +
                                                         std::to_string(seen.bytes) + " then") + ")");
  }
  return out;
}

Status check_close_mark(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system, Log& log) {
  const std::string path = directory + "/" + std::string(mark);
  PLUMBLINE_TRY(const auto differences, compare_close_mark(directory, file_system, log));
  if (!differences.empty())
    return fail(Code::corrupt, directory + "/" + differences.front().first + ": " + differences.front().second +
                                   "; nothing was dropped: restore the file from a backup or move the directory away");
  const rocksdb::IOStatus there = file_system->FileExists(path, {}, nullptr);
  if (there.IsNotFound() || there.IsPathNotFound()) return {};
  PLUMBLINE_TRY(const auto files, Files::open(directory, file_system));
  PLUMBLINE_CHECK_OK(files->remove(std::string(mark)));
  const rocksdb::IOStatus status = sync_directory(*file_system, directory);
  if (!status.ok()) return fail(Code::io, path + ": " + status.ToString());
  return {};
}

}  // namespace plumbline::storage::kv
