#include "ingest/sink_schema.hpp"

#include "daemon/base/bytes.hpp"
#include "ingest/limits.hpp"

namespace plumbline::ingest {
namespace {

constexpr std::uint8_t stored_version = 1;

std::string with_article(FeatureType type) { return "a " + std::string(name_of(type)); }

// How a refused row is named: by its number in the request where the decoder told, and its id where it has one.
std::string place_of(std::string_view model, const model::Row& row, std::uint64_t number) {
  std::string place = number == 0 ? "" : "row " + std::to_string(number) + ": ";
  place += "model " + printable(model);
  if (const model::Value* id = row.find(model::field::prediction_id))
    if (const auto* text = std::get_if<std::string>(id)) place += " (prediction_id " + printable(*text) + ")";
  return place;
}

// Finds a feature's type among what is known and what this batch taught.
const FeatureType* find_type(const FeatureTypes* known, const FeatureTypes* learned, std::string_view feature) {
  if (known != nullptr)
    if (const auto it = known->find(feature); it != known->end()) return &it->second;
  if (learned != nullptr)
    if (const auto it = learned->find(feature); it != learned->end()) return &it->second;
  return nullptr;
}

}  // namespace

std::string_view name_of(FeatureType type) {
  switch (type) {
    case FeatureType::number: return "number";
    case FeatureType::boolean: return "bool";
    case FeatureType::string: return "string";
    case FeatureType::list: return "list";
  }
  return "unknown";
}

std::optional<FeatureType> type_of(const model::Value& value) {
  if (std::holds_alternative<std::int64_t>(value) || std::holds_alternative<double>(value)) return FeatureType::number;
  if (std::holds_alternative<bool>(value)) return FeatureType::boolean;
  if (std::holds_alternative<std::string>(value)) return FeatureType::string;
  if (std::holds_alternative<model::List>(value)) return FeatureType::list;
  return std::nullopt;
}

FeatureSchema::Verdict FeatureSchema::check(const std::vector<model::StreamRows>& events,
                                             const RowNumbers& row_numbers) const {
  Verdict verdict;
  for (std::size_t g = 0; g < events.size(); ++g) {
    const model::StreamRows& group = events[g];
    if (group.kind != model::EventKind::inference) continue;
    const std::string model(group.stream.get("model"));
    const auto found = models_.find(model);
    const FeatureTypes* known = found != models_.end() ? &found->second : nullptr;
    FeatureTypes* learned = nullptr;
    if (const auto it = verdict.learned.find(model); it != verdict.learned.end()) learned = &it->second;

    for (std::size_t r = 0; r < group.rows.size(); ++r) {
      const std::uint64_t number = g < row_numbers.size() && r < row_numbers[g].size() ? row_numbers[g][r] : 0;
      FeatureTypes fresh;  // only a row that is stored teaches
      bool good = true;
      for (const model::Field& f : group.rows[r].fields) {
        if (!f.name.starts_with(model::field::feature_prefix)) continue;
        const std::optional<FeatureType> type = type_of(f.value);
        if (!type) continue;
        const std::string_view feature = std::string_view(f.name).substr(model::field::feature_prefix.size());
        const FeatureType* expected = find_type(known, learned, feature);
        if (expected == nullptr) {
          fresh.emplace(feature, *type);
        } else if (*expected != *type) {
          verdict.refused.push_back({g, r, "wrong_type",
                                     place_of(model, group.rows[r], number) + ": feature " + printable(feature) + " is " +
                                         with_article(*expected) + ", got " + with_article(*type), number});
          good = false;
          break;
        }
      }
      if (!good || fresh.empty()) continue;
      const std::size_t total = (known ? known->size() : 0) + (learned ? learned->size() : 0) + fresh.size();
      if (total > features_max) {
        verdict.refused.push_back({g, r, "too_many_features",
                                   place_of(model, group.rows[r], number) + ": it would be feature number " +
                                       std::to_string(total) + " of the model, the limit is " + std::to_string(features_max), number});
        continue;
      }
      if (learned == nullptr) learned = &verdict.learned[model];
      learned->merge(fresh);
    }
  }
  return verdict;
}

void FeatureSchema::learn(const std::map<std::string, FeatureTypes>& learned) {
  for (const auto& [model, types] : learned) models_[model].insert(types.begin(), types.end());
}

std::string FeatureSchema::encode(std::string_view model, const FeatureTypes& learned) const {
  FeatureTypes all = learned;
  if (const auto it = models_.find(std::string(model)); it != models_.end()) all.insert(it->second.begin(), it->second.end());
  ByteWriter w;
  w.u8(stored_version);
  w.varint(all.size());
  for (const auto& [feature, type] : all) {
    w.sized(feature);
    w.u8(static_cast<std::uint8_t>(type));
  }
  return w.take();
}

Status FeatureSchema::load(std::string_view model, std::string_view stored) {
  ByteReader r(stored);
  const std::uint8_t version = r.u8();
  if (r.ok() && version != stored_version)
    return fail(Code::unsupported, "feature types of model " + printable(model) + " have version " + std::to_string(version) +
                                       ", this program knows " + std::to_string(stored_version));
  const std::uint64_t count = r.varint();
  FeatureTypes types;
  for (std::uint64_t i = 0; i < count && r.ok(); ++i) {
    const std::string_view feature = r.sized();
    const std::uint8_t type = r.u8();
    if (!r.ok() || type < 1 || type > 4) return fail(Code::corrupt, "feature types of model " + printable(model) + " are damaged");
    types.emplace(feature, static_cast<FeatureType>(type));
  }
  if (!r.ok() || !r.done()) return fail(Code::corrupt, "feature types of model " + printable(model) + " are damaged");
  models_[std::string(model)] = std::move(types);
  return {};
}

}  // namespace plumbline::ingest
