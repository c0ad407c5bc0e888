#include <cstdlib>
#include <fstream>
#include <unordered_map>

#include "tests/bench/peers/traffic.hpp"

// A recording is text: "# scrape JOB INSTANCE MILLISECONDS" and then the exposition as the target gave it.
namespace plumbline::bench {
namespace {

// name{a="b"} value, as our two recorded exporters write it: no timestamps, no exemplars.
bool parse_line(const std::string& line, LabelList& labels, double& value) {
  const std::size_t name_end = line.find_first_of("{ ");
  if (name_end == std::string::npos) return false;
  labels.emplace_back("__name__", line.substr(0, name_end));
  std::size_t at = name_end;
  if (line[at] == '{') {
    ++at;
    while (at < line.size() && line[at] != '}') {
      const std::size_t equals = line.find("=\"", at);
      if (equals == std::string::npos) return false;
      std::string text;
      std::size_t i = equals + 2;
      for (; i < line.size() && line[i] != '"'; ++i) {
        if (line[i] == '\\' && i + 1 < line.size()) text += line[++i] == 'n' ? '\n' : line[i];
        else text += line[i];
      }
      if (!text.empty()) labels.emplace_back(line.substr(at, equals - at), text);
      at = i + 1;
      while (at < line.size() && (line[at] == ',' || line[at] == ' ')) ++at;
    }
    ++at;
  }
  char* end = nullptr;
  value = std::strtod(line.c_str() + std::min(at, line.size()), &end);
  return end != line.c_str() + std::min(at, line.size());
}

}  // namespace

bool emit_recording(const std::string& path, std::int64_t end_ms, RequestWriter& writer, Ledger& ledger) {
  const std::string head = "# scrape ";
  std::int64_t newest = 0;
  const auto stamp = [&](const std::string& line) { return std::strtoll(line.c_str() + line.rfind(' '), nullptr, 10); };
  std::string line;
  {
    std::ifstream file(path);
    while (std::getline(file, line))
      if (line.starts_with(head)) newest = std::max<std::int64_t>(newest, stamp(line));
  }
  if (newest == 0) return false;
  // By whole quarter minutes less a bit, so that the phases of the scrapes stay as they were recorded.
  const std::int64_t shift = (end_ms - newest) / 15'000 * 15'000;
  struct Known {
    std::size_t index;
    std::string raw;
  };
  std::unordered_map<std::string, std::size_t> targets;
  std::vector<std::unordered_map<std::string, Known>> series;
  std::ifstream file(path);
  std::size_t target = 0;
  std::int64_t time = 0;
  LabelList common;
  while (std::getline(file, line)) {
    if (line.starts_with(head)) {
      const std::size_t job = head.size();
      const std::size_t instance = line.find(' ', job) + 1;
      common = {{"job", line.substr(job, instance - 1 - job)}, {"instance", line.substr(instance, line.rfind(' ') - instance)}};
      target = targets.try_emplace(common[1].second, targets.size()).first->second;
      if (series.size() <= target) series.resize(target + 1);
      time = stamp(line) + shift;
      continue;
    }
    if (line.empty() || line[0] == '#') continue;
    LabelList labels = common;
    double value = 0;
    if (!parse_line(line, labels, value)) return false;
    const std::string key = line.substr(0, line.rfind(' '));
    auto& known = series[target];
    auto found = known.find(key);
    if (found == known.end()) {
      found = known.emplace(key, Known{known.size(), encode_labels(labels)}).first;
      if (found->second.index % 97 == 5) ledger.watch(selector(labels), target, found->second.index);
    }
    writer.add(target, found->second.raw, time, value);
    ledger.wrote(target, found->second.index, time, value);
  }
  return true;
}

}  // namespace plumbline::bench
