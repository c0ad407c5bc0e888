#include <catch2/catch.hpp>

#include <random>

#include "storage/model/matcher.hpp"
#include "storage/series/regex_shape.hpp"

using namespace plumbline;
using storage::series::regex_shape;
using storage::series::RegexShape;
using Kind = RegexShape::Kind;

namespace {

std::string text_of(const RegexShape& shape) {
  if (!shape.known()) return "?";
  std::string out;
  for (const auto& b : shape.branches) {
    static constexpr const char* names[] = {"word", "prefix", "suffix", "contains"};
    if (!out.empty()) out += ' ';
    out += names[static_cast<int>(b.kind)];
    out += ':';
    out += b.text;
    if (b.more > 0) out += '+';
    if (!b.exact) out += '?';
  }
  return out;
}

std::string shape_of(std::string_view pattern) { return text_of(regex_shape(pattern)); }

}  // namespace

TEST_CASE("the shapes of dashboards' regexes are seen", "[regex]") {
  CHECK(shape_of("") == "word:");
  CHECK(shape_of("a|b|c") == "word:a word:b word:c");
  CHECK(shape_of("(a|b)") == "word:a word:b");
  CHECK(shape_of("(?:a|b)") == "word:a word:b");
  CHECK(shape_of("a|") == "word: word:a");
  CHECK(shape_of("^api$") == "word:api");
  CHECK(shape_of("^a$|^b$") == "word:a word:b");
  CHECK(shape_of("foo.*") == "prefix:foo");
  CHECK(shape_of("foo.+") == "prefix:foo+");
  CHECK(shape_of(".*") == "prefix:");
  CHECK(shape_of(".+") == "prefix:+");
  CHECK(shape_of("(.+)") == "prefix:+");
  CHECK(shape_of(".*foo") == "suffix:foo");
  CHECK(shape_of(".+foo") == "suffix:foo+");
  CHECK(shape_of(".*foo.*") == "contains:foo");
  CHECK(shape_of(".*foo.+") == "prefix:?");
  CHECK(shape_of("prefix(a|b)") == "word:prefixa word:prefixb");
  CHECK(shape_of("prefix(a|b).*") == "prefix:prefixa prefix:prefixb");
  CHECK(shape_of("20[0-2]") == "word:200 word:201 word:202");
  CHECK(shape_of("5..") == "prefix:5?");
  CHECK(shape_of("host-1\\.example:[0-9]+") == "prefix:host-1.example:?");
  CHECK(shape_of("colou?r") == "word:color word:colour");
  CHECK(shape_of("foo.*|bar") == "word:bar prefix:foo");
  CHECK(shape_of("a{2}b") == "prefix:?");
  CHECK(shape_of("a{b") == "word:a{b");
  CHECK(shape_of("ab*") == "prefix:a?");
  CHECK(shape_of("h\xc3\xa9*") == "prefix:h?");
  CHECK(shape_of("a.*b") == "prefix:a?");
  CHECK(shape_of("x[^a]") == "prefix:x?");
}

TEST_CASE("what is not certain is left to RE2", "[regex]") {
  for (const char* pattern : {"(?i)a", "(?i:a)b", "a(?-s).", "\\Qa|b\\E", "\\x41", "a\\b", "b(^a)", "a^b", "(?P<n>a)", "\\pN",
                              "a)|(b"})
    CHECK(shape_of(pattern) == "?");
  CHECK(regex_shape(".*").everything());
  CHECK(regex_shape("a|.*").everything());
  CHECK(regex_shape(".+").nonempty());
  CHECK_FALSE(regex_shape(".+").everything());
  CHECK_FALSE(regex_shape("a.+").nonempty());
  CHECK_FALSE(regex_shape(".*a").everything());
}

TEST_CASE("a pattern of too many words keeps a prefix or nothing", "[regex]") {
  CHECK(shape_of("x[0-9][0-9][0-9]") .find('?') != std::string::npos);
  std::string many = "w0";
  for (int i = 1; i < 2000; ++i) many += "|w" + std::to_string(i);
  CHECK(shape_of(many) == "?");
  CHECK(shape_of(std::string(40, '(') + "a" + std::string(40, ')')) == "?");
}

TEST_CASE("shapes agree with RE2 on random patterns and values", "[regex]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  static const std::vector<std::string> pieces{
      "a", "b", "ab", ".", ".*", ".+", "|", "(", "(?:", ")", "[ab]", "[^a]", "[a-c]", "?", "*", "+", "*?", "{2}", "{0,1}", "\\.",
      "\\d", "\\w", "^", "$", "(?i)", "\xc3\xa9", "-", "{", "}", "]", "[]a]", "[[:alpha:]]", "[a\\]b]", "\\Q", "\\E", "\\|",
      "(a|b)", "(ab)?", "[\xc3\xa9-\xc3\xbc]", "[a-\\]]", "\\b", "\n"};
  static const std::vector<std::string> letters{"a", "b", "c", "A", ".", "1", "\xc3\xa9", "-", "\n", "|", "]", "{", "}", "d"};
  int known = 0;
  for (int round = 0; round < 60000; ++round) {
    std::string pattern;
    for (std::size_t i = 0, n = random() % 8; i < n; ++i) pattern += pieces[random() % pieces.size()];
    const auto matcher = model::Matcher::make(model::MatchOp::regex, "x", pattern);
    if (!matcher) continue;
    const RegexShape shape = regex_shape(pattern);
    if (!shape.known()) continue;
    ++known;
    for (int i = 0; i < 20; ++i) {
      std::string value;
      for (std::size_t k = 0, n = random() % 6; k < n; ++k) value += letters[random() % letters.size()];
      INFO("pattern " << pattern << " value " << value << " shape " << text_of(shape));
      const bool matches = matcher->matches(value);
      if (matches) REQUIRE(shape.admits(value));
      if (shape.exact()) REQUIRE(matches == shape.admits(value));
      if (shape.everything()) REQUIRE(matches);
      if (shape.nonempty() && !value.empty()) REQUIRE(matches);
      if (shape.prefixed() && matches) {
        REQUIRE(std::any_of(shape.branches.begin(), shape.branches.end(),
                            [&](const auto& b) { return value.starts_with(b.text); }));
      }
    }
    INFO("pattern " << pattern << " shape " << text_of(shape));
    for (const auto& b : shape.branches)  // values that the shape itself names
      if (b.exact && b.kind == Kind::word) REQUIRE(matcher->matches(b.text));
  }
  REQUIRE(known > 3000);
}
