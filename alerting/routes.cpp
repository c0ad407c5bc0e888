#include "alerting/routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "alerting/webhook.hpp"
#include "daemon/base/json_writer.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::alerting {
namespace {

// strconv's 'e' format, as Prometheus prints alert values: 1.5e+00.
std::string exponent_form(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  char buffer[64];
  const auto done = std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific);
  return std::string(buffer, done.ptr);
}

std::string time_text(std::int64_t ms) {
  return ms == 0 ? "0001-01-01T00:00:00Z" : format_rfc3339_ms(ms);
}

void write_labels(JsonWriter& json, const Labels& labels) {
  json.begin_object();
  for (const model::Label& l : labels) json.field(l.name, l.value);
  json.end_object();
}

void write_alert(JsonWriter& json, const Alert& alert) {
  json.begin_object();
  write_labels(json.key("labels"), alert.labels);
  StringPairs annotations = alert.annotations;
  std::sort(annotations.begin(), annotations.end());
  json.key("annotations").begin_object();
  for (const auto& [name, value] : annotations) json.field(name, value);
  json.end_object();
  json.field("state", name_of(alert.state));
  json.field("activeAt", time_text(alert.active_at_ms));
  if (alert.keep_since_ms != 0) json.field("keepFiringSince", time_text(alert.keep_since_ms));
  json.field("value", exponent_form(alert.value));
  json.end_object();
}

void write_rule(JsonWriter& json, const PlannedRule& rule, const RuleRuntime& runtime, bool with_alerts) {
  json.begin_object();
  if (rule.alerting) {
    const bool firing = std::any_of(runtime.alerts.begin(), runtime.alerts.end(), [](const auto& entry) {
      return entry.second.state == AlertState::firing;
    });
    json.field("state", firing ? "firing" : runtime.alerts.empty() ? "inactive" : "pending");
  }
  json.field("name", rule.name);
  json.field("query", rule.expr);
  if (rule.alerting) {
    json.field("duration", static_cast<double>(rule.timing.hold.count()) / 1000);
    json.field("keepFiringFor", static_cast<double>(rule.timing.keep_firing_for.count()) / 1000);
  }
  if (rule.alerting || !rule.fixed_labels.empty()) {
    std::map<std::string, std::string> labels(rule.fixed_labels.begin(), rule.fixed_labels.end());
    for (const auto& [name, text] : rule.labels) labels[name] = text.text();
    if (!rule.severity.empty()) labels["severity"] = rule.severity;
    json.key("labels").begin_object();
    for (const auto& [name, value] : labels) json.field(name, value);
    json.end_object();
  }
  if (rule.alerting) {
    std::map<std::string, std::string> annotations;
    for (const auto& [name, text] : rule.annotations) annotations[name] = text.text();
    json.key("annotations").begin_object();
    for (const auto& [name, value] : annotations) json.field(name, value);
    json.end_object();
    json.key("alerts").begin_array();
    if (with_alerts)
      for (const auto& [labels, alert] : runtime.alerts) write_alert(json, alert);
    json.end_array();
  }
  const bool blind = runtime.health == Health::ok && !runtime.insufficient.empty();
  json.field("health", name_of(blind ? Health::unknown : runtime.health));
  if (const std::string& why = blind ? runtime.insufficient : runtime.last_error; !why.empty()) json.field("lastError", why);
  json.field("evaluationTime", runtime.seconds);
  json.field("lastEvaluation", time_text(runtime.last_ms));
  json.field("type", rule.alerting ? "alerting" : "recording");
  json.end_object();
}

bool wanted(const http::Request& request, std::string_view parameter, std::string_view value) {
  const auto values = request.params(parameter);
  return values.empty() || std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

http::Response rules_response(const View& view, const http::Request& request) {
  const std::string type = to_lower(request.param("type").value_or(""));
  if (!type.empty() && type != "alert" && type != "record")
    return http::Response::error(
        {Code::invalid_input, fmt::format("not supported value {}", json_quote(type))});
  const std::string exclude = to_lower(request.param("exclude_alerts").value_or("false"));
  std::string body;
  JsonWriter json(body);
  json.begin_object().field("status", "success").key("data").begin_object().key("groups").begin_array();
  for (std::size_t u = 0; u < view.units.size(); ++u) {
    const PlannedUnit& unit = view.plan->units[u];
    const UnitRuntime& runtime = view.units[u];
    if (!wanted(request, "file[]", unit.file) || !wanted(request, "rule_group[]", unit.name)) continue;
    std::vector<std::size_t> rules;
    for (std::size_t r = 0; r < unit.rules.size(); ++r) {
      if (!type.empty() && (type == "alert") != unit.rules[r].alerting) continue;
      if (wanted(request, "rule_name[]", unit.rules[r].name)) rules.push_back(r);
    }
    // Prometheus leaves a group out when a rule filter empties it, and shows one that is empty by itself.
    if (rules.empty() && (!type.empty() || !request.params("rule_name[]").empty())) continue;
    json.begin_object().field("name", unit.name).field("file", unit.file).key("rules").begin_array();
    for (const std::size_t r : rules)
      write_rule(json, unit.rules[r], runtime.rules[r], exclude != "true" && exclude != "1");
    json.end_array();
    json.field("interval", static_cast<double>(unit.interval_ms) / 1000);
    json.field("limit", unit.limit);
    json.field("evaluationTime", runtime.seconds);
    json.field("lastEvaluation", time_text(runtime.last_ms));
    json.end_object();
  }
  json.end_array().end_object().end_object();
  return http::Response::json(std::move(body));
}

http::Response alerts_response(const View& view) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().field("status", "success").key("data").begin_object().key("alerts").begin_array();
  for (const UnitRuntime& unit : view.units)
    for (const RuleRuntime& rule : unit.rules)
      for (const auto& [labels, alert] : rule.alerts) write_alert(json, alert);
  json.end_array().end_object().end_object();
  return http::Response::json(std::move(body));
}

