// {"streams":[{"stream":{"app":"x"},"values":[["<ns>","line",{"trace_id":"..."}]]}]}, and the form of
// /api/prom/push:
// {"streams":[{"labels":"{app=\"x\"}","entries":[{"ts":"<RFC 3339>","line":"..."}]}]}.
#include "daemon/base/text.hpp"
#include "ingest/text/json_tree.hpp"
#include "ingest/text/label_text.hpp"
#include "ingest/text/loki.hpp"

namespace plumbline::ingest {
namespace {

using Kind = JsonNode::Kind;

struct BadEntry {
  std::string reason, text;
};

void begin(JsonNode& stream, LokiRows& rows) {
  std::vector<model::Label> labels;
  if (JsonNode* set = stream.find("stream"); set != nullptr) {
    if (!set->is(Kind::object))
      return rows.begin_bad_stream(
          "wrong_type", "\"stream\" is " + std::string(set->kind_name()) + ", an object is wanted");
    for (JsonNode& label : set->children) {
      if (!label.is(Kind::string))
        return rows.begin_bad_stream("wrong_type", "label " + json_quote(label.key.substr(0, 80)) + " is " +
                                                       std::string(label.kind_name()) +
                                                       ", a string is wanted");
      labels.push_back({std::move(label.key), std::move(label.text)});
    }
  } else if (const JsonNode* text = stream.find("labels"); text != nullptr && text->is(Kind::string)) {
    auto parsed = parse_label_text(text->text);
    if (!parsed) return rows.begin_bad_stream("invalid_labels", parsed.error().message);
    labels = std::move(*parsed);
  } else {
    return rows.begin_bad_stream("missing_labels", "the stream has no \"stream\" object");
  }
  rows.begin_stream(std::move(labels));
}

std::expected<void, BadEntry> read_metadata(JsonNode& node, LokiEntry& entry) {
  if (node.is(Kind::null)) return {};
  if (!node.is(Kind::object))
    return std::unexpected(BadEntry{
        "wrong_type", "structured metadata is " + std::string(node.kind_name()) + ", an object is wanted"});
  for (JsonNode& pair : node.children) {
    if (!pair.is(Kind::string))
      return std::unexpected(
          BadEntry{"wrong_type", "structured metadata " + json_quote(pair.key.substr(0, 80)) + " is " +
                                     std::string(pair.kind_name()) + ", a string is wanted"});
    entry.metadata.emplace_back(std::move(pair.key), std::move(pair.text));
  }
  return {};
}

// ["<ns>", "line", {metadata}]
std::expected<LokiEntry, BadEntry> read_value(JsonNode& node) {
  if (!node.is(Kind::array) || node.children.size() < 2 || node.children.size() > 3)
    return std::unexpected(
        BadEntry{"wrong_type", "an entry is [\"<nanoseconds>\", \"line\"] with an optional metadata object"});
  JsonNode& time = node.children[0];
  JsonNode& line = node.children[1];
  if (!time.is(Kind::string))
    return std::unexpected(BadEntry{"invalid_time", "the timestamp is " + std::string(time.kind_name()) +
                                                        ", a string of nanoseconds is wanted"});
  const auto ns = parse_int(time.text);
  if (!ns)
    return std::unexpected(BadEntry{"invalid_time", "timestamp " + json_quote(time.text.substr(0, 40)) +
                                                        " is not a number of nanoseconds"});
  if (!line.is(Kind::string))
    return std::unexpected(
        BadEntry{"wrong_type", "the line is " + std::string(line.kind_name()) + ", a string is wanted"});
  LokiEntry entry{*ns, std::move(line.text), {}};
  if (node.children.size() == 3)
    if (auto status = read_metadata(node.children[2], entry); !status) return std::unexpected(status.error());
  return entry;
}

// {"ts":"<RFC 3339>","line":"..."}
std::expected<LokiEntry, BadEntry> read_old_entry(JsonNode& node) {
  JsonNode* time = node.find("ts");
  JsonNode* line = node.find("line");
  if (time == nullptr || line == nullptr || !time->is(Kind::string) || !line->is(Kind::string))
    return std::unexpected(BadEntry{"wrong_type", "an entry is {\"ts\":\"<RFC 3339>\",\"line\":\"...\"}"});
  const auto ns = parse_rfc3339_ns(time->text);
  if (!ns) return std::unexpected(BadEntry{"invalid_time", ns.error().message});
  return LokiEntry{*ns, std::move(line->text), {}};
}

void read_stream(JsonNode& stream, LokiRows& rows) {
  if (!stream.is(Kind::object)) {
    rows.begin_bad_stream("wrong_type",
                          "the stream is " + std::string(stream.kind_name()) + ", an object is wanted");
    return rows.refuse_entry("", "");
  }
  begin(stream, rows);
  JsonNode* values = stream.find("values");
  const bool old_form = values == nullptr;
  if (old_form) values = stream.find("entries");
  if (values == nullptr || values->is(Kind::null)) return;  // a stream without entries is no mistake
  if (!values->is(Kind::array))
    return rows.refuse_entry("wrong_type",
                             "the entries are " + std::string(values->kind_name()) + ", an array is wanted");
  for (JsonNode& node : values->children) {
    auto entry = old_form ? read_old_entry(node) : read_value(node);
    if (entry)
      rows.add(std::move(*entry));
    else
      rows.refuse_entry(entry.error().reason, entry.error().text);
  }
}

}  // namespace

Status decode_loki_json(std::string_view body, LokiRows& rows) {
  auto parsed = parse_json(body, JsonLimits{});
  if (!parsed) return fail(parsed.error());
  JsonNode root = std::move(*parsed);
  if (!root.is(Kind::object))
    return fail(Code::invalid_input,
                "the body is " + std::string(root.kind_name()) + ", an object with \"streams\" is wanted");
  JsonNode* streams = root.find("streams");
  if (streams == nullptr || streams->is(Kind::null)) return {};
  if (!streams->is(Kind::array))
    return fail(Code::invalid_input,
                "\"streams\" is " + std::string(streams->kind_name()) + ", an array is wanted");
  for (JsonNode& stream : streams->children) read_stream(stream, rows);
  return {};
}

}  // namespace plumbline::ingest
