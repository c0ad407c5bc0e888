#include "ingest/limits.hpp"

#include <algorithm>

#include "daemon/base/text.hpp"

namespace plumbline::ingest {
namespace {

std::unexpected<Rejection> refuse(std::string_view reason, std::string message) {
  return std::unexpected(Rejection{std::string(reason), std::move(message), 1});
}

// How a refused series is named: by its metric where it has one.
std::string name_of(const std::vector<model::Label>& labels) {
  for (const model::Label& l : labels)
    if (l.name == model::metric_name_label && !l.value.empty()) return "series " + printable(l.value);
  return labels.empty() ? "series {}" : "series {" + printable(labels.front().name) + "=" + printable(labels.front().value) + ", ...}";
}

}  // namespace

std::string printable(std::string_view text) {
  if (text.size() <= limit::quoted_bytes_max) return json_quote(text);
  return json_quote(text.substr(0, limit::quoted_bytes_max)) + "...";
}

void Rejections::add(std::string_view reason, std::string message, std::uint64_t count) {
  if (count == 0) return;
  std::size_t same = 0;
  Rejection* last = nullptr;
  for (Rejection& r : list_)
    if (r.reason == reason) {
      ++same;
      last = &r;
    }
  if (same >= limit::refusals_named_max) {
    last->count += count;
    return;
  }
  list_.push_back({std::string(reason), std::move(message), count});
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
  if (labels.size() > limit::series_labels_max)
    return refuse("too_many_labels", name_of(labels) + " has " + std::to_string(labels.size()) + " labels, the limit is " +
                                         std::to_string(limit::series_labels_max));
  for (const model::Label& l : labels) {
    if (l.name.empty()) return refuse("empty_label_name", name_of(labels) + " has a label without a name");
    if (!valid_utf8(l.name))
      return refuse("invalid_utf8", name_of(labels) + ": label name " + printable(l.name) + " is not valid UTF-8");
    if (!valid_utf8(l.value))
      return refuse("invalid_utf8", name_of(labels) + ": the value of label " + printable(l.name) + " is not valid UTF-8");
    if (l.name.size() > limit::label_name_bytes_max)
      return refuse("label_too_long", name_of(labels) + ": label name " + printable(l.name) + " has " +
                                          std::to_string(l.name.size()) + " bytes, the limit is " +
                                          std::to_string(limit::label_name_bytes_max));
    if (l.value.size() > limit::label_value_bytes_max)
      return refuse("label_too_long", name_of(labels) + ": the value of label " + printable(l.name) + " has " +
                                          std::to_string(l.value.size()) + " bytes, the limit is " +
                                          std::to_string(limit::label_value_bytes_max));
  }
  std::sort(labels.begin(), labels.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(labels.begin(), labels.end(), [](const auto& a, const auto& b) { return a.name == b.name; });
  if (twice != labels.end())
    return refuse("duplicate_label", name_of(labels) + " has label " + printable(twice->name) + " more than once");
  std::erase_if(labels, [](const model::Label& l) { return l.value.empty(); });
  return model::Labels::trusted(std::move(labels));
}

std::expected<model::Labels, Rejection> series_labels(std::vector<model::Label> labels) {
  const bool named = std::any_of(labels.begin(), labels.end(), [](const model::Label& l) {
    return l.name == model::metric_name_label && !l.value.empty();
  });
  if (!named) return refuse("missing_name", name_of(labels) + " has no __name__");
  return stream_labels(std::move(labels));
}

}  // namespace plumbline::ingest
