#include "ingest/text/inference.hpp"

#include <algorithm>
#include <cctype>

#include "daemon/base/text.hpp"

namespace plumbline::ingest {
namespace {

namespace lim = inference_limits;
namespace f = model::field;
using model::Value;

// Feature values go into messages cut to this: enough to recognise a row, not enough to flood a log.
constexpr std::size_t quoted_bytes_max = 80;

std::string quoted(std::string_view text) {
  if (text.size() <= quoted_bytes_max) return json_quote(text);
  return json_quote(text.substr(0, quoted_bytes_max)) + "...";
}

std::unexpected<Error> refuse(std::string_view reason, std::string text) {
  return fail(Code::invalid_input, std::string(reason) + ": " + std::move(text));
}

Status check_text(std::string_view what, std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max)
    return refuse("too_long", std::string(what) + " has " + std::to_string(text.size()) +
                                  " bytes, the limit is " + std::to_string(bytes_max));
  if (!valid_utf8(text)) return refuse("invalid_utf8", std::string(what) + " is not valid UTF-8");
  return {};
}

// Ids of W3C trace context: hex of a fixed length, lowercase in the store; all zeros is its word for "none".
Status normalise_id(std::string_view what, std::string& id, std::size_t digits) {
  if (id.empty()) return {};
  const bool good = id.size() == digits &&
                    std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
  if (!good)
    return refuse("invalid_id",
                  std::string(what) + " " + quoted(id) + " is not " + std::to_string(digits) + " hex digits");
  id = to_lower(id);
  if (id.find_first_not_of('0') == std::string::npos) id.clear();
  return {};
}

// `lists` says whether this place takes a list; numbers become f64 everywhere.
Status normalise_value(std::string_view what, Value& value, bool lists) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    value = static_cast<double>(*i);
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    return check_text(what, *s, lim::text_bytes_max);
  } else if (const auto* list = std::get_if<model::List>(&value)) {
    if (!lists)
      return refuse("wrong_type", std::string(what) + " is an array; a number, string or bool is wanted");
    if (list->size() > lim::list_max)
      return refuse("too_long", std::string(what) + " has " + std::to_string(list->size()) +
                                    " elements, the limit is " + std::to_string(lim::list_max));
  }
  return {};
}

using Pairs = std::vector<std::pair<std::string, Value>>;

Status normalise_pairs(std::string_view kind, Pairs& pairs, std::size_t count_max, bool lists) {
  if (pairs.size() > count_max)
    return refuse("too_many", "the record has " + std::to_string(pairs.size()) + " " + std::string(kind) +
                                  "s, the limit is " + std::to_string(count_max));
  for (auto& [name, value] : pairs) {
    const std::string what = std::string(kind) + " " + quoted(name);
    if (name.empty()) return refuse("invalid_name", "a " + std::string(kind) + " has an empty name");
    PLUMBLINE_CHECK_OK(check_text(what + " name", name, lim::name_bytes_max));
    PLUMBLINE_CHECK_OK(normalise_value(what, value, lists));
  }
  std::vector<std::string_view> names;
  names.reserve(pairs.size());
  for (const auto& pair : pairs) names.push_back(pair.first);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end())
    return refuse("duplicate_key", std::string(kind) + " " + quoted(*twice) + " appears more than once");
  return {};
}

Status normalise(InferenceInput& in) {
  if (in.model.empty()) return refuse("missing_model", "the record has no model");
  PLUMBLINE_CHECK_OK(check_text("model", in.model, lim::name_bytes_max));
  PLUMBLINE_CHECK_OK(check_text("version", in.version, lim::name_bytes_max));
  PLUMBLINE_CHECK_OK(check_text("prediction_id", in.prediction_id, lim::id_bytes_max));
  PLUMBLINE_CHECK_OK(check_text("status", in.status, lim::name_bytes_max));
  PLUMBLINE_CHECK_OK(normalise_id("trace_id", in.trace_id, 32));
  PLUMBLINE_CHECK_OK(normalise_id("span_id", in.span_id, 16));
  if (in.features.empty() && std::holds_alternative<std::monostate>(in.prediction))
    return refuse("missing_features", "the record has neither features nor a prediction");
  PLUMBLINE_CHECK_OK(normalise_pairs("feature", in.features, lim::features_max, true));
  PLUMBLINE_CHECK_OK(normalise_pairs("segment", in.segment, lim::segment_max, false));
  PLUMBLINE_CHECK_OK(normalise_pairs("score", in.scores, lim::scores_max, false));
  for (auto& [name, value] : in.scores)
    if (!std::holds_alternative<double>(value) && !std::holds_alternative<std::monostate>(value))
      return refuse("wrong_type", "score " + quoted(name) + " is not a number");
  PLUMBLINE_CHECK_OK(normalise_value("prediction", in.prediction, false));
  PLUMBLINE_CHECK_OK(normalise_value("label", in.label, false));
  PLUMBLINE_CHECK_OK(normalise_value("score", in.score, false));
  if (!std::holds_alternative<double>(in.score) && !std::holds_alternative<std::monostate>(in.score))
    return refuse("wrong_type", "score is not a number");
  return {};
}

