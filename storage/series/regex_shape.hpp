// What a regex of a matcher says without running it: a set of words, or what a value must begin with, end with or contain.
// Dashboards send `a|b|c`, `foo.*`, `.+`, `.*bar`, `prefix(a|b)`; each is a look-up, a range of the sorted values or a compare.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace plumbline::storage::series {

// The pattern is a set of branches and matches what one of them matches (whole values, `.` any code point, valid UTF-8).
struct RegexShape {
  enum class Kind {
    word,      // exactly the text
    prefix,    // the text, then anything of at least `more` code points
    suffix,    // anything of at least `more`, then the text
    contains,  // anything, the text, anything
  };
  struct Branch {
    Kind kind = Kind::word;
    std::string text;
    bool exact = true;      // false: what the branch says is necessary, the regex itself decides
    unsigned more = 0;      // 0 or 1
    bool operator==(const Branch&) const = default;
  };
  std::vector<Branch> branches;  // empty: nothing is known

  bool known() const { return !branches.empty(); }
  bool exact() const;       // the branches decide
  bool everything() const;  // `.*`: any value
  bool nonempty() const;    // `.+`, or better
  bool words() const;       // only words: a set of look-ups
  bool prefixed() const;    // only words and prefixes that are not empty: ranges of sorted values
  // Whether a branch holds for the value: for exact() shapes the answer, for others a necessary condition.
  bool admits(std::string_view value) const;
};

// `pattern` must be one that RE2 accepts.
RegexShape regex_shape(std::string_view pattern);

}  // namespace plumbline::storage::series
