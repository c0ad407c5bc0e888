#include "ingest/text/inference_json.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "daemon/base/text.hpp"
#include "ingest/text/inference.hpp"

namespace plumbline::ingest {
namespace {

using Kind = JsonNode::Kind;

// A row has record -> features -> list; two more for what is refused with a better message than "too deep".
constexpr JsonLimits row_limits{.depth_max = 5, .nodes_max = 100'000};

std::unexpected<Error> refuse(std::string_view reason, std::string text) {
  return fail(Code::invalid_input, std::string(reason) + ": " + std::move(text));
}

std::unexpected<Error> wrong_type(std::string_view key, const JsonNode& node, std::string_view wanted) {
  return refuse("wrong_type", std::string(key) + " is " + std::string(node.kind_name()) + ", " +
                                  std::string(wanted) + " is wanted");
}

Result<double> read_number(std::string_view what, const JsonNode& node) {
  const std::optional<double> v = node.number();
  if (!v) return wrong_type(what, node, "a number");
  if (!std::isfinite(*v))
    return refuse("out_of_range", std::string(what) + " " + node.text.substr(0, 40) + " is beyond a double");
  return *v;
}

// A single value. `lists` says whether an array of numbers may stand here.
Result<model::Value> read_value(std::string_view what, JsonNode& node, bool lists) {
  switch (node.kind) {
    case Kind::null:
      return model::Value{};
    case Kind::boolean:
      return model::Value{node.truth};
    case Kind::string:
      return model::Value{std::move(node.text)};
    case Kind::number: {
      PLUMBLINE_TRY(const double v, read_number(what, node));
      return model::Value{v};
    }
    case Kind::object:
      break;
    case Kind::array: {
      if (!lists) break;
      model::List list;
      list.reserve(node.children.size());
      for (const JsonNode& child : node.children) {
        const std::string element = std::string(what) + "[" + std::to_string(list.size()) + "]";
        PLUMBLINE_TRY(const double v, read_number(element, child));
        list.push_back(v);
      }
      return model::Value{std::move(list)};
    }
  }
  return wrong_type(what, node,
                    lists ? "a number, string, bool, null or array of numbers" : "a number, string or bool");
}

Status read_text(std::string_view key, JsonNode& node, std::string& out) {
  if (node.is(Kind::null)) return {};
  if (!node.is(Kind::string)) return wrong_type(key, node, "a string");
  out = std::move(node.text);
  return {};
}

// For what people write both ways: "version": "3" and "version": 3.
Status read_text_or_number(std::string_view key, JsonNode& node, std::string& out) {
  if (!node.is(Kind::number)) return read_text(key, node, out);
  out = std::move(node.text);
  return {};
}

Status read_object(std::string_view key, JsonNode& node, bool lists,
                   std::vector<std::pair<std::string, model::Value>>& out) {
  if (node.is(Kind::null)) return {};
  if (!node.is(Kind::object)) return wrong_type(key, node, "an object");
  out.reserve(node.children.size());
  for (JsonNode& child : node.children) {
    const std::string what = std::string(key) + "." + child.key.substr(0, 80);
    PLUMBLINE_TRY(model::Value value, read_value(what, child, lists));
    out.emplace_back(std::move(child.key), std::move(value));
  }
  return {};
}

Status read_time(JsonNode& node, std::optional<std::int64_t>& out) {
  if (node.is(Kind::null)) return {};
  if (!node.is(Kind::string) && !node.is(Kind::number))
    return wrong_type("time", node, "RFC 3339 or a Unix time");
  out = json_time_ns(node);
  if (!out)
    return refuse("invalid_time",
                  "time " + json_quote(node.text.substr(0, 40)) + " is neither RFC 3339 with its zone (2026-11-27T10:00:00Z) nor a Unix time");
  return {};
}

Status read_score(JsonNode& node, InferenceInput& in) {
  if (node.is(Kind::object)) return read_object("score", node, false, in.scores);
  PLUMBLINE_TRY(in.score, read_value("score", node, false));
  return {};
}

Status unknown_key(const JsonNode& node) {
  return refuse("unknown_key", "unknown key " + json_quote(node.key.substr(0, 80)));
}

Status read_member(JsonNode& node, InferenceInput& in) {
  const std::string& key = node.key;
  if (key == "model") return read_text(key, node, in.model);
  if (key == "version") return read_text_or_number(key, node, in.version);
  if (key == "prediction_id") return read_text_or_number(key, node, in.prediction_id);
  if (key == "time") return read_time(node, in.time_ns);
  if (key == "features") return read_object(key, node, true, in.features);
  if (key == "segment") return read_object(key, node, false, in.segment);
  if (key == "score") return read_score(node, in);
  if (key == "trace_id") return read_text(key, node, in.trace_id);
  if (key == "span_id") return read_text(key, node, in.span_id);
  if (key == "status") return read_text_or_number(key, node, in.status);
  if (key == "prediction") {
    PLUMBLINE_TRY(in.prediction, read_value(key, node, false));
    return {};
  }
  if (key == "label") {
    PLUMBLINE_TRY(in.label, read_value(key, node, false));
    return {};
  }
  if (key == "latency_ms") {
    if (node.is(Kind::null)) return {};
    PLUMBLINE_TRY(in.latency_ms, read_number(key, node));
    return {};
  }
  return unknown_key(node);
}

Status read_label_member(JsonNode& node, model::LateLabel& out, std::optional<std::int64_t>& time_ns) {
  if (node.key == "model") return read_text(node.key, node, out.model);
  if (node.key == "prediction_id") return read_text_or_number(node.key, node, out.prediction_id);
  if (node.key == "time") return read_time(node, time_ns);
  if (node.key == "label") {
    PLUMBLINE_TRY(out.label, read_value(node.key, node, false));
    return {};
  }
  return unknown_key(node);
}

Status check_object(const JsonNode& row) {
  if (!row.is(Kind::object))
    return refuse("wrong_type", "the row is " + std::string(row.kind_name()) + ", an object is wanted");
  // Thirteen keys at most are known, so that comparing all pairs is cheap; more than that has an unknown one
  // anyway.
  for (std::size_t i = 0; i < std::min<std::size_t>(row.children.size(), 14); ++i)
    for (std::size_t j = i + 1; j < std::min<std::size_t>(row.children.size(), 14); ++j)
      if (row.children[i].key == row.children[j].key)
        return refuse("duplicate_key",
                      "key " + json_quote(row.children[i].key.substr(0, 80)) + " appears twice");
  return {};
}

Status add_record(JsonNode row, std::int64_t now_ns, JsonRows& out) {
  PLUMBLINE_CHECK_OK(check_object(row));
  InferenceInput in;
  for (JsonNode& member : row.children) PLUMBLINE_CHECK_OK(read_member(member, in));
  PLUMBLINE_TRY(const std::size_t group, add_inference(out.batch, std::move(in), now_ns));
  number_row(out.row_numbers, group, out.rows);
  return {};
}

Status add_label(JsonNode row, std::int64_t now_ns, JsonRows& out) {
  PLUMBLINE_CHECK_OK(check_object(row));
  model::LateLabel label;
  std::optional<std::int64_t> time_ns;
  for (JsonNode& member : row.children) PLUMBLINE_CHECK_OK(read_label_member(member, label, time_ns));
  label.time_ns = time_ns.value_or(now_ns);
  return add_late_label(out.batch, std::move(label));
}

using AddRow = std::function<Status(JsonNode, JsonRows&)>;  // called with its row counted already

std::string row_place(std::size_t row) {
  return "row " + std::to_string(row);
}

void take_row(JsonNode node, const AddRow& add, JsonRows& out, Refusals& refusals) {
  ++out.rows;
  if (auto status = add(std::move(node), out); !status) {
    Rejection r = refusal_of(status.error(), row_place(out.rows));
    refusals.add(out.rows, 0, r.reason, std::move(r.message));
  }
}

void decode_array(std::string_view body, const AddRow& add, JsonRows& out, Refusals& refusals) {
  const std::size_t refused_before = refusals.count();
  const auto status = parse_json_rows(
      body, row_limits, [&](std::size_t, JsonNode node) { take_row(std::move(node), add, out, refusals); });
  if (status) return;
  // Where the array breaks off its sender and we no longer agree on what the rows are; none is stored, each
  // is counted.
  const std::size_t good = out.rows - (refusals.count() - refused_before);
  ++out.rows;
  refusals.add(out.rows, 0, "json", status.error().message + "; an array with broken JSON is refused whole");
  for (std::size_t i = 0; i < good; ++i)
    refusals.add(0, 0, "json", "a good row of an array with broken JSON");
  out.batch = {};
  out.row_numbers = {};
}

void decode_lines(std::string_view body, const AddRow& add, JsonRows& out, Refusals& refusals) {
  while (!body.empty()) {
    const std::size_t end = std::min(body.find('\n'), body.size());
    const std::string_view line = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    if (trim(line).empty()) continue;
    auto node = parse_json(line, row_limits);
    if (node) {
      take_row(std::move(*node), add, out, refusals);
    } else {
      ++out.rows;
      refusals.add(out.rows, 0, "json", row_place(out.rows) + ": " + node.error().message);
    }
  }
}

JsonRows decode_rows(std::string_view body, const AddRow& add, Refusals& refusals) {
  JsonRows out;
  body = trim(body);
  if (body.starts_with('[')) {
    decode_array(body, add, out, refusals);
    return out;
  }
  // One record written over several lines is JSON too; NDJSON fails here after its first line.
  if (body.starts_with('{') && body.find('\n') != std::string_view::npos) {
    const std::string_view first_line = body.substr(0, body.find('\n'));
    if (!parse_json(first_line, row_limits)) {
      if (auto whole = parse_json(body, row_limits)) {
        take_row(std::move(*whole), add, out, refusals);
        return out;
      }
    }
  }
  decode_lines(body, add, out, refusals);
  return out;
}

}  // namespace

std::optional<std::int64_t> json_time_ns(const JsonNode& node) {
  if (node.is(Kind::string) && !parse_number(node.text)) {
    const auto ns = parse_rfc3339_ns(node.text);
    return ns ? std::optional(*ns) : std::nullopt;
  }
  // Integers stay integers: a double has only 53 bits for the 61 of today's nanoseconds.
  if (const auto i = parse_int(node.text)) {
    const std::int64_t magnitude = *i < 0 ? -(*i + 1) : *i;
    if (magnitude < 100'000'000'000) {
      // Seconds after 2262 do not fit into nanoseconds.
      if (magnitude > 9'223'372'035) return std::nullopt;
      return *i * 1'000'000'000;
    }
    if (magnitude < 100'000'000'000'000) {
      if (magnitude > 9'223'372'036'854) return std::nullopt;
      return *i * 1'000'000;
    }
    if (magnitude < 100'000'000'000'000'000) {
      if (magnitude > 9'223'372'036'854'775) return std::nullopt;
      return *i * 1'000;
    }
    return *i;
  }
  const auto v = parse_number(node.text);
  if (!v || !std::isfinite(*v) || std::fabs(*v) > 9.2e18) return std::nullopt;
  return unix_ns_by_magnitude(*v);
}

JsonRows decode_inferences(std::string_view body, std::int64_t now_ns, Refusals& refusals) {
  return decode_rows(
      body,
      [now_ns](JsonNode row, JsonRows& out) {
        return add_record(std::move(row), now_ns, out);
      },
      refusals);
}

JsonRows decode_labels(std::string_view body, std::int64_t now_ns, Refusals& refusals) {
  return decode_rows(
      body,
      [now_ns](JsonNode row, JsonRows& out) { return add_label(std::move(row), now_ns, out); },
      refusals);
}

}  // namespace plumbline::ingest
