#include "ingest/text/loki.hpp"

#include <algorithm>
#include <cctype>

#include "daemon/base/text.hpp"
#include "ingest/text/label_text.hpp"
#include "ingest/text/log_level.hpp"

namespace plumbline::ingest {
namespace {

namespace lim = loki_limits;

// The first thing wrong with a stream's labels: reason and text; two empty strings when they are good.
std::pair<std::string, std::string> fault_of(const std::vector<model::Label>& labels) {
  if (labels.empty()) return {"missing_labels", "a stream needs at least one label"};
  if (labels.size() > lim::stream_labels_max)
    return {"too_many_labels", std::to_string(labels.size()) + " labels, the limit is " +
                                   std::to_string(lim::stream_labels_max)};
  for (const model::Label& l : labels) {
    const std::string shown = json_quote(l.name.substr(0, 80));
    if (!is_label_name(l.name)) return {"invalid_labels", shown + " is not a label name"};
    if (l.name.size() > lim::label_name_bytes_max)
      return {"too_long", "label name " + shown + "... is longer than " +
                              std::to_string(lim::label_name_bytes_max) + " bytes"};
    if (l.value.size() > lim::label_value_bytes_max)
      return {"too_long", "the value of label " + shown + " is longer than " +
                              std::to_string(lim::label_value_bytes_max) + " bytes"};
  }
  return {};
}

// Metadata names become what LogQL can name, as Loki itself rewrites them: a.b is a_b, 1x is key_1x.
std::string metadata_name(std::string_view name) {
  std::string out;
  if (!name.empty() && name[0] >= '0' && name[0] <= '9') out = "key_";
  for (const char c : name) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    out.push_back(good ? c : '_');
  }
  // The row's own field of this name is the log line.
  if (out == model::field::line) out += "_extracted";
  return out;
}

// Ids are found through an index of lowercase hex; another spelling of the same id would not be.
void normalise_id(model::Field& field) {
  if (field.name != model::field::trace_id && field.name != model::field::span_id) return;
  auto& text = std::get<std::string>(field.value);
  const bool is_hex =
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
  if (is_hex && (text.size() == 32 || text.size() == 16)) text = to_lower(text);
}

}  // namespace

std::string LokiRows::place() const {
  return "stream " + std::to_string(stream_number_) + ", entry " + std::to_string(entry_number_);
}

bool LokiRows::begin_stream(std::vector<model::Label> labels) {
  auto [reason, text] = fault_of(labels);
  if (reason.empty()) {
    auto stream = model::Labels::make(std::move(labels));
    if (!stream) {
      reason = "invalid_labels";
      text = stream.error().message;
    } else if (stream->empty()) {
      reason = "missing_labels";
      text = "every label of the stream is empty";
    } else {
      ++stream_number_;
      entry_number_ = 0;
      stream_good_ = true;
      if (!stream->has(service_name_label))
        *stream = stream->with(service_name_label, discover_service_name(*stream));
      batch_.events.push_back({model::EventKind::log, std::move(*stream), {}});
      return true;
    }
  }
  begin_bad_stream(reason, text);
  return false;
}

void LokiRows::begin_bad_stream(std::string_view reason, std::string_view text) {
  ++stream_number_;
  entry_number_ = 0;
  stream_good_ = false;
  stream_reason_ = reason;
  stream_text_ = text;
}

void LokiRows::refuse_entry(std::string_view reason, std::string_view text) {
  ++entry_number_;
  ++entries_total_;
  if (stream_good_)
    refusals_.add(entries_total_, 0, reason, place() + ": " + std::string(text));
  else
    refusals_.add(entries_total_, 0, stream_reason_, place() + ": " + stream_text_);
}

void LokiRows::add(LokiEntry entry) {
  if (!stream_good_) return refuse_entry(stream_reason_, stream_text_);
  if (entry.line.size() > lim::line_bytes_max)
    return refuse_entry("line_too_long", "the line has " + std::to_string(entry.line.size()) +
                                             " bytes, the limit is " + std::to_string(lim::line_bytes_max));
  if (!valid_utf8(entry.line)) return refuse_entry("invalid_utf8", "the line is not valid UTF-8");
  if (entry.metadata.size() > lim::metadata_entries_max)
    return refuse_entry("too_much_metadata", std::to_string(entry.metadata.size()) +
                                                 " structured metadata entries, the limit is " +
                                                 std::to_string(lim::metadata_entries_max));
  std::size_t bytes = 0;
  for (const auto& [name, value] : entry.metadata) {
    bytes += name.size() + value.size();
    if (name.empty())
      return refuse_entry("invalid_metadata", "a structured metadata entry has an empty name");
    if (!valid_utf8(name) || !valid_utf8(value))
      return refuse_entry("invalid_utf8", "structured metadata is not valid UTF-8");
  }
  if (bytes > lim::metadata_bytes_max)
    return refuse_entry("too_much_metadata", "structured metadata has " + std::to_string(bytes) +
                                                 " bytes, the limit is " +
                                                 std::to_string(lim::metadata_bytes_max));
  ++entry_number_;
  ++entries_total_;
  model::StreamRows& stream = batch_.events.back();
  model::Row row;
  row.time_ns = entry.time_ns;
  row.fields.reserve(entry.metadata.size() + 2);
  for (auto& [name, value] : entry.metadata) {
    if (value.empty()) continue;  // empty is absent
    model::Field field{metadata_name(name), std::move(value)};
    normalise_id(field);
    const auto same = std::find_if(row.fields.begin(), row.fields.end(),
                                   [&](const model::Field& f) { return f.name == field.name; });
    if (same != row.fields.end())
      same->value = std::move(field.value);  // the last one wins
    else
      row.fields.push_back(std::move(field));
  }
  std::string level = detect_level(stream.stream, row.fields, entry.line);
  const auto given = std::find_if(row.fields.begin(), row.fields.end(),
                                  [](const model::Field& f) { return f.name == detected_level_name; });
  if (given != row.fields.end())
    given->value = std::move(level);
  else
    row.fields.push_back({std::string(detected_level_name), std::move(level)});
  row.fields.insert(row.fields.begin(), {std::string(model::field::line), std::move(entry.line)});
  if (!budget_.take(row)) {
    const Rejection over = over_budget();
    refusals_.add(entries_total_, 0, over.reason, place() + ": " + over.message);
    return;
  }
  stream.rows.push_back(std::move(row));
}

}  // namespace plumbline::ingest
