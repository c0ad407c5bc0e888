#include "ingest/exemplar.hpp"

#include <algorithm>
#include <limits>

#include "daemon/base/text.hpp"

namespace plumbline::ingest {
namespace {

std::size_t runes(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

// Ids stand as themselves, so that a trace leads to its exemplars by the id index.
std::string field_of(std::string_view label) {
  if (label == model::field::trace_id || label == model::field::span_id) return std::string(label);
  return std::string(model::field::exemplar_prefix) += label;
}

}  // namespace

std::size_t exemplar_runes(const std::vector<model::Label>& labels) {
  std::size_t n = 0;
  for (const model::Label& l : labels) n += runes(l.name) + runes(l.value);
  return n;
}

std::expected<model::Row, Rejection> exemplar_row(Exemplar exemplar) {
  if (const std::size_t n = exemplar_runes(exemplar.labels); n > exemplar_label_runes_max)
    return std::unexpected(Rejection{"exemplar_too_long", "its labels have " + std::to_string(n) + " characters, the limit is " +
                                                              std::to_string(exemplar_label_runes_max), 1});
  constexpr std::int64_t ns = 1'000'000;
  if (exemplar.time_ms > std::numeric_limits<std::int64_t>::max() / ns || exemplar.time_ms < 0)
    return std::unexpected(Rejection{"exemplar_bad_time", "its time " + std::to_string(exemplar.time_ms) + " ms is before 1970 or after 2262", 1});
  // Sorted and checked as the labels of a stream are; an empty value means an absent label.
  auto labels = stream_labels(std::move(exemplar.labels));
  if (!labels) return std::unexpected(Rejection{"exemplar_bad_labels", labels.error().message, 1});
  model::Row row;
  row.time_ns = exemplar.time_ms * ns;
  row.fields.push_back({std::string(model::field::exemplar_value), exemplar.value});
  for (const model::Label& l : *labels) row.fields.push_back({field_of(l.name), l.value});
  return row;
}

void add_exemplars(const model::Labels& series, std::vector<Exemplar> exemplars, std::string_view place, Budget& budget,
                   storage::WriteBatch& batch, Rejections& refused) {
  model::StreamRows rows{model::EventKind::exemplar, series, {}};
  const auto refuse = [&](const Rejection& why) {
    refused.add(why.reason, refused.wants_message(why.reason) ? std::string(place) + ": exemplar: " + why.message : "");
  };
  if (exemplars.size() > exemplars_per_series_max) {
    refuse({"exemplar_too_many", "more than " + std::to_string(exemplars_per_series_max) + " of one series in a request", 1});
    exemplars.resize(exemplars_per_series_max);
  }
  for (Exemplar& exemplar : exemplars) {
    std::expected<model::Row, Rejection> row = exemplar_row(std::move(exemplar));
    if (!row) {
      refuse(row.error());
    } else if ((rows.rows.empty() && !budget.take(series)) || !budget.take(*row)) {
      refuse({"exemplar_over_budget", over_budget().message, 1});
    } else {
      rows.rows.push_back(std::move(*row));
    }
  }
  if (!rows.rows.empty()) batch.events.push_back(std::move(rows));
}

bool is_of_exemplar(const Rejection& rejection) { return rejection.reason.starts_with("exemplar_"); }

std::uint64_t refused_but_exemplars(const Receipt& receipt) {
  std::uint64_t n = 0;
  for (const Rejection& r : receipt.rejections)
    if (!is_of_exemplar(r)) n += r.count;
  return n;
}

}  // namespace plumbline::ingest