// The batch's rows of this stream. Only the newest groups are searched: a request that alternates over more
// streams than this gets more groups, which costs it nothing, where a full search would be quadratic.
std::size_t group_of(storage::WriteBatch& batch, model::Labels stream) {
  constexpr std::size_t groups_searched = 64;
  const std::size_t count = batch.events.size();
  for (std::size_t i = 0; i < std::min(count, groups_searched); ++i) {
    model::StreamRows& group = batch.events[count - 1 - i];
    if (group.kind == model::EventKind::inference && group.stream == stream) return count - 1 - i;
  }
  batch.events.push_back({model::EventKind::inference, std::move(stream), {}});
  return count;
}

void put(model::Row& row, std::string name, Value value) {
  if (!std::holds_alternative<std::monostate>(value))
    row.fields.push_back({std::move(name), std::move(value)});
}

void put_text(model::Row& row, std::string_view name, std::string text) {
  if (!text.empty()) row.fields.push_back({std::string(name), std::move(text)});
}

// Null features are kept as null: "the column is known and has no value here" is what the missing rate
// counts.
void put_all(model::Row& row, std::string_view prefix, Pairs pairs) {
  for (auto& [name, value] : pairs) row.fields.push_back({std::string(prefix) + name, std::move(value)});
}

}  // namespace

Result<std::size_t> add_inference(storage::WriteBatch& batch, InferenceInput input, std::int64_t now_ns) {
  PLUMBLINE_CHECK_OK(normalise(input));
  std::vector<model::Label> labels{{"model", std::move(input.model)}};
  if (!input.version.empty()) labels.push_back({"version", std::move(input.version)});
  auto stream = model::Labels::make(std::move(labels));
  if (!stream) return refuse("invalid_name", stream.error().message);

  model::Row row;
  row.time_ns = input.time_ns.value_or(now_ns);
  row.fields.reserve(input.features.size() + input.segment.size() + input.scores.size() + 8);
  put_text(row, f::prediction_id, std::move(input.prediction_id));
  put_text(row, f::trace_id, std::move(input.trace_id));
  put_text(row, f::span_id, std::move(input.span_id));
  put_all(row, f::feature_prefix, std::move(input.features));
  put(row, std::string(f::prediction), std::move(input.prediction));
  put(row, std::string(f::score), std::move(input.score));
  for (auto& [name, value] : input.scores)
    put(row, std::string(f::class_score_prefix) + name, std::move(value));
  put(row, std::string(f::label), std::move(input.label));
  put_all(row, f::segment_prefix, std::move(input.segment));
  if (input.latency_ms) put(row, std::string(f::latency_ms), *input.latency_ms);
  put_text(row, f::status, std::move(input.status));
  const std::size_t group = group_of(batch, std::move(*stream));
  batch.events[group].rows.push_back(std::move(row));
  return group;
}

void number_row(RowNumbers& numbers, std::size_t group, std::uint64_t row) {
  if (numbers.size() <= group) numbers.resize(group + 1);
  numbers[group].push_back(row);
}

Result<void> add_late_label(storage::WriteBatch& batch, model::LateLabel label) {
  if (label.model.empty()) return refuse("missing_model", "the label has no model");
  if (label.prediction_id.empty()) return refuse("missing_prediction_id", "the label has no prediction_id");
  if (std::holds_alternative<std::monostate>(label.label))
    return refuse("missing_label", "the label has no value");
  PLUMBLINE_CHECK_OK(check_text("model", label.model, lim::name_bytes_max));
  PLUMBLINE_CHECK_OK(check_text("prediction_id", label.prediction_id, lim::id_bytes_max));
  PLUMBLINE_CHECK_OK(normalise_value("label", label.label, false));
  batch.labels.push_back(std::move(label));
  return {};
}

Rejection refusal_of(const Error& error, std::string_view place) {
  const std::size_t colon = error.message.find(": ");
  if (colon == std::string::npos) return {"invalid", std::string(place) + ": " + error.message, 1};
  return {error.message.substr(0, colon), std::string(place) + ": " + error.message.substr(colon + 2), 1};
}

}  // namespace plumbline::ingest
