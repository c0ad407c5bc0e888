// The end of a salvage: the list of moves, and the moves.
#include <algorithm>

#include <fmt/format.h>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"
#include "storage/kv/files.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/kv/rescue.hpp"
#include "storage/store_backup.hpp"
#include "storage/store_paths.hpp"
#include "storage/store_salvager.hpp"

namespace plumbline::storage {

namespace {

constexpr std::string_view first_line = "plumbline salvage 1\n";
constexpr std::string_view last_line = "crc32c ";  // and eight digits: of all before it

bool below(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() + 1 && path.starts_with(folder) && path[folder.size()] == '/';
}

}  // namespace

Status check_move(const std::string& from, const std::string& to) {
  for (const std::string* path : {&from, &to}) {
    if (std::ranges::any_of(*path, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
      return fail(Code::corrupt, "the name of a file of the directory has control characters, rename it; in hexadecimal digits it is " + hex(*path));
    if (!stays_below(*path)) return fail(Code::corrupt, "a salvage moves no file " + *path + ": it is not below the directory");
  }
  const bool fresh = below(from, salvage_staging);
  if (fresh ? below(to, salvage_staging) : !to.starts_with(kept_prefix))
    return fail(Code::corrupt, "a salvage does not move " + from + " to " + to);
  return {};
}

std::string encode_moves(const Moves& moves) {
  std::string out(first_line);
  for (const auto& [from, to] : moves) out += from + "\t" + to + "\n";
  return out + fmt::format("{}{:08x}\n", last_line, crc32c(out));
}

Result<Moves> decode_moves(std::string_view text) {
  const auto refuse = [](std::string_view why) {
    return fail(Code::corrupt, std::string(salvaging_mark) + ": " + std::string(why) + "; nothing was moved");
  };
  if (!text.starts_with(first_line)) return refuse("it does not begin as the list of a salvage");
  const std::size_t end_size = last_line.size() + 9;
  if (text.size() < first_line.size() + end_size) return refuse("it ends early");
  const std::string_view lines = text.substr(0, text.size() - end_size);
  if (text.substr(lines.size()) != fmt::format("{}{:08x}\n", last_line, crc32c(lines))) return refuse("its checksum is not that of its lines");
  text = lines.substr(first_line.size());
  Moves out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::size_t tab = text.find('\t');
    if (end == std::string_view::npos || tab >= end) return refuse("a line of it is no move");
    out.emplace_back(text.substr(0, tab), text.substr(tab + 1, end - tab - 1));
    if (const Status good = check_move(out.back().first, out.back().second); !good) return refuse(good.error().message);
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string kept_of(const Moves& moves) {
  for (const auto& [from, to] : moves)
    if (to.starts_with(kept_prefix)) return to.substr(0, to.find('/'));
  return "";
}

Result<Moves> read_moves(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system) {
  PLUMBLINE_TRY(const std::string text, kv::Files::read_only(directory, file_system)->read(std::string(salvaging_mark)));
  return decode_moves(text);
}

Status probe_moves(const std::string& directory, const std::string& part, const std::shared_ptr<rocksdb::FileSystem>& file_system) {
  const std::string from = directory + "/" + std::string(salvage_staging);
  const std::string to = directory + "/" + part + "/salvage-probe";
  PLUMBLINE_TRY(const auto files, kv::Files::open(from, file_system));
  PLUMBLINE_CHECK_OK(files->replace("probe", ""));
  const kv::FileTree tree(file_system);
  if (const Status moved = tree.rename(from + "/probe", to); !moved)
    return fail(moved.error().code, "no file can be moved from " + from + " into " + directory + "/" + part +
                                        ", which may be another disk: copy the data directory to one disk and salvage the copy (" +
                                        moved.error().message + ")");
  return tree.remove_file(to);
}

// The file that makes it so: from here on a crash is gone on from.
Status Salvager::plan() {
  PLUMBLINE_TRY(const auto names, tree_.list(directory_));
  int number = 1;
  while (std::ranges::find(names, std::string(kept_prefix) + std::to_string(number)) != names.end()) ++number;
  out_.kept = std::string(kept_prefix) + std::to_string(number);
  if (changed_) {
    PLUMBLINE_TRY(const auto files, kv::database_files(directory_, file_system_));
    moved_.insert(moved_.end(), files.begin(), files.end());
  }
  out_.moved = moved_;
  PLUMBLINE_TRY(const Moves all, moves());
  PLUMBLINE_TRY(const auto plain, kv::Files::open(staging(), file_system_));
  std::string report;
  for (const std::string& line : lines_of(out_)) report += line + "\n";
  PLUMBLINE_CHECK_OK(plain->replace("REPORT", report));
  std::set<std::string> parts;
  for (const auto& [from, to] : all) {
    PLUMBLINE_CHECK_OK(check_move(from, to));
    for (const std::string* place : {&from, &to})
      if (place->starts_with("journal/") || place->starts_with("segments/")) parts.insert(place->substr(0, place->find('/')));
  }
  for (const std::string& part : parts) PLUMBLINE_CHECK_OK(probe_moves(directory_, part, file_system_));
  PLUMBLINE_TRY(const auto own, kv::Files::open(directory_, file_system_));
  return own->replace(std::string(salvaging_mark), encode_moves(all));
}

// The damaged files, then what stands below salvage-new, which is durable then.
Result<Moves> Salvager::moves() {
  Moves out;
  for (const std::string& file : moved_) out.emplace_back(file, out_.kept + "/" + file);
  const std::string from(salvage_staging);
  for (const char* part : {"journal", "segments"}) {
    PLUMBLINE_TRY(const auto files, tree_.list(staging(part)));
    for (const std::string& file : files) out.emplace_back(from + "/" + part + "/" + file, std::string(part) + "/" + file);
    if (!files.empty()) PLUMBLINE_CHECK_OK(tree_.sync(staging(part)));
  }
  if (changed_) {
    PLUMBLINE_TRY(const auto files, kv::database_files(staging("database"), file_system_));
    for (const std::string& file : files) out.emplace_back(from + "/database/" + file, file);
    PLUMBLINE_CHECK_OK(tree_.sync(staging("database")));
  }
  out.emplace_back(from + "/REPORT", out_.kept + "/REPORT");
  return out;
}

Status finish_moves(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system) {
  const kv::FileTree tree(file_system);
  PLUMBLINE_TRY(const Moves moves, read_moves(directory, file_system));
  for (const auto& [below_from, below_to] : moves) {
    const std::string from = directory + "/" + below_from;
    const std::string to = directory + "/" + below_to;
    // Done already: a damaged file is in its folder, and what has its old name may be the new one.
    PLUMBLINE_TRY(const bool done, tree.exists(to));
    PLUMBLINE_TRY(const bool there, tree.exists(from));
    if (done || !there) continue;
    PLUMBLINE_CHECK_OK(tree.make(to.substr(0, to.rfind('/'))));
    PLUMBLINE_CHECK_OK(tree.rename(from, to));
    kv::kill_point("salvage.moved");
  }
  PLUMBLINE_CHECK_OK(tree.remove(directory + "/" + std::string(salvage_staging)));
  kv::kill_point("salvage.cleared");
  return tree.remove_file(directory + "/" + std::string(salvaging_mark));
}

}  // namespace plumbline::storage
