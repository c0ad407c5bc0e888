// HELP, TYPE and UNIT lines of one exposition, gathered per metric family.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ingest/text/exposition.hpp"
#include "storage/storage.hpp"

namespace plumbline::ingest {

class ExpositionMetadata {
 public:
  void add(ExpositionLine& line) {
    // The type is the only one with a word for "not said".
    storage::MetricMetadata& m = of(line.metric);
    switch (line.about) {
      case ExpositionLine::About::type:
        m.type = std::move(line.text);
        break;
      case ExpositionLine::About::help:
        m.help = std::move(line.text);
        break;
      case ExpositionLine::About::unit:
        m.unit = std::move(line.text);
        break;
    }
  }
  std::vector<storage::MetricMetadata> take() {
    index_.clear();
    return std::move(metadata_);
  }

 private:
  storage::MetricMetadata& of(const std::string& metric) {
    const auto [place, fresh] = index_.try_emplace(metric, metadata_.size());
    if (fresh) metadata_.push_back({metric, "unknown", "", ""});
    return metadata_[place->second];
  }
  std::vector<storage::MetricMetadata> metadata_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace plumbline::ingest
