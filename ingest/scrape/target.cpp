#include "ingest/scrape/target.hpp"

#include <algorithm>
#include <map>

#include "daemon/base/bytes.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::ingest {
namespace {

constexpr std::string_view address_label = "__address__";
constexpr std::string_view scheme_label = "__scheme__";
constexpr std::string_view path_label = "__metrics_path__";
constexpr std::string_view interval_label = "__scrape_interval__";
constexpr std::string_view timeout_label = "__scrape_timeout__";
constexpr std::string_view param_prefix = "__param_";

std::string escape(std::string_view text, std::string_view kept) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain || kept.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else if (c == ' ' && kept.find('/') == std::string_view::npos) {
      out.push_back('+');  // in a query
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(digits[byte >> 4]);
      out.push_back(digits[byte & 15]);
    }
  }
  return out;
}
std::string escape_path(std::string_view text) {
  return escape(text, "/-_.~$&+,:;=@%!*'()");
}
std::string escape_query(std::string_view text) {
  return escape(text, "-_.~");
}

// The job's parameters; a __param_ label replaces the first value of its name.
std::string query_text(const ScrapeJob& job, const model::Labels& labels) {
  std::map<std::string, std::vector<std::string>> params;
  for (const auto& [name, value] : job.params) params[name].push_back(value);
  for (const model::Label& l : labels) {
    if (!l.name.starts_with(param_prefix)) continue;
    auto& values = params[l.name.substr(param_prefix.size())];
    if (values.empty())
      values.push_back(l.value);
    else
      values.front() = l.value;
  }
  std::string out;
  for (const auto& [name, values] : params)
    for (const std::string& value : values)
      out += (out.empty() ? "?" : "&") + escape_query(name) + "=" + escape_query(value);
  return out;
}

Result<Millis> duration_label(const model::Labels& labels, std::string_view name) {
  const auto ms = parse_duration_ms(labels.get(name));
  if (!ms) return fail(ms.error().in(name));
  if (*ms <= 0) return fail(Code::invalid_input, std::string(name) + " must be greater than 0");
  return Millis(*ms);
}

}  // namespace

Result<std::shared_ptr<const ScrapeJobRules>> ScrapeJobRules::make(ScrapeJob job) {
  const std::string where = "scrape job " + json_quote(job.job_name);
  if (job.job_name.empty()) return fail(Code::invalid_input, "a scrape job has no job_name");
  if (job.interval.count() <= 0 || job.timeout.count() <= 0)
    return fail(Code::invalid_input, where + ": interval and timeout must be greater than 0");
  if (job.timeout > job.interval)
    return fail(Code::invalid_input, where + ": the timeout is longer than the interval");
  auto rules = std::make_shared<ScrapeJobRules>();
  auto relabel = Relabeller::make(job.relabel);
  if (!relabel) return fail(relabel.error().in("relabel_configs").in(where));
  auto metric_relabel = Relabeller::make(job.metric_relabel);
  if (!metric_relabel) return fail(metric_relabel.error().in("metric_relabel_configs").in(where));
  rules->relabel = std::move(*relabel);
  rules->metric_relabel = std::move(*metric_relabel);
  rules->job = std::move(job);
  return std::shared_ptr<const ScrapeJobRules>(std::move(rules));
}

model::Labels discovered_labels(const ScrapeJob& job, const std::string& address,
                                const std::vector<std::pair<std::string, std::string>>& group_labels) {
  std::map<std::string, std::string, std::less<>> all;
  for (const auto& [name, value] : group_labels) all[name] = value;
  all[std::string(address_label)] = address;
  const auto standard = [&](std::string_view name, const std::string& value) {
    if (auto& slot = all[std::string(name)]; slot.empty()) slot = value;
  };
  standard("job", job.job_name);
  standard(interval_label, format_duration_ms(job.interval.count()));
  standard(timeout_label, format_duration_ms(job.timeout.count()));
  standard(path_label, job.metrics_path);
  standard(scheme_label, job.scheme);
  for (const auto& [name, value] : job.params) standard(std::string(param_prefix) + name, value);
  std::vector<model::Label> labels;
  for (auto& [name, value] : all)
    if (!value.empty()) labels.push_back({name, value});
  return model::Labels::trusted(std::move(labels));
}

Result<std::optional<Target>> make_target(
    std::shared_ptr<const ScrapeJobRules> rules, const std::string& address,
    const std::vector<std::pair<std::string, std::string>>& group_labels) {
  Target target;
  target.discovered = discovered_labels(rules->job, address, group_labels);
  auto relabelled = rules->relabel.apply(target.discovered);
  if (!relabelled) return std::optional<Target>{};
  const model::Labels& labels = *relabelled;

  const std::string host(labels.get(address_label));
  if (host.empty()) return fail(Code::invalid_input, "the target has no address after relabelling");
  if (host.find('/') != std::string::npos)
    return fail(Code::invalid_input,
                json_quote(host) + " is no host:port; scheme and path have options of their own");
  PLUMBLINE_TRY(target.interval, duration_label(labels, interval_label));
  PLUMBLINE_TRY(target.timeout, duration_label(labels, timeout_label));
  if (target.timeout > target.interval)
    return fail(Code::invalid_input,
                "target " + json_quote(host) + ": the timeout is longer than the interval");

  std::vector<model::Label> kept;
  for (const model::Label& l : labels) {
    if (l.name.starts_with("__")) continue;
    if (!valid_utf8(l.name) || !valid_utf8(l.value))
      return fail(Code::invalid_input,
                  "target " + json_quote(host) + ": label " + json_quote(l.name) + " is not valid UTF-8");
    kept.push_back(l);
  }
  if (labels.get("instance").empty()) kept.push_back({"instance", host});
  target.labels = model::Labels::trusted(std::move(kept));

  std::string path(labels.get(path_label));
  if (!path.starts_with('/')) path.insert(0, "/");
  target.url_text = std::string(labels.get(scheme_label)) + "://" + host + escape_path(path) +
                    query_text(rules->job, labels);
  auto url = http::parse_url(target.url_text);
  if (!url) return fail(url.error());
  target.url = std::move(*url);
  target.key = rules->job.job_name + '\n' + target.url_text + '\n' + target.labels.encode();
  target.hash = hash64(target.key);
  target.rules = std::move(rules);
  return std::optional<Target>(std::move(target));
}

std::int64_t next_scrape_ms(std::uint64_t hash, Millis interval, std::int64_t not_before_ms) {
  const std::int64_t step = interval.count();
  const auto offset = static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(step));
  const std::int64_t phase = ((not_before_ms % step) + step) % step;
  return not_before_ms + (offset - phase + step) % step;
}

}  // namespace plumbline::ingest
