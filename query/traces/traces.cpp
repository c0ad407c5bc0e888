#include "query/traces/traces.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "daemon/base/text.hpp"
#include "query/ml/filter.hpp"

namespace plumbline::query::traces {
namespace {

namespace json = boost::json;
namespace field = model::field;

const storage::Column* column_of(const storage::RowBlock& block, std::string_view name) { return block.find(name); }

std::string text_at(const storage::Column* column, std::size_t row) {
  if (column == nullptr) return {};
  const auto* text = std::get_if<std::string>(&column->values[row]);
  return text == nullptr ? std::string() : *text;
}

std::int64_t integer_at(const storage::Column* column, std::size_t row) {
  if (column == nullptr) return 0;
  if (const auto* value = std::get_if<std::int64_t>(&column->values[row])) return *value;
  if (const auto* value = std::get_if<double>(&column->values[row])) return static_cast<std::int64_t>(*value);
  return 0;
}

model::Value value_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::bool_: return value.get_bool();
    case json::kind::int64: return value.get_int64();
    case json::kind::uint64: return static_cast<double>(value.get_uint64());
    case json::kind::double_: return value.get_double();
    case json::kind::string: return std::string(value.get_string().data(), value.get_string().size());
    case json::kind::null: return {};
    case json::kind::array:
    case json::kind::object: break;
  }
  return std::string(json::serialize(value));
}

std::string string_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr || !value->is_string()) return {};
  return std::string(value->get_string().data(), value->get_string().size());
}

void add_attributes(const json::object& object, Tags& to) {
  const json::value* attributes = object.if_contains("attributes");
  if (attributes == nullptr || !attributes->is_object()) return;
  for (const auto& member : attributes->get_object())
    to.emplace_back(std::string(member.key().data(), member.key().size()), value_of(member.value()));
}

// The receivers write this JSON (event.hpp); what does not parse is shown as one tag instead of being lost.
void read_events(const std::string& text, Span& span) {
  if (text.empty()) return;
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error);
  if (error || !parsed.is_array()) {
    span.tags.emplace_back("events", text);
    return;
  }
  for (const json::value& event : parsed.get_array()) {
    if (!event.is_object()) continue;
    Log log;
    log.time_ns = parse_int(string_member(event.get_object(), "time_ns")).value_or(span.start_ns);
    if (std::string name = string_member(event.get_object(), "name"); !name.empty())
      log.fields.emplace_back("event", std::move(name));
    add_attributes(event.get_object(), log.fields);
    span.logs.push_back(std::move(log));
  }
}

void read_links(const std::string& text, Span& span) {
  if (text.empty()) return;
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error);
  if (error || !parsed.is_array()) {
    span.tags.emplace_back("links", text);
    return;
  }
  for (const json::value& link : parsed.get_array())
    if (link.is_object())
      span.links.push_back({string_member(link.get_object(), "trace_id"), string_member(link.get_object(), "span_id")});
}

constexpr std::array<std::string_view, 6> kind_words{"", "internal", "server", "client", "producer", "consumer"};

// The columns of one block, found once.
struct Columns {
  explicit Columns(const storage::RowBlock& block)
      : trace_id(column_of(block, field::trace_id)), span_id(column_of(block, field::span_id)),
        parent(column_of(block, field::parent_span_id)), name(column_of(block, field::span_name)),
        kind(column_of(block, field::span_kind)), duration(column_of(block, field::duration_ns)),
        status(column_of(block, field::status_code)), message(column_of(block, field::status_message)),
        state(column_of(block, field::trace_state)), events(column_of(block, field::span_events)),
        links(column_of(block, field::span_links)), scope_name(column_of(block, field::scope_name)),
        scope_version(column_of(block, field::scope_version)) {
    for (const storage::Column& c : block.columns) {
      if (c.name.starts_with(field::attribute_prefix)) attributes.push_back(&c);
      if (c.name.starts_with(field::resource_prefix)) resources.push_back(&c);
    }
  }
  const storage::Column *trace_id, *span_id, *parent, *name, *kind, *duration, *status, *message, *state, *events, *links,
      *scope_name, *scope_version;
  std::vector<const storage::Column*> attributes, resources;
};

