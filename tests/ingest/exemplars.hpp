// The exemplars of a store, as (series, row), by series and time.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "storage/storage.hpp"

namespace plumbline::test {

inline std::vector<std::pair<std::string, model::Row>> exemplars(const storage::Reader& reader) {
  std::vector<std::pair<std::string, model::Row>> out;
  storage::EventQuery query;
  query.kind = model::EventKind::exemplar;
  REQUIRE(reader.scan(query, [&](const storage::RowBlock& block) {
    for (std::size_t i = 0; i < block.times_ns.size(); ++i) {
      model::Row row{block.times_ns[i], {}};
      for (const storage::Column& c : block.columns)
        if (!std::holds_alternative<std::monostate>(c.values[i])) row.fields.push_back({c.name, c.values[i]});
      out.emplace_back(block.stream->str(), std::move(row));
    }
    return true;
  }));
  return out;
}

}  // namespace plumbline::test
