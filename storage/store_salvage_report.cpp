// What a salvage says of itself.
#include "storage/offline.hpp"

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

}  // namespace plumbline::storage
