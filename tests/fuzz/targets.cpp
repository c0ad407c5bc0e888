#include "tests/fuzz/fuzz.hpp"

namespace plumbline::fuzz {

const Targets& targets() {
  static const Targets all = [] {
    Targets out;
    for (const auto part : {http_targets, ingest_targets, otlp_targets, query_targets, config_targets, alerting_targets,
                            codec_targets, event_targets, series_targets, store_targets})
      for (const Target& target : part()) out.push_back(target);
    return out;
  }();
  return all;
}

const Target* find(std::string_view name) {
  for (const Target& target : targets())
    if (target.name == name) return &target;
  return nullptr;
}

}  // namespace plumbline::fuzz