http::Response slos_response(const View& view) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().field("status", "success").key("data").begin_object().key("slos").begin_array();
  for (std::size_t u = 0; u < view.units.size(); ++u) {
    const PlannedUnit& unit = view.plan->units[u];
    if (unit.kind != PlannedUnit::Kind::slo) continue;
    const UnitRuntime& runtime = view.units[u];
    const SloSpec& slo = *unit.slo;
    const auto optional = [&](std::string_view name, const std::optional<double>& value) {
      json.key(name);
      if (value)
        json.number(*value);
      else
        json.null();
    };
    json.begin_object()
        .field("name", slo.name)
        .field("service", slo.service)
        .field("description", slo.description);
    json.field("objective", static_cast<double>(unit.budget.denominator - unit.budget.numerator) /
                                static_cast<double>(unit.budget.denominator));
    json.field("error_budget", unit.budget.value());
    json.field("window", format_duration_ms(slo.window.count()));
    const auto ratio = ratio_over(runtime.burns, slo.window);
    optional("error_ratio", ratio);
    optional("error_budget_remaining_ratio", budget_remaining(unit.budget, ratio));
    json.key("burn_rates").begin_array();
    for (const auto& [window, burn] : runtime.burns) {
      json.begin_object().field("window", format_duration_ms(window.count()));
      optional("error_ratio", burn.ratio);
      optional("burn_rate", burn.burn);
      json.end_object();
    }
    json.end_array().key("alerts").begin_array();
    for (std::size_t r = 0; r < unit.rules.size(); ++r) {
      const RuleRuntime& rule = runtime.rules[r];
      json.begin_object().field("severity", unit.rules[r].severity);
      json.field("state", rule.alerts.empty() ? "inactive" : "firing");
      json.key("windows").begin_array();
      for (const BurnWindow& w : unit.windows) {
        if (w.severity != unit.rules[r].severity) continue;
        json.begin_object()
            .field("long", format_duration_ms(w.long_window.count()))
            .field("short", format_duration_ms(w.short_window.count()));
        json.field("factor", w.factor).field("threshold", unit.budget.threshold(w.factor)).end_object();
      }
      json.end_array().end_object();
    }
    json.end_array();
    const RuleRuntime& first = runtime.rules[0];
    json.field("health", name_of(first.health));
    if (!first.last_error.empty()) json.field("lastError", first.last_error);
    json.field("lastEvaluation", time_text(runtime.last_ms)).end_object();
  }
  json.end_array().end_object().end_object();
  return http::Response::json(std::move(body));
}

http::Response notifications_response(const View& view) {
  std::string body;
  JsonWriter json(body);
  const auto fields = [&](const Delivery& d) {
    const ReceiverSpec* receiver = view.plan ? view.plan->receiver(d.receiver) : nullptr;
    json.field("id", d.id).field("receiver", d.receiver);
    json.field("url", receiver && d.webhook < receiver->webhooks.size()
                          ? redacted_url(receiver->webhooks[d.webhook].url)
                          : "");
    json.field("groupKey", d.group_key).field("created", time_text(d.created_ms));
    json.field("attempts", static_cast<std::uint64_t>(d.attempts)).field("lastError", d.last_error);
  };
  json.begin_object().field("status", "success").key("data").begin_object().key("outbox").begin_array();
  for (const Delivery& d : view.outbox) {
    json.begin_object();
    fields(d);
    json.field("nextAttempt", time_text(d.next_ms)).key("body").raw(d.body).end_object();
  }
  json.end_array().key("deadLetters").begin_array();
  for (const DeadLetter& letter : view.dead) {
    json.begin_object();
    fields(letter.delivery);
    json.field("died", time_text(letter.died_ms))
        .field("reason", letter.reason)
        .key("body")
        .raw(letter.delivery.body)
        .end_object();
  }
  json.end_array().end_object().end_object();
  return http::Response::json(std::move(body));
}

http::Routes make_routes(const Core& core) {
  http::Routes out;
  const auto get = [&](std::string pattern, http::Handler handler) {
    out.push_back({"GET", std::move(pattern), std::move(handler), http::Lane::query});
  };
  get("/api/v1/rules",
      [&core](const http::Request& request) { return rules_response(core.view(), request); });
  get("/api/v1/alerts", [&core](const http::Request&) { return alerts_response(core.view()); });
  get("/api/v1/slos", [&core](const http::Request&) { return slos_response(core.view()); });
  get("/api/v1/notifications", [&core](const http::Request&) { return notifications_response(core.view()); });
  get("/api/v1/alert_history", [&core](const http::Request& request) {
    const auto limit = parse_int(request.param("limit").value_or("1000"));
    if (!limit || *limit < 1 || *limit > 10'000)
      return http::Response::error({Code::invalid_input, "limit must be a number from 1 to 10000"});
    const auto rows = core.history(static_cast<std::size_t>(*limit));
    if (!rows) return http::Response::error(rows.error());
    std::string body;
    JsonWriter json(body);
    json.begin_object().field("status", "success").key("data").begin_array();
    for (const HistoryRow& row : *rows) {
      json.begin_object()
          .field("time", time_text(row.at_ms))
          .field("change", name_of(row.change))
          .field("rule", row.rule);
      write_labels(json.key("labels"), row.labels);
      json.field("value", exponent_form(row.value)).end_object();
    }
    json.end_array().end_object();
    return http::Response::json(std::move(body));
  });
  return out;
}

}  // namespace plumbline::alerting
