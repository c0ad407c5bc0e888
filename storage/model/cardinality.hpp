// Who makes a label index large: for the status page.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace plumbline::model {

struct Count {
  std::string name;  // a metric, a label name, or name=value
  std::uint64_t count = 0;
  bool operator==(const Count&) const = default;
};

// The N largest of each, largest first, by name where equal.
struct Cardinality {
  std::uint64_t label_pairs = 0;  // all of them
  std::vector<Count> series_by_metric;
  std::vector<Count> values_by_label;
  std::vector<Count> series_by_pair;
  std::vector<Count> bytes_by_label;  // strings, records and postings of the label's values; approximate
};

}  // namespace plumbline::model
