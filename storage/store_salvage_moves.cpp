#include "storage/kv/files.hpp"
#include "storage/kv/kill_point.hpp"
#include "storage/store_backup.hpp"
#include "storage/store_salvage.hpp"

namespace plumbline::storage {

namespace {
constexpr std::string_view first_line = "plumbline salvage 1\n";
}

std::string encode_moves(const Moves& moves) {
  std::string out(first_line);
  for (const auto& [from, to] : moves) out += from + "\t" + to + "\n";
  return out;
}

Result<Moves> decode_moves(std::string_view text) {
  if (!text.starts_with(first_line)) return fail(Code::corrupt, std::string(salvaging_mark) + ": it does not begin as the list of a salvage");
  text.remove_prefix(first_line.size());
  Moves out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::size_t tab = text.find('\t');
    if (end == std::string_view::npos || tab >= end) return fail(Code::corrupt, std::string(salvaging_mark) + ": a line of it is no move");
    out.emplace_back(text.substr(0, tab), text.substr(tab + 1, end - tab - 1));
    text.remove_prefix(end + 1);
  }
  return out;
}

Status finish_moves(const std::string& directory, const std::shared_ptr<rocksdb::FileSystem>& file_system) {
  const kv::FileTree tree(file_system);
  PLUMBLINE_TRY(const std::string text, kv::Files::read_only(directory, file_system)->read(std::string(salvaging_mark)));
  PLUMBLINE_TRY(const Moves moves, decode_moves(text));
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
