// Label sets, matchers, samples, rows and time ranges: the words that ingest, storage, query and alerting share.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"

namespace plumbline::model {

inline constexpr std::string_view metric_name_label = "__name__";

struct Label {
  std::string name;
  std::string value;
  auto operator<=>(const Label&) const = default;
};

// A sorted set of labels with unique names and no empty values (an empty value means "absent", as in Prometheus).
class Labels {
 public:
  Labels() = default;
  // Sorts, drops empty values. Fails: invalid_input for a duplicate or empty name and for invalid UTF-8, naming the label.
  static Result<Labels> make(std::vector<Label> labels);
  // For names and values already known to be good (tests, our own series); a duplicate keeps the last.
  static Labels of(std::initializer_list<Label> labels);
  static Labels trusted(std::vector<Label> labels);

  std::string_view get(std::string_view name) const;  // "" when absent
  bool has(std::string_view name) const { return !get(name).empty(); }
  std::string_view metric() const { return get(metric_name_label); }
  Labels with(std::string_view name, std::string_view value) const;  // value "" removes
  Labels without(std::string_view name) const& { return with(name, ""); }
  Labels without(std::string_view name) &&;  // in place: no label is copied

  // {a="b", c="d"} with the metric name in front, as PromQL prints a series.
  std::string str() const;
  // XXH3-64 of encode(): the same on every machine and version; the vshard is fingerprint() % 256.
  std::uint64_t fingerprint() const;
  // Canonical bytes: varint count, then sized name, sized value, each in order.
  std::string encode() const;
  static Result<Labels> decode(std::string_view bytes);

  bool empty() const { return labels_.empty(); }
  std::size_t size() const { return labels_.size(); }
  auto begin() const { return labels_.begin(); }
  auto end() const { return labels_.end(); }
  auto operator<=>(const Labels&) const = default;

 private:
  std::vector<Label> labels_;
};

struct LabelsHash {
  std::size_t operator()(const Labels& labels) const { return labels.fingerprint(); }
};

}  // namespace plumbline::model
