#include "config/scrape_reader.hpp"

#include <map>

#include "config/values.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::config {
namespace {

Relabel read_relabel(Reading& reading, Section& from) {
  Relabel rule;
  rule.place = from.place();
  from.read("source_labels", rule.source_labels);
  from.read("separator", rule.separator);
  from.read("regex", rule.regex);
  from.read("modulus", rule.modulus);
  from.read("target_label", rule.target_label);
  from.read("replacement", rule.replacement);
  from.read("action", rule.action);

  // What Prometheus refuses as well.
  const std::string& action = rule.action;
  const bool needs_target = action == "replace" || action == "hashmod" || action == "lowercase" ||
                            action == "uppercase" || action == "keepequal" || action == "dropequal";
  if (needs_target && rule.target_label.empty())
    reading.report(rule.place, "the relabel action '" + action + "' needs 'target_label'");
  if (action == "hashmod" && rule.modulus == 0)
    reading.report(rule.place, "the relabel action 'hashmod' needs a 'modulus' above 0");
  // A target label may be a template such as __meta_$1 when it comes from a replacement.
  if (needs_target && action != "replace" && !rule.target_label.empty() && !valid_label_name(rule.target_label))
    reading.report(from.place_of("target_label"),
                   "'target_label' is " + json_quote(rule.target_label) + "; write a label name");
  for (const std::string& label : rule.source_labels)
    if (!valid_label_name(label))
      reading.report(from.place_of("source_labels"), "'source_labels' has " + json_quote(label) + "; write label names");
  return rule;
}

ScrapeConfig read_job(Reading& reading, Section& from) {
  ScrapeConfig job;
  job.place = from.place();
  from.read("job_name", job.job_name);
  from.read("scrape_interval", job.scrape_interval);
  from.read("scrape_timeout", job.scrape_timeout);
  if (job.scrape_timeout > job.scrape_interval) {
    if (from.has("scrape_timeout"))
      reading.report(from.place_of("scrape_timeout"),
                     "'scrape_timeout' is " + format_duration_ms(job.scrape_timeout.count()) +
                         ", longer than the interval of " + format_duration_ms(job.scrape_interval.count()));
    job.scrape_timeout = job.scrape_interval;
  }
  from.read("metrics_path", job.metrics_path);
  from.read("scheme", job.scheme);
  from.read("params", job.params);
  from.read("honor_labels", job.honor_labels);
  from.read("honor_timestamps", job.honor_timestamps);
  from.read("sample_limit", job.sample_limit);
  from.read("body_size_limit", job.body_size_limit);
  from.child("basic_auth", [&](Section& auth) {
    BasicAuth& to = job.basic_auth.emplace();
    to.place = auth.place();
    auth.read("username", to.username);
    auth.read("password_file", to.password_file);
    to.password_file = reading.beside(to.password_file);
  });
  from.child("authorization", [&](Section& auth) {
    Authorization& to = job.authorization.emplace();
    to.place = auth.place();
    auth.read("type", to.type);
    auth.read("credentials_file", to.credentials_file);
    to.credentials_file = reading.beside(to.credentials_file);
    if (to_lower(to.type) == "basic") reading.report(to.place, "for basic authentication write 'basic_auth'");
  });
  if (job.basic_auth && job.authorization)
    reading.report(job.authorization->place, "a job has either 'basic_auth' or 'authorization', not both");
  from.each("static_configs", [&](Section& group) { job.static_configs.push_back(read_target_group(reading, group)); });
  from.each("file_sd_configs", [&](Section& sd) {
    FileSd& to = job.file_sd_configs.emplace_back();
    to.place = sd.place();
    sd.read("files", to.files);
    sd.read("refresh_interval", to.refresh_interval);
    for (std::string& file : to.files) file = reading.beside(file);
  });
  from.each("relabel_configs", [&](Section& rule) { job.relabel_configs.push_back(read_relabel(reading, rule)); });
  from.each("metric_relabel_configs",
            [&](Section& rule) { job.metric_relabel_configs.push_back(read_relabel(reading, rule)); });
  return job;
}

}  // namespace

TargetGroup read_target_group(Reading& reading, Section& from) {
  TargetGroup group;
  group.place = from.place();
  from.read("targets", group.targets);
  from.read("labels", group.labels);
  for (const std::string& target : group.targets)
    if (target.empty() || target.find('/') != std::string::npos || target.find(' ') != std::string::npos)
      reading.report(from.place_of("targets"), "'targets' has " + json_quote(target) +
                                                   "; write host:port (the path belongs to 'metrics_path')");
  return group;
}

void read_scrape_configs(Reading& reading, Section& root, std::vector<ScrapeConfig>& out) {
  std::map<std::string, int> lines_of_names;
  root.each("scrape_configs", [&](Section& from) {
    ScrapeConfig job = read_job(reading, from);
    const auto [first, is_new] = lines_of_names.emplace(job.job_name, job.place.line);
    if (!is_new && !job.job_name.empty())
      reading.report(from.place_of("job_name"), "a second job named " + json_quote(job.job_name) +
                                                    "; the first is in line " + std::to_string(first->second));
    out.push_back(std::move(job));
  });
}

}  // namespace plumbline::config
