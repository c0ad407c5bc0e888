#include "storage/series/regex_shape.hpp"

#include <algorithm>
#include <optional>
#include <tuple>

namespace plumbline::storage::series {
namespace {

constexpr std::size_t branches_max = 512;
constexpr std::size_t text_bytes_max = 16384;  // of all words of a set together
constexpr int nesting_max = 16;

using Words = std::vector<std::string>;
using Branch = RegexShape::Branch;
using Kind = RegexShape::Kind;

bool fits(const Words& words) {
  std::size_t bytes = 0;
  for (const std::string& w : words) bytes += w.size();
  return words.size() <= branches_max && bytes <= text_bytes_max;
}

// One thing that a quantifier may stand behind.
struct Atom {
  enum class Is { words, any_run, any_some, other } is = Is::other;  // any_run: `.*`, any_some: `.+`
  Words words;
};

// A reader of RE2's syntax that gives up (false) at whatever it does not know for certain.
class Parser {
 public:
  explicit Parser(std::string_view pattern) : rest_(pattern) {}
  // alternation := branch ('|' branch)*, up to the end or a ')'
  bool alternation(std::vector<Branch>& out, int depth) {
    if (depth > nesting_max) return false;
    for (;;) {
      if (!branch(out, depth)) return false;
      if (out.size() > branches_max) return false;
      if (!take('|')) return true;
    }
  }
  bool done() const { return rest_.empty(); }

 private:
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool at_end_of_branch() const { return rest_.empty() || rest_.front() == '|' || rest_.front() == ')'; }

  bool branch(std::vector<Branch>& out, int depth) {
    // At the very start and end of a whole-value match anchors say nothing.
    if (depth == 0) take('^');
    Words head{""};          // what has been read while everything was words
    Words tail{""};          // words behind the first run
    std::optional<Atom::Is> run;  // `.*` or `.+` in front of or behind the words
    int runs = 0;
    bool other = false;
    while (!at_end_of_branch()) {
      if (depth == 0 && rest_.front() == '$' && (rest_.size() == 1 || rest_[1] == '|')) {
        rest_.remove_prefix(1);
        break;
      }
      Atom atom;
      if (!read_atom(atom, depth)) return false;
      if (other) continue;
      if (atom.is == Atom::Is::words) {
        Words& words = runs == 0 ? head : tail;
        if (runs > 1 || !append(words, atom.words)) other = true;
      } else if (atom.is == Atom::Is::other) {
        other = true;
      } else {
        ++runs;
        if (runs == 1) run = atom.is;
        // A second run is known only as the end of `.*text.*`; which of the two is `.+` would have to be kept apart.
        if (runs > 2 || (runs == 2 && (atom.is != Atom::Is::any_run || run != Atom::Is::any_run))) other = true;
      }
    }
    return describe(out, head, tail, runs, run == Atom::Is::any_some ? 1 : 0, other);
  }

  static bool describe(std::vector<Branch>& out, const Words& head, const Words& tail, int runs, unsigned more, bool other) {
    const bool bare_head = head.size() == 1 && head[0].empty();
    const bool bare_tail = tail.size() == 1 && tail[0].empty();
    const auto say = [&](Kind kind, const Words& words, bool exact, unsigned at_least) {
      for (const std::string& w : words) out.push_back({kind, w, exact, at_least});
      return true;
    };
    if (!other && runs == 0) return say(Kind::word, head, true, 0);
    if (!other && runs == 1 && bare_tail) return say(Kind::prefix, head, true, more);
    if (!other && runs == 1 && bare_head) return say(Kind::suffix, tail, true, more);
    if (!other && runs == 2 && bare_head) return say(Kind::contains, tail, true, 0);
    return say(Kind::prefix, head, false, 0);
  }

  static bool append(Words& words, const Words& more) {
    if (words.size() * more.size() > branches_max) return false;
    Words out;
    for (const std::string& a : words)
      for (const std::string& b : more) out.push_back(a + b);
    if (!fits(out)) return false;
    words = std::move(out);
    return true;
  }

