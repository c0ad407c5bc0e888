#include "ingest/scrape/discovery.hpp"

#include <glob.h>

#include <set>

namespace plumbline::ingest {
namespace {

bool same_groups(const std::vector<TargetGroup>& a, const std::vector<TargetGroup>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].targets != b[i].targets || a[i].labels != b[i].labels) return false;
  return true;
}

}  // namespace

std::vector<std::string> glob_files(const std::string& pattern) {
  std::vector<std::string> paths;
  glob_t found{};
  // Not there is the normal state of a file that a deployment writes later; an unreadable directory reads as
  // empty.
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
    for (std::size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  return paths;
}

bool JobDiscovery::refresh_due(std::int64_t now_ms) const {
  if (rules_->job.file_sd_files.empty()) return false;
  const std::int64_t every = rules_->job.file_sd_refresh.count();
  // A clock that was set back makes the last refresh lie in the future.
  return !ever_refreshed_ || now_ms - refreshed_ms_ >= every || now_ms < refreshed_ms_;
}

bool JobDiscovery::refresh(std::int64_t now_ms, const TargetFileReader& read, Log& log, Counter& failures) {
  refreshed_ms_ = now_ms;
  ever_refreshed_ = true;
  bool changed = false;
  std::set<std::string> present;
  for (const std::string& pattern : rules_->job.file_sd_files)
    for (const std::string& path : glob_files(pattern)) {
      if (!present.insert(path).second) continue;
      auto groups = read(path);
      if (!groups) {
        failures.add();
        log.warn("target file not readable, its last targets stay",
                 {{"job", rules_->job.job_name}, {"file", path}, {"error", groups.error().message}});
        continue;
      }
      // Every target tells where it comes from; relabelling may use it.
      for (TargetGroup& group : *groups) group.labels.emplace_back("__meta_filepath", path);
      const auto known = files_.find(path);
      if (known != files_.end() && same_groups(known->second, *groups)) continue;
      files_[path] = std::move(*groups);
      changed = true;
    }
  changed =
      std::erase_if(files_, [&](const auto& file) { return !present.contains(file.first); }) != 0 || changed;
  return changed;
}

DiscoveredTargets JobDiscovery::targets(Log& log) const {
  DiscoveredTargets out;
  std::set<std::string> keys;
  bool full = false;
  const auto add = [&](const TargetGroup& group) {
    for (const std::string& address : group.targets) {
      if (out.targets.size() >= targets_of_job_max) {
        full = true;
        return;
      }
      auto target = make_target(rules_, address, group.labels);
      if (!target) {
        log.warn("target refused",
                 {{"job", rules_->job.job_name}, {"target", address}, {"error", target.error().message}});
      } else if (!*target) {
        ++out.dropped_count;
        if (out.dropped.size() < dropped_max) {
          TargetStatus dropped;
          dropped.job = rules_->job.job_name;
          dropped.discovered = discovered_labels(rules_->job, address, group.labels);
          out.dropped.push_back(std::move(dropped));
        }
      } else if (keys.insert((*target)->key).second) {
        out.targets.push_back(std::move(**target));
      }
    }
  };
  for (const TargetGroup& group : rules_->job.static_configs) add(group);
  for (const auto& [path, groups] : files_)
    for (const TargetGroup& group : groups) add(group);
  if (full)
    log.warn("too many targets, the rest is not scraped",
             {{"job", rules_->job.job_name}, {"limit", targets_of_job_max}});
  return out;
}

}  // namespace plumbline::ingest
