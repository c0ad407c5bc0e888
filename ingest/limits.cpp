#include "ingest/limits.hpp"

#include <algorithm>

#include "daemon/base/text.hpp"

namespace plumbline::ingest {
namespace {

std::expected<model::Labels, Rejection> rejected(std::expected<model::Labels, model::LabelTrouble> labels) {
  if (labels) return std::move(*labels);
  return std::unexpected(Rejection{std::move(labels.error().reason), std::move(labels.error().message), 1});
}

}  // namespace

void Rejections::add(Rejection rejection) {
  if (rejection.count == 0) return;
  std::size_t same = 0;
  Rejection* last = nullptr;
  for (Rejection& r : list_)
    if (r.reason == rejection.reason) {
      ++same;
      last = &r;
    }
  if (same >= limit::refusals_named_max) {
    last->count += rejection.count;
    return;
  }
  list_.push_back(std::move(rejection));
}

bool Rejections::wants_message(std::string_view reason) const {
  const auto same = std::count_if(list_.begin(), list_.end(), [&](const Rejection& r) { return r.reason == reason; });
  return static_cast<std::size_t>(same) < limit::refusals_named_max;
}

std::uint64_t Rejections::count() const {
  std::uint64_t n = 0;
  for (const Rejection& r : list_) n += r.count;
  return n;
}

bool Budget::take(std::size_t bytes) {
  if (bytes > left_) return false;
  left_ -= bytes;
  return true;
}

Rejection over_budget() {
  return {"batch_too_large", "the request becomes more than " + std::to_string(limit::decoded_bytes_max) +
                                 " bytes in memory; send smaller batches", 1};
}

bool Budget::take(const model::Labels& labels) {
  std::size_t bytes = sizeof(storage::SeriesSamples) + sizeof(model::Sample);
  for (const model::Label& l : labels) bytes += sizeof(model::Label) + l.name.size() + l.value.size();
  return take(bytes);
}

bool Budget::take(const model::Row& row) {
  std::size_t bytes = sizeof(model::Row);
  for (const model::Field& f : row.fields) {
    bytes += sizeof(model::Field) + f.name.size();
    if (const auto* text = std::get_if<std::string>(&f.value)) bytes += text->size();
    if (const auto* list = std::get_if<model::List>(&f.value)) bytes += list->size() * sizeof(double);
  }
  return take(bytes);
}

std::optional<Rejection> row_trouble(const model::Row& row) {
  if (row.fields.size() > limit::row_fields_max)
    return Rejection{"too_many_fields", "it has " + std::to_string(row.fields.size()) + " fields, the limit is " +
                                            std::to_string(limit::row_fields_max), 1};
  for (const model::Field& f : row.fields) {
    if (!valid_utf8(f.name)) return Rejection{"invalid_utf8", "the field name " + printable(f.name) + " is not valid UTF-8", 1};
    if (f.name.size() > limit::label_name_bytes_max)
      return Rejection{"too_long", "the field name " + printable(f.name) + " has " + std::to_string(f.name.size()) +
                                       " bytes, the limit is " + std::to_string(limit::label_name_bytes_max), 1};
    const auto* text = std::get_if<std::string>(&f.value);
    if (text == nullptr) continue;
    if (text->size() > limit::field_bytes_max)
      return Rejection{"too_long", "field " + printable(f.name) + " has " + std::to_string(text->size()) +
                                       " bytes, the limit is " + std::to_string(limit::field_bytes_max), 1};
    if (!valid_utf8(*text)) return Rejection{"invalid_utf8", "field " + printable(f.name) + " is not valid UTF-8", 1};
  }
  return std::nullopt;
}

std::expected<model::Labels, Rejection> stream_labels(std::vector<model::Label> labels) {
  return rejected(model::checked_stream_labels(std::move(labels)));
}

std::expected<model::Labels, Rejection> series_labels(std::vector<model::Label> labels) {
  return rejected(model::checked_series_labels(std::move(labels)));
}

}  // namespace plumbline::ingest
