#include "config/loader.hpp"

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "config/alerting_reader.hpp"
#include "config/globs.hpp"
#include "config/overrides.hpp"
#include "config/rules_reader.hpp"
#include "config/scrape_reader.hpp"
#include "config/section.hpp"
#include "config/shown.hpp"
#include "config/yaml_tree.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::config {
namespace {

std::string folder_of(const std::string& file) { return std::filesystem::path(file).parent_path().string(); }

void read_server(Section& from, Server& to, Place& cors_origin_place) {
  from.read("http_listen", to.http_listen);
  from.read("grpc_listen", to.grpc_listen);
  from.read("shutdown_grace", to.shutdown_grace);
  from.read("cors_origin", to.cors_origin, cors_origin_place);
  from.child("limits", [&](Section& limits) {
    limits.read("connections_max", to.limits.connections_max);
    limits.read("connections_per_ip_max", to.limits.connections_per_ip_max);
    limits.read("header_timeout", to.limits.header_timeout);
    limits.read("body_timeout", to.limits.body_timeout);
    limits.read("body_rate_min", to.limits.body_rate_min);
    limits.read("idle_timeout", to.limits.idle_timeout);
    limits.read("body_bytes_max", to.limits.body_bytes_max);
    limits.read("inflated_bytes_max", to.limits.inflated_bytes_max);
    limits.read("ingest_threads", to.limits.ingest_threads);
    limits.read("admin_threads", to.limits.admin_threads);
    limits.read("queue_length", to.limits.queue_length);
  });
}

void read_downsampling(Reading& reading, Section& from, std::string_view name, Millis retention, Millis& keep) {
  from.read(name, keep);
  if (keep == Millis(0) || keep >= retention) return;
  reading.report(from.place_of(name), "'" + std::string(name) + "' is " + format_duration_ms(keep.count()) + ", and 'retention' of the samples themselves is " +
                                          format_duration_ms(retention.count()) + "; write a duration that is not shorter, or 0 for none");
}

void read_process(Reading& reading, Section& root, Config& to) {
  root.child("server", [&](Section& from) { read_server(from, to.server, to.cors_origin_place); });
  root.child("storage", [&](Section& from) {
    from.read("path", to.storage.path);
    from.read("backup_directory", to.storage.backup_directory);
    const std::size_t problems = reading.problems.size();
    from.read("retention", to.storage.retention);
    const bool retention_reads = reading.problems.size() == problems;  // else nothing is compared with it
    from.read("retention_events", to.storage.retention_events);
    from.read("head_bytes_max", to.storage.head_bytes_max);
    from.read("head_age_max", to.storage.head_age_max);
    from.read("series_active_max", to.storage.series_active_max);
    from.read("series_per_metric_max", to.storage.series_per_metric_max);
    from.each("retention_overrides", [&](Section& entry) {
      RetentionOverride& out = to.storage.retention_overrides.emplace_back();
      out.place = entry.place();
      entry.read("match", out.match);
      entry.read("keep", out.keep);
      if (retention_reads && out.keep > to.storage.retention)
        reading.report(entry.place_of("keep"), "'keep' is " + format_duration_ms(out.keep.count()) + ", and 'retention', which ends everything, is " +
                                                   format_duration_ms(to.storage.retention.count()) + "; write a duration that is not longer");
    });
    const Millis least = retention_reads ? to.storage.retention : Millis(0);
    read_downsampling(reading, from, "downsample_5m_retention", least, to.storage.downsample_5m_retention);
    read_downsampling(reading, from, "downsample_1h_retention", least, to.storage.downsample_1h_retention);
    from.read("block_cache_bytes", to.storage.block_cache_bytes);
    from.read("decoded_cache_bytes", to.storage.decoded_cache_bytes);
    from.read("future_max", to.storage.future_max);
  });
  root.child("journal", [&](Section& from) { from.read("sync", to.journal.sync); });
  root.child("query", [&](Section& from) {
    from.read("timeout", to.query.timeout);
    from.read("lookback", to.query.lookback);
    from.read("samples_max", to.query.samples_max);
    from.read("series_max", to.query.series_max);
    from.read("result_cache_bytes", to.query.result_cache_bytes);
    from.read("concurrency", to.query.concurrency);
    from.read("log_slower_than", to.query.log_slower_than);
  });
  root.child("otlp", [&](Section& from) {
    from.read("promote_resource_attributes", to.otlp.promote_resource_attributes);
  });
  root.child("log", [&](Section& from) { from.read("level", to.log.level); });
}

Outcome<Config> read_config(const Node& tree, const std::string& file) {
  Reading reading;
  reading.folder = folder_of(file);
  Config config;
  config.file = file;
  {
    Section root(reading, tree, "");
    read_process(reading, root, config);
    // Before everything that takes a default from it.
    root.child("global", [&](Section& from) {
      from.read("scrape_interval", config.global.scrape_interval);
      from.read("scrape_timeout", config.global.scrape_timeout);
      from.read("evaluation_interval", config.global.evaluation_interval);
      from.read("external_labels", config.global.external_labels);
    });
    root.read("external_url", config.external_url);
    read_scrape_configs(reading, root, config.scrape_configs);
    root.read("rule_files", config.rule_files);
    config.rule_files_place = root.place_of("rule_files");
    for (std::string& glob : config.rule_files) glob = reading.beside(glob);
    read_groups(reading, root, file, config.groups);
    read_slos(reading, root, config.slos);
    read_drift(reading, root, config.drift);
    read_notifications(reading, root, config);
  }
  if (reading.problems.empty()) {
    config.shown = {shown_yaml(tree), shown_options(reading.resolved)};
    return config;
  }
  std::ranges::sort(reading.problems, {}, [](const Problem& p) {
    return std::tuple<int, int, const std::string&>(p.place.line, p.place.column, p.message);
  });
  return std::unexpected(std::move(reading.problems));
}

Outcome<Config> read_tree(Outcome<Node> tree, const std::string& file, const Overrides& overrides) {
  if (!tree) return std::unexpected(std::move(tree.error()));
  if (Problems problems = apply_overrides(*tree, overrides); !problems.empty())
    return std::unexpected(std::move(problems));
  return read_config(*tree, file);
}

std::unexpected<Problems> unreadable(const Error& error) {
  return std::unexpected<Problems>(Problems{{Place{}, error.message}});
}

}  // namespace