Span read_span(const storage::RowBlock& block, const Columns& c, std::size_t row) {
  Span span;
  span.trace_id = text_at(c.trace_id, row);
  span.span_id = text_at(c.span_id, row);
  span.parent_span_id = text_at(c.parent, row);
  span.name = text_at(c.name, row);
  if (span.name.empty()) span.name = std::string(block.stream->get("span_name"));
  span.service = std::string(block.stream->get("service_name"));
  span.start_ns = block.times_ns[row];
  span.duration_ns = integer_at(c.duration, row);
  const auto present = [](const model::Value& v) { return !std::holds_alternative<std::monostate>(v); };
  for (const storage::Column* column : c.attributes)
    if (present(column->values[row]))
      span.tags.emplace_back(column->name.substr(field::attribute_prefix.size()), column->values[row]);
  const auto tag = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) span.tags.emplace_back(std::string(key), value);
  };
  tag("otel.scope.name", text_at(c.scope_name, row));
  tag("otel.scope.version", text_at(c.scope_version, row));
  if (const auto kind = integer_at(c.kind, row); kind > 0 && kind < static_cast<std::int64_t>(kind_words.size()))
    tag("span.kind", std::string(kind_words[static_cast<std::size_t>(kind)]));
  const std::int64_t status = integer_at(c.status, row);
  span.error = status == 2;
  if (status == 1) tag("otel.status_code", "OK");
  if (span.error) {
    tag("otel.status_code", "ERROR");
    span.tags.emplace_back("error", true);
  }
  tag("otel.status_description", text_at(c.message, row));
  tag("w3c.tracestate", text_at(c.state, row));
  for (const storage::Column* column : c.resources) {
    std::string key = column->name.substr(field::resource_prefix.size());
    if (key != "service.name" && present(column->values[row])) span.process.emplace_back(std::move(key), column->values[row]);
  }
  read_events(text_at(c.events, row), span);
  read_links(text_at(c.links, row), span);
  return span;
}

// Drops all but the traces_max newest, so that a search over a year holds a bounded number; gives the oldest kept start.
std::int64_t keep_newest(std::map<std::string, std::int64_t>& traces) {
  std::vector<std::int64_t> starts;
  for (const auto& [id, start] : traces) starts.push_back(start);
  std::nth_element(starts.begin(), starts.begin() + traces_max, starts.end(), std::greater<>());
  const std::int64_t oldest = starts[traces_max];
  std::erase_if(traces, [&](const auto& trace) { return trace.second < oldest; });
  return oldest;
}

void write_tag(JsonWriter& out, const std::string& key, const model::Value& value) {
  out.begin_object().field("key", key);
  if (const auto* truth = std::get_if<bool>(&value)) {
    out.field("type", "bool").field("value", *truth);
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    out.field("type", "int64").field("value", *integer);
  } else if (const auto* number = std::get_if<double>(&value); number != nullptr && ml::number_of(value)) {
    out.field("type", "float64").field("value", *number);
  } else if (const auto* list = std::get_if<model::List>(&value)) {
    std::string text;
    JsonWriter inner(text);
    inner.begin_array();
    for (const double v : *list) inner.number(v);
    inner.end_array();
    out.field("type", "string").field("value", text);
  } else {
    out.field("type", "string").field("value", ml::text_of(value).value_or(""));
  }
  out.end_object();
}

void write_tags(JsonWriter& out, std::string_view name, const Tags& tags) {
  out.key(name).begin_array();
  for (const auto& [key, value] : tags) write_tag(out, key, value);
  out.end_array();
}

}  // namespace

Result<std::string> pad_trace_id(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  });
  if (!good) return fail(Code::invalid_input, "trace id " + json_quote(text) + ": 1 to 32 hex digits are expected");
  return std::string(32 - text.size(), '0') + to_lower(text);
}

Result<Trace> read_trace(const storage::Reader& reader, const std::string& padded_id) {
  Trace trace;
  trace.id = padded_id;
  storage::EventQuery query;
  query.kind = model::EventKind::span;
  std::string short_id = padded_id;
  short_id.erase(0, std::min(short_id.find_first_not_of('0'), short_id.size() - 1));
  std::vector<std::string> ids{padded_id};
  if (padded_id.starts_with("0000000000000000")) ids.push_back(padded_id.substr(16));  // 64-bit ids, stored as they came
  if (short_id != ids.back() && short_id != padded_id) ids.push_back(short_id);
  std::set<std::pair<std::string, std::int64_t>> seen;  // a span sent twice is shown once
  for (const std::string& id : ids) {
    query.id = {std::string(field::trace_id), id};
    PLUMBLINE_CHECK_OK(reader.scan(query, [&](const storage::RowBlock& block) {
      const Columns columns(block);
      for (std::size_t row = 0; row < block.times_ns.size(); ++row) {
        Span span = read_span(block, columns, row);
        if (span.trace_id != id || !seen.emplace(span.span_id, span.start_ns).second) continue;
        if (trace.spans.size() >= spans_max) {
          trace.cut = true;
          return false;
        }
        span.trace_id = padded_id;
        trace.spans.push_back(std::move(span));
      }
      return true;
    }));
    if (!trace.spans.empty()) break;
  }
  std::sort(trace.spans.begin(), trace.spans.end(), [](const Span& a, const Span& b) {
    return a.start_ns != b.start_ns ? a.start_ns < b.start_ns : a.span_id < b.span_id;
  });
  return trace;
}

