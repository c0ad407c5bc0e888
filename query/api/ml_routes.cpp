// /api/v1/models: what is known of each model, drift, performance, references.
#include <algorithm>
#include <map>

#include "daemon/base/json_writer.hpp"
#include "daemon/base/text.hpp"
#include "query/ml/models_impl.hpp"
#include "query/query.hpp"

namespace plumbline::query {
namespace {

constexpr std::int64_t hour_ns = 3'600'000'000'000;
constexpr std::int64_t year_ms = 366ll * 24 * 3'600'000;

std::vector<std::string> words(const http::Request& request, std::string_view name) {
  std::vector<std::string> out;
  for (std::string_view value : request.params(name))
    while (!value.empty()) {
      const std::size_t end = std::min(value.find(','), value.size());
      const std::string_view word = trim(value.substr(0, end));
      if (!word.empty()) out.emplace_back(word);
      value.remove_prefix(std::min(end + 1, value.size()));
    }
  return out;
}

// RFC 3339 to the nanosecond; a plain number is a Unix time whose unit its size tells, as in records.
Result<std::int64_t> parse_time(std::string_view name, std::string_view text) {
  if (const auto whole = parse_int(text); whole && (*whole >= 100'000'000'000'000'000 || *whole <= -100'000'000'000'000'000))
    return *whole;  // nanoseconds do not fit a double
  if (const auto number = parse_number(text); number && *number > -1e19 && *number < 1e19) return unix_ns_by_magnitude(*number);
  auto parsed = parse_rfc3339_ns(text);
  if (!parsed) return fail(parsed.error().in("parameter '" + std::string(name) + "'"));
  return parsed;
}

Result<Window> parse_window(const http::Request& request, const Clock& clock) {
  Window window;
  window.end_ns = clock.now_ns();
  if (const auto end = request.param("end")) {
    PLUMBLINE_TRY(window.end_ns, parse_time("end", *end));
  }
  window.start_ns = window.end_ns - hour_ns;
  if (const auto length = request.param("window")) {
    if (request.param("start")) return fail(Code::invalid_input, "give 'start' or 'window', not both");
    const auto ms = parse_duration_ms(*length);
    if (!ms) return fail(ms.error().in("parameter 'window'"));
    if (*ms <= 0 || *ms > year_ms) return fail(Code::invalid_input, "parameter 'window' must be above zero and at most a year, such as 6h");
    window.start_ns = window.end_ns - *ms * 1'000'000;
  }
  if (const auto start = request.param("start")) {
    PLUMBLINE_TRY(window.start_ns, parse_time("start", *start));
  }
  if (window.end_ns <= window.start_ns)
    return fail(Code::invalid_input, "parameter 'end' (" + format_rfc3339_ns(window.end_ns) + ") must be after 'start' (" +
                                         format_rfc3339_ns(window.start_ns) + ")");
  window.where = std::string(request.param("where").value_or(""));
  return window;
}

http::Response success(const std::function<void(JsonWriter&)>& data) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().field("status", "success").key("data");
  data(json);
  json.end_object();
  return http::Response::json(std::move(body));
}

void write_window(JsonWriter& json, const Window& window) {
  json.key("window").begin_object();
  json.field("start", format_rfc3339_ns(window.start_ns)).field("end", format_rfc3339_ns(window.end_ns));
  json.field("where", window.where).end_object();
}

void write_notes(JsonWriter& json, const std::vector<std::string>& notes) {
  json.key("notes").begin_array();
  for (const std::string& note : notes) json.string(note);
  json.end_array();
}

void optional_number(JsonWriter& json, std::string_view name, const std::optional<double>& value) {
  json.key(name);
  if (value) json.number(*value);
  else json.null();
}

void write_reference(JsonWriter& json, const ml::Reference& r, std::uint64_t features) {
  json.begin_object();
  json.field("id", r.id()).field("name", r.name).field("version", static_cast<std::int64_t>(r.version));
  json.field("hash", r.hash).field("rows", r.rows).field("features", features);
  json.field("created", format_rfc3339_ns(r.created_ns)).field("source", r.source);
  json.end_object();
}

// ---------------------------------------------------------------------------------------------------------------- models

struct VersionFacts {
  std::uint64_t rows = 0;
  std::int64_t first_ns = 0, last_ns = 0;
  std::map<std::string, std::string> features;
};

std::string_view type_word(const model::Value& value) {
  if (std::holds_alternative<model::List>(value)) return "list";
  if (std::holds_alternative<std::string>(value) || std::holds_alternative<bool>(value)) return "category";
  return "number";
}

// Types are told from the newest block that has a feature: a look at every row would read the whole store.
Result<VersionFacts> facts_of(const storage::Reader& reader, const Labels& stream, model::TimeRange range) {
  VersionFacts facts;
  storage::EventQuery query;
  query.kind = model::EventKind::inference;
  for (const char* name : {"model", "version"})
    query.stream.push_back(model::Matcher::equal(name, std::string(stream.get(name))));
  query.range_ns = range;
  query.columns = {std::string(model::field::status)};
  PLUMBLINE_CHECK_OK(reader.scan(query, [&](const storage::RowBlock& block) {
    if (block.times_ns.empty()) return true;
    if (facts.rows == 0 || block.times_ns.front() < facts.first_ns) facts.first_ns = block.times_ns.front();
    if (facts.rows == 0 || block.times_ns.back() > facts.last_ns) facts.last_ns = block.times_ns.back();
    facts.rows += block.times_ns.size();
    return true;
  }));
  const std::string prefix(model::field::feature_prefix);
  query.columns = {prefix + "*"};
  query.newest_first = true;
  PLUMBLINE_CHECK_OK(reader.scan(query, [&](const storage::RowBlock& block) {
    for (const storage::Column& column : block.columns) {
      if (!column.name.starts_with(prefix)) continue;
      const auto value = std::find_if(column.values.rbegin(), column.values.rend(), [](const model::Value& v) {
        return !std::holds_alternative<std::monostate>(v);
      });
      if (value != column.values.rend()) facts.features.emplace(column.name.substr(prefix.size()), type_word(*value));
    }
    return facts.features.empty();
  }));
  return facts;
}

http::Response list_models(const ml::ReferenceStore& references, const storage::Reader& store, const http::Request& request) {
  const StoppingReader reader(store, request.gone);
  model::TimeRange range;
  for (const char* name : {"start", "end"}) {
    const auto text = request.param(name);
    if (!text) continue;
    auto at = parse_time(name, *text);
    if (!at) return http::Response::error(at.error());
    (std::string_view(name) == "start" ? range.min : range.max) = *at;
  }
  auto streams = reader.streams(model::EventKind::inference, {}, range);
  if (!streams) return http::Response::error(streams.error());
  auto stored = references.list("");
  if (!stored) return http::Response::error(stored.error());
  std::map<std::string, std::vector<Labels>> models;
  for (const Labels& stream : *streams) models[std::string(stream.get("model"))].push_back(stream);
  for (const auto& listed : *stored) models[listed.header.model];
  std::map<Labels, VersionFacts> facts;
  for (const Labels& stream : *streams) {
    auto found = facts_of(reader, stream, range);
    if (!found) return http::Response::error(found.error());
    facts.emplace(stream, std::move(*found));
  }
  return success([&](JsonWriter& json) {
    json.begin_array();
    for (const auto& [name, versions] : models) {
      json.begin_object().field("model", name).key("versions").begin_array();
      for (const Labels& stream : versions) {
        const VersionFacts& f = facts.at(stream);
        json.begin_object().key("version");
        if (stream.has("version")) json.string(stream.get("version"));
        else json.null();
        json.field("rows", f.rows);
        if (f.rows > 0) json.field("first", format_rfc3339_ns(f.first_ns)).field("last", format_rfc3339_ns(f.last_ns));
        json.key("features").begin_array();
        for (const auto& [feature, type] : f.features)
          json.begin_object().field("name", feature).field("type", type).end_object();
        json.end_array().end_object();
      }
      json.end_array().key("references").begin_array();
      for (const auto& listed : *stored)
        if (listed.header.model == name) json.string(listed.header.id());
      json.end_array().end_object();
    }
    json.end_array();
  });
}

// ----------------------------------------------------------------------------------------------------------------- drift

Result<DriftRequest> parse_drift(const http::Request& request, const Clock& clock) {
  DriftRequest out;
  out.model = std::string(request.path_value("model"));
  out.reference = std::string(request.param("reference").value_or(""));
  out.features = words(request, "features");
  for (const std::string& name : words(request, "statistic")) {
    PLUMBLINE_TRY(const Statistic statistic, parse_statistic(name));
    out.statistics.push_back(statistic);
  }
  PLUMBLINE_TRY(out.window, parse_window(request, clock));
  if (const auto text = request.param("threshold")) {
    const auto number = parse_number(*text);
    if (!number || !(*number >= 0)) return fail(Code::invalid_input, "parameter 'threshold': a number of at least 0");
    out.threshold = *number;
  }
  if (const auto text = request.param("rows_min")) {
    const auto number = parse_int(*text);
    if (!number || *number < 1) return fail(Code::invalid_input, "parameter 'rows_min': a whole number of at least 1");
    out.rows_min = static_cast<std::uint64_t>(*number);
  }
  return out;
}

http::Response show_drift(const Models::Impl& models, const Clock& clock, const http::Request& request) {
  auto parsed = parse_drift(request, clock);
  if (!parsed) return http::Response::error(parsed.error());
  auto report = models.drift(*parsed, request.gone);
  if (!report) return http::Response::error(report.error());
  return success([&](JsonWriter& json) {
    json.begin_object();
    json.field("model", report->model).field("reference", report->reference).field("reference_hash", report->reference_hash);
    write_window(json, report->window);
    json.field("reference_rows", report->reference_rows).field("window_rows", report->window_rows);
    json.key("scores").begin_array();
    for (const DriftScore& s : report->scores) {
      json.begin_object();
      json.field("feature", s.feature).field("statistic", name_of(s.statistic));
      json.key("value");
      if (s.p_value) json.number(s.value);  // measured on some data, if not on enough
      else json.null();
      optional_number(json, "p_value", s.p_value);
      json.field("threshold", s.threshold);
      optional_number(json, "detectable", s.detectable);
      json.field("n", s.n).field("m", s.m);
      json.field("missing_reference", s.missing_reference).field("missing_window", s.missing_window);
      json.field("verdict", name_of(s.verdict));
      if (!s.reason.empty()) json.field("reason", s.reason);
      json.end_object();
    }
    json.end_array();
    write_notes(json, report->notes);
    json.end_object();
  });
}

http::Response show_performance(const Models::Impl& models, const Clock& clock, const http::Request& request) {
  auto window = parse_window(request, clock);
  if (!window) return http::Response::error(window.error());
  std::optional<std::string> positive;
  if (const auto text = request.param("positive")) positive = std::string(*text);
  auto report = models.performance(std::string(request.path_value("model")), *window, positive, request.gone);
  if (!report) return http::Response::error(report.error());
  return success([&](JsonWriter& json) {
    json.begin_object().field("model", report->model);
    write_window(json, report->window);
    json.field("predictions", report->predictions).field("labelled", report->labelled);
    optional_number(json, "coverage",
                    report->predictions == 0 ? std::nullopt
                                             : std::optional<double>(static_cast<double>(report->labelled) /
                                                                     static_cast<double>(report->predictions)));
    json.key("classes").begin_array();
    for (const std::string& name : report->classes) json.string(name);
    json.end_array();
    optional_number(json, "accuracy", report->accuracy);
    optional_number(json, "precision", report->precision);
    optional_number(json, "recall", report->recall);
    optional_number(json, "f1", report->f1);
    optional_number(json, "roc_auc", report->roc_auc);
    optional_number(json, "mae", report->mae);
    optional_number(json, "rmse", report->rmse);
    write_notes(json, report->notes);
    json.end_object();
  });
}

// ------------------------------------------------------------------------------------------------------------ references

http::Response list_references(const ml::ReferenceStore& references, const http::Request& request) {
  auto listed = references.list(std::string(request.path_value("model")));
  if (!listed) return http::Response::error(listed.error());
  return success([&](JsonWriter& json) {
    json.begin_array();
    for (const auto& l : *listed) write_reference(json, l.header, l.features);
    json.end_array();
  });
}

ml::UploadOptions parse_options(const http::Request& request) {
  ml::UploadOptions options;
  const auto replace = [&](std::string_view name, std::vector<std::string>& list) {
    if (request.param(name)) list = words(request, name);
  };
  replace("label", options.label);
  replace("prediction", options.prediction);
  replace("ignore", options.ignore);
  replace("categorical", options.categorical);
  return options;
}

}  // namespace

