// What the translators of logs and traces share: the fields of a row under construction, and rows grouped by stream.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "ingest/limits.hpp"
#include "storage/model/event.hpp"

namespace plumbline::ingest {

// Keeps names unique in constant time per field, whatever the sender repeats.
class RowFields {
 public:
  void add(std::string name, model::Value value) {
    index_.emplace(name, row_.fields.size());
    row_.fields.push_back({std::move(name), std::move(value)});
  }
  // Not added when empty: absent means absent.
  void text(std::string_view name, std::string value) {
    if (!value.empty()) add(std::string(name), std::move(value));
  }
  // The last of equal names counts.
  void set(std::string name, model::Value value) {
    const auto it = index_.find(name);
    if (it != index_.end())
      row_.fields[it->second].value = std::move(value);
    else
      add(std::move(name), std::move(value));
  }
  // Different texts of one name are joined with ";", so that none is lost.
  void join(std::string name, std::string value) {
    const auto it = index_.find(name);
    if (it == index_.end()) return text(name, std::move(value));
    auto* old = std::get_if<std::string>(&row_.fields[it->second].value);
    if (old != nullptr && *old != value && !value.empty()) *old += ";" + value;
  }
  model::Row take(std::int64_t time_ns) {
    row_.time_ns = time_ns;
    return std::move(row_);
  }

 private:
  model::Row row_;
  std::unordered_map<std::string, std::size_t> index_;
};

class RowBatch {
 public:
  explicit RowBatch(model::EventKind kind) : kind_(kind) {}

  template <class Place>  // std::string(); called only for a refusal whose message is kept
  void refuse(const Rejection& r, const Place& place) {
    refused_.add(r.reason, refused_.wants_message(r.reason) ? place() + ": " + r.message : std::string(), r.count);
  }
  template <class Place>
  void add(std::vector<model::Label> stream, model::Row row, const Place& place) {
    if (const auto trouble = row_trouble(row)) return refuse(*trouble, place);
    auto labels = stream_labels(std::move(stream));
    if (!labels) return refuse(labels.error(), place);
    if (!budget_.take(row)) {
      full_ = true;
      return refuse(over_budget(), place);
    }
    const auto [it, fresh] = groups_.try_emplace(*labels, batch_.events.size());
    if (fresh) batch_.events.push_back({kind_, std::move(*labels), {}});
    batch_.events[it->second].rows.push_back(std::move(row));
  }
  // Before a row is built: true (and the row refused) when it is for nothing, because the request has become too large or
  // its resource, which every row would copy, is.
  template <class Place>
  bool refuse_unbuilt(std::size_t resource_bytes, const Place& place) {
    if (full_) return refuse(over_budget(), place), true;
    if (resource_bytes <= limit::resource_bytes_max) return false;
    refuse({"resource_too_large", "its resource has " + std::to_string(resource_bytes) + " bytes, the limit is " +
                                      std::to_string(limit::resource_bytes_max), 1}, place);
    return true;
  }
  storage::WriteBatch& batch() { return batch_; }
  Decoded take() { return {std::move(batch_), refused_.take()}; }

 private:
  const model::EventKind kind_;
  storage::WriteBatch batch_;
  Rejections refused_;
  Budget budget_;
  bool full_ = false;
  std::unordered_map<model::Labels, std::size_t, model::LabelsHash> groups_;  // -> batch_.events
};

}  // namespace plumbline::ingest
