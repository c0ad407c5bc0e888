// What type each feature of each model has: learned from the first row that carries the feature, and from then on a
// promise that every stored row keeps, because one text in a numeric column would make its drift meaningless.
//
// Pure memory; the sink says when what was learned is durable (learn() after its write).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/base/error.hpp"
#include "ingest/ingest.hpp"
#include "storage/model/event.hpp"

namespace plumbline::ingest {

enum class FeatureType : std::uint8_t { number = 1, boolean = 2, string = 3, list = 4 };
std::string_view name_of(FeatureType type);
// nullopt for null, which fits every type.
std::optional<FeatureType> type_of(const model::Value& value);

using FeatureTypes = std::map<std::string, FeatureType, std::less<>>;

// Threads: one at a time for learn(), any for the const ones between; the sink holds the lock.
class FeatureSchema {
 public:
  // Features of one model that are remembered. A row that would pass it is refused: an exploded feature name (an id in it)
  // is a mistake of the sender that no column store survives.
  static constexpr std::size_t features_max = 10'000;

  struct Verdict {
    std::map<std::string, FeatureTypes> learned;  // by model: types this batch is the first to show
    // Positions in batch.events and their rows, ascending, with the refusal's words.
    struct Refused {
      std::size_t group;
      std::size_t row;
      std::string reason;
      std::string message;
      std::uint64_t number;  // of the row in its request; 0: not known
    };
    std::vector<Refused> refused;
  };
  // The rows of one batch are judged in order, so that its first row teaches its later ones. `row_numbers`: see Decoded.
  Verdict check(const std::vector<model::StreamRows>& events, const RowNumbers& row_numbers = {}) const;
  void learn(const std::map<std::string, FeatureTypes>& learned);
  // The stored form of a model's types with what was learned added.
  std::string encode(std::string_view model, const FeatureTypes& learned) const;
  Status load(std::string_view model, std::string_view stored);

 private:
  std::unordered_map<std::string, FeatureTypes> models_;
};

}  // namespace plumbline::ingest
