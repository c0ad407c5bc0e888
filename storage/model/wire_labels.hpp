// Labels as remote write carries them: for each label the byte 0a, a varint length, and in it 0a, the sized name, 12, the sized
// value. The form of sorted labels is the store's own name of a series; senders that sort (all known ones) send it as it is.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "storage/model/labels.hpp"

namespace plumbline::model {

// What is wrong with the labels of a series, with a stable word for counters.
struct LabelTrouble {
  std::string reason;  // missing_name, empty_label_name, duplicate_label, invalid_utf8, too_many_labels, label_too_long, damaged
  std::string message;
};

namespace limit {
inline constexpr std::size_t series_labels_max = 128;        // Kubernetes' heaviest targets carry 40
inline constexpr std::size_t label_name_bytes_max = 1024;    // Loki's and Mimir's default
inline constexpr std::size_t label_value_bytes_max = 16384;  // a long URL; beyond it a value is a payload, not a label
}  // namespace limit

void append_wire_form(const Labels& labels, std::string& out);
std::string wire_form(const Labels& labels);
void wire_form(const Labels& labels, std::string& out);  // replaces `out`, keeps its capacity

// The labels in the order they stand, unchecked but for structure and limits. Unknown fields are passed over, as protobuf asks.
std::expected<std::vector<Label>, LabelTrouble> read_wire_labels(std::string_view wire);
// The labels of a series by Prometheus' rules: sorted, empty values dropped.
std::expected<Labels, LabelTrouble> parse_wire_labels(std::string_view wire);
std::expected<Labels, LabelTrouble> checked_series_labels(std::vector<Label> labels);
// The same without the demand for __name__: the stream labels of rows.
std::expected<Labels, LabelTrouble> checked_stream_labels(std::vector<Label> labels);

// For messages: the series as PromQL prints it, or what can be said of damaged bytes.
std::string wire_name(std::string_view wire);
// Text from outside for a message: quoted, cut, safe to print.
std::string printable(std::string_view text);

}  // namespace plumbline::model
