// The where-filter over inference records: `version="2" and segment.country="de" and not (age < 30 or plan =~ "free.*")`.
//
//   filter  := and ("or" and)*           and := unary ("and" unary)*
//   unary   := "not" unary | "(" filter ")" | name op value
//   op      := = == != < <= > >= =~ !~   value := number | "text" | 'text' | true | false
//   name    := version | model | status | prediction | score | label | latency_ms | prediction_id | trace_id | span_id |
//              segment.<name> | score.<class> | feature.<name> | any other name or `quoted name`: a feature
//
// A missing value makes every comparison false except != and !~, as a missing label does in a selector. Numbers compare as
// numbers (text that reads as a number too), text with < and > by bytes. Regexes are RE2, anchored at both ends.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/model/event.hpp"
#include "storage/storage.hpp"

namespace plumbline::query::ml {

inline constexpr std::size_t filter_bytes_max = 16 << 10;
inline constexpr int filter_depth_max = 64;

// Text and number of a stored value, where it has one: the forms that filters, categories and classes compare.
std::optional<std::string> text_of(const model::Value& value);
std::optional<double> number_of(const model::Value& value);  // of numbers and bools; never NaN

// Threads: any (immutable after parse); a Bound belongs to one thread.
class Filter {
 public:
  // Fails: invalid_input, "where: 1:9: expected ...".
  static Result<Filter> parse(std::string_view text);
  bool empty() const { return root_ == nullptr; }
  // What the scan must decode for it.
  const std::vector<std::string>& columns() const { return columns_; }
  // The version that every passing record must have, when the filter's outermost "and" says so by equality.
  std::optional<std::string> version() const;

  struct Node;
  // The filter against one block's columns.
  class Bound {
   public:
    Bound(const Filter& filter, const storage::RowBlock& block);
    bool passes(std::size_t row) const;

   private:
    bool evaluate(const Node& node, std::size_t row) const;
    const Filter& filter_;
    std::vector<const storage::Column*> columns_;
    model::Value version_, model_;
  };

 private:
  friend class FilterParser;
  std::shared_ptr<const Node> root_;
  std::vector<std::string> columns_;
};

}  // namespace plumbline::query::ml
