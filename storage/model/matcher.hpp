// One label condition of a selector, as in {job="api", code=~"5.."}.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "storage/model/labels.hpp"

namespace re2 {
class RE2;
}

namespace plumbline::model {

enum class MatchOp { equal, not_equal, regex, not_regex };

// Threads: any (immutable). A missing label is the empty value. Regexes are RE2, anchored at both ends, `.` matches \n.
class Matcher {
 public:
  // Fails: invalid_input for a regex that RE2 refuses or whose program passes 16,384 instructions, with RE2's words.
  static Result<Matcher> make(MatchOp op, std::string name, std::string value);
  static Matcher equal(std::string name, std::string value);

  bool matches(std::string_view value) const;
  bool matches(const Labels& labels) const { return matches(labels.get(name_)); }
  bool matches_empty() const { return matches(std::string_view{}); }
  MatchOp op() const { return op_; }
  const std::string& name() const { return name_; }
  const std::string& value() const { return value_; }
  std::string str() const;  // code=~"5.."
  bool operator==(const Matcher& other) const {
    return op_ == other.op_ && name_ == other.name_ && value_ == other.value_;
  }

 private:
  Matcher(MatchOp op, std::string name, std::string value) : op_(op), name_(std::move(name)), value_(std::move(value)) {}
  MatchOp op_;
  std::string name_;
  std::string value_;
  std::shared_ptr<const re2::RE2> regex_;
};
using Matchers = std::vector<Matcher>;

inline bool matches_all(const Matchers& matchers, const Labels& labels) {
  for (const Matcher& m : matchers)
    if (!m.matches(labels)) return false;
  return true;
}

}  // namespace plumbline::model