  bool read_atom(Atom& atom, int depth) {
    if (repeat_follows()) return false;  // of an anchor or of nothing
    bool dot = false;
    const char c = rest_.front();
    switch (c) {
      case '.':
        rest_.remove_prefix(1);
        dot = true;
        break;
      case '(':
        if (!read_group(atom, depth)) return false;
        break;
      case '[':
        if (!read_class(atom)) return false;
        break;
      case '\\':
        if (!read_escape(atom)) return false;
        break;
      case '^': case '$': case '*': case '+': case '?': return false;
      default: read_character(atom);
    }
    return read_quantifier(atom, dot);
  }

  void read_character(Atom& atom) {
    std::size_t n = 1;  // a quantifier stands behind a code point, not a byte
    while (n < rest_.size() && (static_cast<unsigned char>(rest_[n]) & 0xc0) == 0x80) ++n;
    atom = {Atom::Is::words, {std::string(rest_.substr(0, n))}};
    rest_.remove_prefix(n);
  }

  bool read_group(Atom& atom, int depth) {
    take('(');
    if (take('?') && !take(':')) return false;  // flags and names
    std::vector<Branch> inner;
    if (!alternation(inner, depth + 1) || !take(')')) return false;
    for (const Branch& b : inner) {
      if (b.kind != Kind::word) {
        atom = {};
        return true;
      }
      atom.words.push_back(b.text);
    }
    atom.is = Atom::Is::words;
    return true;
  }

  // [abc], [0-9]: words. Anything finer is skipped as one character.
  bool read_class(Atom& atom) {
    take('[');
    bool plain = !take('^');
    Words words;
    for (bool first = true;; first = false) {
      if (rest_.empty()) return false;
      if (!first && take(']')) break;
      const char c = rest_.front();
      if (c == '\\' || c == '[' || c == ']' || static_cast<unsigned char>(c) >= 0x80 || c == '-') plain = false;
      if (rest_.starts_with("[:")) {
        const std::size_t end = rest_.find(":]");
        if (end == std::string_view::npos) return false;
        rest_.remove_prefix(end + 2);
        continue;
      }
      rest_.remove_prefix(1);
      if (c == '\\') {
        if (rest_.empty() || rest_.front() == 'Q' || rest_.front() == 'E') return false;
        rest_.remove_prefix(1);
        continue;
      }
      char last = c;
      if (rest_.size() >= 2 && rest_[0] == '-' && rest_[1] != ']') {
        last = rest_[1];
        if (last == '\\' || last == '[' || static_cast<unsigned char>(last) >= 0x80) {
          plain = false;
          rest_.remove_prefix(1);  // the end of the range is read as the next member: the class is only skipped
          continue;
        }
        rest_.remove_prefix(2);
      }
      if (plain)
        for (int ch = c; ch <= last; ++ch) words.emplace_back(1, static_cast<char>(ch));
    }
    if (plain && !words.empty()) {
      std::sort(words.begin(), words.end());
      words.erase(std::unique(words.begin(), words.end()), words.end());
      atom = {Atom::Is::words, std::move(words)};
    } else {
      atom = {};
    }
    return true;
  }

  bool read_escape(Atom& atom) {
    take('\\');
    if (rest_.empty()) return false;
    const char c = rest_.front();
    if (static_cast<unsigned char>(c) >= 0x80) return false;
    rest_.remove_prefix(1);
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && c != '_') atom = {Atom::Is::words, {std::string(1, c)}};
    else if (std::string_view("dDwWsS").find(c) != std::string_view::npos) atom = {};
    else return false;
    return true;
  }