Result<std::vector<Trace>> search(const storage::Reader& reader, const Search& wanted) {
  storage::EventQuery query;
  query.kind = model::EventKind::span;
  query.stream.push_back(model::Matcher::equal("service_name", wanted.service));
  if (!wanted.operation.empty()) query.stream.push_back(model::Matcher::equal("span_name", wanted.operation));
  query.range_ns = {wanted.start_ns, wanted.end_ns};
  query.newest_first = true;
  std::map<std::string, std::int64_t> newest;  // trace -> start of its newest span that fits
  std::int64_t floor = std::numeric_limits<std::int64_t>::min();
  const auto fits = [&](const Span& span) {
    if (span.duration_ns < wanted.duration_min_ns) return false;
    if (wanted.duration_max_ns && span.duration_ns > *wanted.duration_max_ns) return false;
    return std::all_of(wanted.tags.begin(), wanted.tags.end(), [&](const auto& tag) {
      const auto equal = [&](const auto& have) { return have.first == tag.first && ml::text_of(have.second) == ml::text_of(tag.second); };
      return std::any_of(span.tags.begin(), span.tags.end(), equal) ||
             std::any_of(span.process.begin(), span.process.end(), equal) ||
             std::any_of(span.logs.begin(), span.logs.end(), [&](const Log& log) {
               return std::any_of(log.fields.begin(), log.fields.end(), equal);
             });
    });
  };
  PLUMBLINE_CHECK_OK(reader.scan(query, [&](const storage::RowBlock& block) {
    const Columns columns(block);
    for (std::size_t row = 0; row < block.times_ns.size(); ++row) {
      const std::int64_t start = block.times_ns[row];
      if (start <= floor) continue;  // cannot be among the newest any more: not worth decoding
      const Span span = read_span(block, columns, row);
      if (span.trace_id.empty() || !fits(span)) continue;
      auto [at, fresh] = newest.try_emplace(span.trace_id, start);
      if (!fresh) at->second = std::max(at->second, start);
      if (newest.size() > 8 * traces_max) floor = keep_newest(newest);
    }
    return true;
  }));
  std::vector<std::pair<std::int64_t, std::string>> order;
  for (const auto& [id, start] : newest) order.emplace_back(start, id);
  std::sort(order.rbegin(), order.rend());
  std::vector<Trace> out;
  for (const auto& [start, id] : order) {
    if (out.size() >= wanted.limit) break;
    PLUMBLINE_TRY(const std::string padded, pad_trace_id(id));
    PLUMBLINE_TRY(Trace trace, read_trace(reader, padded));
    out.push_back(std::move(trace));
  }
  return out;
}

void write_trace(JsonWriter& out, const Trace& trace) {
  // One process for each different (service, resource); p1, p2, ... in order of appearance.
  std::vector<std::pair<std::string, const Tags*>> processes;
  const auto process_id = [&](const Span& span) {
    for (std::size_t k = 0; k < processes.size(); ++k)
      if (processes[k].first == span.service && *processes[k].second == span.process) return "p" + std::to_string(k + 1);
    processes.emplace_back(span.service, &span.process);
    return "p" + std::to_string(processes.size());
  };
  out.begin_object().field("traceID", trace.id).key("spans").begin_array();
  for (const Span& span : trace.spans) {
    out.begin_object().field("traceID", span.trace_id).field("spanID", span.span_id).field("operationName", span.name);
    out.key("references").begin_array();
    const auto reference = [&](std::string_view type, const std::string& trace_id, const std::string& span_id) {
      out.begin_object().field("refType", type).field("traceID", trace_id).field("spanID", span_id).end_object();
    };
    if (!span.parent_span_id.empty()) reference("CHILD_OF", span.trace_id, span.parent_span_id);
    for (const Link& link : span.links) reference("FOLLOWS_FROM", link.trace_id, link.span_id);
    out.end_array();
    out.field("startTime", span.start_ns / 1000).field("duration", span.duration_ns / 1000);
    write_tags(out, "tags", span.tags);
    out.key("logs").begin_array();
    for (const Log& log : span.logs) {
      out.begin_object().field("timestamp", log.time_ns / 1000);
      write_tags(out, "fields", log.fields);
      out.end_object();
    }
    out.end_array();
    out.field("processID", process_id(span)).key("warnings").null().end_object();
  }
  out.end_array().key("processes").begin_object();
  for (std::size_t k = 0; k < processes.size(); ++k) {
    out.key("p" + std::to_string(k + 1)).begin_object().field("serviceName", processes[k].first);
    write_tags(out, "tags", *processes[k].second);
    out.end_object();
  }
  out.end_object().key("warnings");
  if (trace.cut)
    out.begin_array().string("the trace has more than " + std::to_string(spans_max) + " spans; the rest is not shown").end_array();
  else out.null();
  out.end_object();
}

}  // namespace plumbline::query::traces
