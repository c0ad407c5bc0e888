#include "alerting/webhook.hpp"

#include <algorithm>

#include "daemon/base/json_writer.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::alerting {
namespace {

void write_labels(JsonWriter& json, const model::Labels& labels) {
  json.begin_object();
  for (const model::Label& l : labels) json.field(l.name, l.value);
  json.end_object();
}

void write_pairs(JsonWriter& json, StringPairs pairs) {
  std::sort(pairs.begin(), pairs.end());
  json.begin_object();
  for (const auto& [name, value] : pairs) json.field(name, value);
  json.end_object();
}

std::string time_text(std::int64_t ms) {
  return ms == 0 ? "0001-01-01T00:00:00Z" : format_rfc3339_ms(ms);
}

struct UrlParts {
  std::string scheme, user_info, host, path, query;
};

UrlParts split(std::string_view url) {
  UrlParts out;
  const std::size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) {
    out.scheme = url.substr(0, scheme + 3);
    url.remove_prefix(scheme + 3);
  }
  const std::size_t end = std::min(url.find_first_of("/?#"), url.size());
  std::string_view authority = url.substr(0, end);
  url.remove_prefix(end);
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    out.user_info = authority.substr(0, at);
    authority.remove_prefix(at + 1);
  }
  out.host = authority;
  const std::size_t query = std::min(url.find('?'), url.size());
  out.path = url.substr(0, query);
  out.query = url.substr(query);
  return out;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = text[i] == '%' && i + 2 < text.size() ? from_hex(text.substr(i + 1, 2)) : std::nullopt;
    if (byte) i += 2;
    out += byte ? *byte : std::string(1, text[i]);
  }
  return out;
}

}  // namespace

std::optional<std::string> webhook_body(const Notification& notification, const WebhookSpec& webhook,
                                        const std::string& external_url) {
  if (!webhook.send_resolved && !notification.firing_news) return std::nullopt;
  std::vector<const RoutedAlert*> alerts;
  for (const RoutedAlert& alert : notification.alerts)
    if (alert.firing() || webhook.send_resolved) alerts.push_back(&alert);
  if (alerts.empty()) return std::nullopt;
  // Status and common labels are of the whole group, also when max_alerts cuts the list.
  const bool firing =
      std::any_of(alerts.begin(), alerts.end(), [](const RoutedAlert* a) { return a->firing(); });
  std::vector<model::Label> common_labels(alerts[0]->labels.begin(), alerts[0]->labels.end());
  StringPairs common_annotations = alerts[0]->annotations;
  for (const RoutedAlert* alert : alerts) {
    std::erase_if(common_labels, [&](const model::Label& l) { return alert->labels.get(l.name) != l.value; });
    std::erase_if(common_annotations, [&](const auto& pair) {
      return std::find(alert->annotations.begin(), alert->annotations.end(), pair) ==
             alert->annotations.end();
    });
  }
  std::uint64_t truncated = 0;
  if (webhook.max_alerts > 0 && alerts.size() > webhook.max_alerts) {
    truncated = alerts.size() - webhook.max_alerts;
    alerts.resize(webhook.max_alerts);
  }
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.field("receiver", notification.receiver);
  json.field("status", firing ? "firing" : "resolved");
  json.key("alerts").begin_array();
  for (const RoutedAlert* alert : alerts) {
    json.begin_object();
    json.field("status", alert->firing() ? "firing" : "resolved");
    write_labels(json.key("labels"), alert->labels);
    write_pairs(json.key("annotations"), alert->annotations);
    json.field("startsAt", time_text(alert->starts_at_ms));
    json.field("endsAt", time_text(alert->ends_at_ms));
    json.field("generatorURL", alert->generator_url);
    json.field("fingerprint", fingerprint(alert->labels));
    json.end_object();
  }
  json.end_array();
  write_labels(json.key("groupLabels"), notification.group_labels);
  write_labels(json.key("commonLabels"), model::Labels::trusted(common_labels));
  write_pairs(json.key("commonAnnotations"), common_annotations);
  json.field("externalURL", external_url);
  json.field("version", "4");
  json.field("groupKey", notification.group_key);
  json.field("truncatedAlerts", truncated);
  json.field("notification_reason", notification.reason);
  json.key("routeLabels").begin_object().end_object();
  json.end_object();
  return out;
}

std::string redacted_url(std::string_view url) {
  const UrlParts parts = split(url);
  return parts.scheme + parts.host + parts.path;
}

std::string redacted(std::string message, std::string_view url) {
  const UrlParts parts = split(url);
  const auto hide = [&](const std::string& secret) {
    if (secret.size() < 2) return;
    for (std::size_t at = message.find(secret); at != std::string::npos; at = message.find(secret, at + 3))
      message.replace(at, secret.size(), "...");
  };
  hide(parts.query);
  hide(parts.user_info);
  return message;
}

Result<http::ClientRequest> webhook_request(const WebhookSpec& webhook, const std::string& id,
                                            std::string body, std::int64_t now_ms) {
  const UrlParts parts = split(webhook.url);
  auto url = http::parse_url(parts.scheme + parts.host + parts.path + parts.query);
  if (!url)
    return fail(url.error().code,
                redacted("url " + redacted_url(webhook.url) + ": " + url.error().message, webhook.url));
  http::ClientRequest out;
  out.method = "POST";
  out.url = std::move(*url);
  out.headers = {{"content-type", "application/json"},
                 {"user-agent", "plumbline"},
                 {"webhook-id", id},
                 {"webhook-timestamp", std::to_string(now_ms / 1000)}};
  if (!parts.user_info.empty())
    out.headers.emplace_back("authorization", "Basic " + to_base64(percent_decoded(parts.user_info)));
  for (const auto& [name, value] : webhook.headers) {
    std::erase_if(out.headers, [&](const auto& header) { return header.first == to_lower(name); });
    out.headers.emplace_back(to_lower(name), value);
  }
  out.body = std::move(body);
  out.timeout = webhook.timeout;
  out.response_bytes_max = 64 << 10;  // an answer is read for its status only
  return out;
}

}  // namespace plumbline::alerting