  bool read_quantifier(Atom& atom, bool dot) {
    const char c = rest_.empty() ? '\0' : rest_.front();
    if (c != '*' && c != '+' && c != '?' && !repeat_follows()) return true;
    const bool counted = c == '{';
    if (counted) rest_.remove_prefix(rest_.find('}') + 1);
    else rest_.remove_prefix(1);
    take('?');  // lazy: the same set of whole matches
    if (dot && c == '*') atom.is = Atom::Is::any_run;
    else if (dot && c == '+') atom.is = Atom::Is::any_some;
    else if (!counted && c == '?' && atom.is == Atom::Is::words) atom.words.emplace_back();
    else atom = {};
    // A quantifier of a quantifier, where RE2 lets it pass.
    return rest_.empty() || (rest_.front() != '*' && rest_.front() != '+' && rest_.front() != '?' && !repeat_follows());
  }
  // {2}, {2,}, {2,3}; other braces are characters.
  bool repeat_follows() const {
    if (rest_.size() < 3 || rest_.front() != '{') return false;
    std::size_t at = 1;
    const auto digits = [&] {
      const std::size_t from = at;
      while (at < rest_.size() && rest_[at] >= '0' && rest_[at] <= '9') ++at;
      return at > from;
    };
    if (!digits()) return false;
    if (at < rest_.size() && rest_[at] == ',') {
      ++at;
      digits();
    }
    return at < rest_.size() && rest_[at] == '}';
  }

  std::string_view rest_;
};

// "(a|b.*)" without the parentheses that hold all of it.
std::string_view unwrapped(std::string_view pattern) {
  if (pattern.size() < 2 || pattern.front() != '(' || pattern.back() != ')') return pattern;
  std::string_view inner = pattern.substr(1, pattern.size() - 2);
  if (inner.starts_with("?:")) inner.remove_prefix(2);
  // Any other bracket inside could be the partner of one of these.
  return inner.find_first_of("()[]\\?") == std::string_view::npos ? inner : pattern;
}

bool holds(const Branch& b, std::string_view value) {
  switch (b.kind) {
    case Kind::word: return value == b.text;
    case Kind::prefix: return value.size() >= b.text.size() + b.more && value.starts_with(b.text);
    case Kind::suffix: return value.size() >= b.text.size() + b.more && value.ends_with(b.text);
    case Kind::contains: return value.find(b.text) != std::string_view::npos;
  }
  return false;
}

}  // namespace

bool RegexShape::exact() const {
  return known() && std::all_of(branches.begin(), branches.end(), [](const Branch& b) { return b.exact; });
}

bool RegexShape::everything() const {
  return std::any_of(branches.begin(), branches.end(), [](const Branch& b) {
    return b.exact && b.text.empty() && b.kind != Kind::word && b.more == 0;
  });
}

bool RegexShape::nonempty() const {
  return std::any_of(branches.begin(), branches.end(),
                     [](const Branch& b) { return b.exact && b.text.empty() && b.kind != Kind::word; });
}

bool RegexShape::words() const {
  return known() && std::all_of(branches.begin(), branches.end(), [](const Branch& b) { return b.kind == Kind::word; });
}

bool RegexShape::prefixed() const {
  return known() && std::all_of(branches.begin(), branches.end(), [](const Branch& b) {
    return b.kind == Kind::word || (b.kind == Kind::prefix && !b.text.empty());
  });
}

bool RegexShape::admits(std::string_view value) const {
  return !known() || std::any_of(branches.begin(), branches.end(), [&](const Branch& b) { return holds(b, value); });
}

RegexShape regex_shape(std::string_view pattern) {
  RegexShape out;
  Parser parser(unwrapped(pattern));
  if (!parser.alternation(out.branches, 0) || !parser.done()) return {};
  const auto less = [](const Branch& a, const Branch& b) {
    return std::tie(a.kind, a.text, a.exact, a.more) < std::tie(b.kind, b.text, b.exact, b.more);
  };
  std::sort(out.branches.begin(), out.branches.end(), less);
  out.branches.erase(std::unique(out.branches.begin(), out.branches.end()), out.branches.end());
  return out;
}

}  // namespace plumbline::storage::series