http::Routes ml_routes(Models& models, const storage::Reader& reader, const Clock& clock) {
  Models::Impl& impl = *models.impl_;
  const auto store_reference = [&impl, &clock](const http::Request& request) -> http::Response {
    const std::string model(request.path_value("model"));
    const auto name = request.param("name");
    if (!name) return http::Response::error({Code::invalid_input, "parameter 'name' is missing: what is the reference called?"});
    const ml::UploadOptions options = parse_options(request);
    Result<std::shared_ptr<const ml::Reference>> stored;
    const bool form = request.content_type() == "application/x-www-form-urlencoded";
    if (request.body.empty() || form) {
      const bool pins = request.param("start") && request.param("end");
      // What is no form at all is a file that curl was not told the type of; with start and end beside it, it must not be passed over.
      if (form && !request.body.empty() && (!pins || request.body.find('=') == std::string::npos))
        return http::Response::error({Code::unsupported, "content type \"application/x-www-form-urlencoded\" (curl's own): text/csv or "
                                                         "application/x-ndjson is wanted, or both 'start' and 'end' to pin a stored window"});
      if (!pins)
        return http::Response::error({Code::invalid_input,
                                      "send a body (text/csv or application/x-ndjson), or both 'start' and 'end' to pin a "
                                      "stored window"});
      auto window = parse_window(request, clock);
      if (!window) return http::Response::error(window.error());
      stored = impl.pin(model, std::string(*name), *window, options);
    } else {
      auto body = request.decoded_body(ml::upload_bytes_max);
      if (!body) return http::Response::error(body.error());
      stored = impl.upload(model, std::string(*name), request.content_type(), *body, options);
    }
    if (!stored) return http::Response::error(stored.error());
    return success([&](JsonWriter& json) {
      json.begin_object().field("model", model).key("reference");
      write_reference(json, **stored, (*stored)->features.size());
      json.key("features").begin_array();
      for (const ml::FeatureReference& f : (*stored)->features)
        json.begin_object().field("name", f.name).field("type", name_of(f.type)).field("missing", f.missing).end_object();
      json.end_array().end_object();
    });
  };
  http::Routes routes;
  routes.push_back({"GET", "/api/v1/models", [&impl, &reader](const http::Request& r) { return list_models(impl.references, reader, r); }});
  routes.push_back({"GET", "/api/v1/models/{model}/drift",
                    [&impl, &clock](const http::Request& r) { return show_drift(impl, clock, r); }});
  routes.push_back({"GET", "/api/v1/models/{model}/performance",
                    [&impl, &clock](const http::Request& r) { return show_performance(impl, clock, r); }});
  routes.push_back({"GET", "/api/v1/models/{model}/references",
                    [&impl](const http::Request& r) { return list_references(impl.references, r); }});
  routes.push_back({"POST", "/api/v1/models/{model}/references", store_reference, http::Lane::query, ml::upload_bytes_max});
  return routes;
}

}  // namespace plumbline::query