std::string Problem::str() const {
  const std::string at = place.str();
  return at.empty() ? message : at + ": " + message;
}

std::string text_of(const Problems& problems) {
  std::string out;
  for (const Problem& problem : problems) out += problem.str() + "\n";
  if (problems.size() >= problems_max) out += "there may be more; these are the first " + std::to_string(problems_max) + "\n";
  return out;
}

Problems warnings_of(const Config& config) {
  Problems out;
  const auto compare = [&](const Place& place, const std::string& whose, Millis window, std::string_view option, Millis retention) {
    if (window <= retention) return;
    out.push_back({place, whose + " looks back " + format_duration_ms(window.count()) + ", and '" + std::string(option) + "' is " +
                              format_duration_ms(retention.count()) + ": it sees no more than that; shorten the window, or lengthen the retention"});
  };
  for (const Slo& slo : config.slos) {
    compare(slo.place, "the SLO '" + slo.name + "'", slo.window, "storage.retention", config.storage.retention);
    for (const SloWindow& w : slo.windows)
      compare(w.place, "this window of the SLO '" + slo.name + "'", w.long_window, "storage.retention", config.storage.retention);
  }
  for (const Drift& drift : config.drift)
    compare(drift.place, "the drift rule '" + drift.name + "'", drift.window, "storage.retention_events", config.storage.retention_events);
  return out;
}

Outcome<Config> load_file(const std::string& path, const Overrides& overrides) {
  const Result<std::string> text = read_file(path);
  if (!text) return unreadable(text.error());
  return load_text(*text, path, overrides);
}

Outcome<Config> load_text(std::string_view yaml, const std::string& file, const Overrides& overrides) {
  return read_tree(parse_yaml(yaml, file), file, overrides);
}

Outcome<Config> load_defaults(const Overrides& overrides) { return read_tree(Node{}, "", overrides); }

Outcome<std::vector<RuleGroup>> load_rule_file(const std::string& path, Millis default_interval) {
  const Result<std::string> text = read_file(path);
  if (!text) return unreadable(text.error());
  return load_rule_text(*text, path, default_interval);
}

Outcome<std::vector<RuleGroup>> load_rule_text(std::string_view yaml, const std::string& file,
                                               Millis default_interval) {
  Outcome<Node> tree = parse_yaml(yaml, file);
  if (!tree) return std::unexpected(std::move(tree.error()));
  Reading reading;
  Node interval;
  interval.kind = Node::Kind::scalar;
  interval.text = format_duration_ms(default_interval.count());
  reading.resolved["global.evaluation_interval"] = std::move(interval);
  std::vector<RuleGroup> groups;
  {
    Section root(reading, *tree, "", {"groups"});
    read_groups(reading, root, file, groups);
  }
  if (reading.problems.empty()) return groups;
  return std::unexpected(std::move(reading.problems));
}

Outcome<std::vector<RuleGroup>> load_rule_files(const Config& config) {
  std::vector<RuleGroup> groups;
  Problems problems;
  std::vector<std::string> paths;
  for (const std::string& pattern : config.rule_files) {
    std::vector<std::string> found = expand_glob(pattern);
    if (found.empty() && pattern.find_first_of("*?[{") == std::string::npos)
      problems.push_back({config.rule_files_place, "the rule file " + pattern + " does not exist"});
    paths.insert(paths.end(), found.begin(), found.end());
  }
  std::ranges::sort(paths);
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  for (const std::string& path : paths) {
    Outcome<std::vector<RuleGroup>> read = load_rule_file(path, config.global.evaluation_interval);
    if (read) {
      std::ranges::move(*read, std::back_inserter(groups));
    } else {
      std::ranges::move(read.error(), std::back_inserter(problems));
    }
  }
  if (problems.size() > problems_max) problems.resize(problems_max);
  if (problems.empty()) return groups;
  return std::unexpected(std::move(problems));
}

Result<std::vector<TargetGroup>> read_target_file(const std::string& path) {
  PLUMBLINE_TRY(const std::string text, read_file(path));
  const Outcome<Node> tree = parse_yaml(text, path);
  const auto refuse = [](const Problems& problems) {
    std::string all;
    for (const Problem& problem : problems) all += (all.empty() ? "" : "; ") + problem.str();
    return fail(Code::invalid_input, std::move(all));
  };
  if (!tree) return refuse(tree.error());
  std::vector<TargetGroup> groups;
  if (tree->kind == Node::Kind::null) return groups;
  if (tree->kind != Node::Kind::sequence)
    return fail(Code::invalid_input, tree->place.str() + ": write a list of mappings of targets and labels");
  Reading reading;
  for (const Node& item : tree->items) {
    Section from(reading, item, "scrape_configs[].static_configs[]");
    groups.push_back(read_target_group(reading, from));
  }
  if (!reading.problems.empty()) return refuse(reading.problems);
  return groups;
}

}  // namespace plumbline::config
