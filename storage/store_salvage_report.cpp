// What a salvage says of itself.
#include <charconv>
#include <map>

#include "storage/offline.hpp"
#include "storage/store_salvage.hpp"

namespace plumbline::storage {

std::vector<std::string> lines_of(const SalvageReport& report) {
  std::vector<std::string> out;
  const auto add = [&](const char* title, const std::vector<model::Problem>& list) {
    for (const model::Problem& p : list) out.push_back(title + p.str());
  };
  add("found: ", report.found);
  add("lost: ", report.lost);
  add("taken: ", report.taken);
  add("kept: ", report.tiers);
  for (const std::string& file : report.moved) out.push_back("moved: " + file + " to " + report.kept + "/" + file);
  return out;
}

Result<std::vector<std::string>> damaged_folders(const std::string& directory, std::shared_ptr<rocksdb::FileSystem> file_system) {
  PLUMBLINE_TRY(const auto names, kv::FileTree(std::move(file_system)).list(directory));
  std::map<std::uint64_t, std::string> numbered;
  for (const std::string& name : names) {
    if (!name.starts_with(kept_prefix)) continue;
    std::uint64_t number = 0;
    const char* end = name.data() + name.size();
    const auto [at, error] = std::from_chars(name.data() + kept_prefix.size(), end, number);
    if (error == std::errc() && at == end) numbered.emplace(number, name);
  }
  std::vector<std::string> out;
  for (auto& [number, name] : numbered) out.push_back(std::move(name));
  return out;
}

}  // namespace plumbline::storage
