#include <catch2/catch.hpp>

#include "ingest/ingest.hpp"

using namespace plumbline;
using namespace plumbline::ingest;
using model::Labels;
using A = RelabelAction;

namespace {

std::optional<Labels> apply(std::vector<RelabelRule> rules, Labels labels) {
  auto relabeller = Relabeller::make(std::move(rules));
  INFO((relabeller ? "" : relabeller.error().message));
  REQUIRE(relabeller);
  return relabeller->apply(std::move(labels));
}

std::string apply_str(std::vector<RelabelRule> rules, Labels labels) {
  const auto out = apply(std::move(rules), std::move(labels));
  return out ? out->str() : "dropped";
}

RelabelRule rule(A action, std::vector<std::string> source = {}, std::string regex = "(.*)",
                 std::string target = "", std::string replacement = "$1") {
  RelabelRule r;
  r.action = action;
  r.source_labels = std::move(source);
  r.regex = std::move(regex);
  r.target_label = std::move(target);
  r.replacement = std::move(replacement);
  return r;
}

const Labels abc = Labels::of({{"a", "foo"}, {"b", "bar"}, {"c", "baz"}});

}  // namespace

TEST_CASE("replace writes what the regex found", "[relabel]") {
  CHECK(apply_str({rule(A::replace, {"a"}, "f(.*)", "d", "ch${1}-ch${1}")}, abc) ==
        R"({a="foo", b="bar", c="baz", d="choo-choo"})");
  CHECK(apply_str({rule(A::replace, {"a", "b"}, "f(.*);(.*)r", "a", "b${1}${2}m")}, abc) ==
        R"({a="boobam", b="bar", c="baz"})");
  // the source is joined in the order of the rule
  CHECK(apply_str({rule(A::replace, {"b", "a"}, "(.*)", "d")}, abc) ==
        R"({a="foo", b="bar", c="baz", d="bar;foo"})");
  // no match: nothing happens
  CHECK(apply_str({rule(A::replace, {"a"}, "x(.*)", "d")}, abc) == abc.str());
  // the regex is anchored at both ends
  CHECK(apply_str({rule(A::replace, {"a"}, "o", "d", "hit")}, abc) == abc.str());
  CHECK(apply_str({rule(A::replace, {"a"}, "fo|foo", "d", "hit")}, abc) ==
        R"({a="foo", b="bar", c="baz", d="hit"})");
  // an empty result removes the target
  CHECK(apply_str({rule(A::replace, {"a"}, "foo()", "b")}, abc) == R"({a="foo", c="baz"})");
  // without source labels the replacement is a constant
  CHECK(apply_str({rule(A::replace, {}, "(.*)", "d", "const")}, abc) ==
        R"({a="foo", b="bar", c="baz", d="const"})");
  // a dot matches a newline
  CHECK(apply_str({rule(A::replace, {"a"}, "x.y", "d", "hit")}, Labels::of({{"a", "x\ny"}}))
            .find("d=\"hit\"") != std::string::npos);
}

TEST_CASE("templates expand as in Go", "[relabel]") {
  const auto with = [](std::string replacement) {
    const auto out = apply({rule(A::replace, {"a"}, "(?P<first>f)(o+)", "d", std::move(replacement))}, abc);
    return std::string(out->get("d"));
  };
  CHECK(with("$1-$2") == "f-oo");
  CHECK(with("${first}x") == "fx");
  CHECK(with("$0") == "foo");
  CHECK(with("$1x-") == "-");  // the group called "1x" does not exist
  CHECK(with("${1}x-") == "fx-");
  CHECK(with("$9-") == "-");
  CHECK(with("$$1") == "$1");
  CHECK(with("a$") == "a$");
  CHECK(with("a$-b") == "a$-b");
  CHECK(with("${1") == "${1");
}

TEST_CASE("the target may be a template", "[relabel]") {
  CHECK(apply_str({rule(A::replace, {"a"}, "(.*)", "x_${1}", "v")}, abc) ==
        R"({a="foo", b="bar", c="baz", x_foo="v"})");
  CHECK(apply_str({rule(A::replace, {"nothing"}, "(.*)", "${1}", "v")}, abc) == abc.str());
}

TEST_CASE("keep and drop look at the joined source", "[relabel]") {
  CHECK(apply_str({rule(A::drop, {"a"}, "foo")}, abc) == "dropped");
  CHECK(apply_str({rule(A::drop, {"a"}, "fo")}, abc) == abc.str());
  CHECK(apply_str({rule(A::keep, {"a"}, "foo")}, abc) == abc.str());
  CHECK(apply_str({rule(A::keep, {"a", "b"}, "foo;bar")}, abc) == abc.str());
  CHECK(apply_str({rule(A::keep, {"missing"}, ".+")}, abc) == "dropped");
  CHECK(apply_str({rule(A::keep, {"missing"}, "")}, abc) == abc.str());
}

TEST_CASE("keepequal and dropequal compare with the target label", "[relabel]") {
  const Labels ports = Labels::of({{"__port", "8080"}, {"want", "8080"}});
  CHECK(apply_str({rule(A::keepequal, {"__port"}, "(.*)", "want")}, ports) == ports.str());
  CHECK(apply_str({rule(A::dropequal, {"__port"}, "(.*)", "want")}, ports) == "dropped");
  CHECK(apply_str({rule(A::keepequal, {"a"}, "(.*)", "b")}, abc) == "dropped");
  CHECK(apply_str({rule(A::dropequal, {"a"}, "(.*)", "b")}, abc) == abc.str());
}

TEST_CASE("hashmod takes the last eight bytes of MD5", "[relabel]") {
  // md5("foo;bar") computed with another tool: its last eight bytes, big-endian, modulo 1000.
  RelabelRule r = rule(A::hashmod, {"a", "b"}, "(.*)", "d");
  r.modulus = 1000;
  CHECK(apply_str({r}, abc) == R"({a="foo", b="bar", c="baz", d="750"})");
  CHECK(apply_str({r}, Labels::of({{"z", "1"}})) == R"({d="393", z="1"})");
}

TEST_CASE("labelmap, labeldrop and labelkeep work on names", "[relabel]") {
  const Labels meta = Labels::of({{"__meta_k8s_label_app", "x"}, {"__meta_k8s_label_tier", "y"}, {"z", "1"}});
  CHECK(apply_str({rule(A::labelmap, {}, "__meta_k8s_label_(.+)", "", "k_$1")}, meta) ==
        R"({__meta_k8s_label_app="x", __meta_k8s_label_tier="y", k_app="x", k_tier="y", z="1"})");
  CHECK(apply_str({rule(A::labeldrop, {}, "__meta.*")}, meta) == R"({z="1"})");
  CHECK(apply_str({rule(A::labelkeep, {}, "z|__meta_k8s_label_app")}, meta) ==
        R"({__meta_k8s_label_app="x", z="1"})");
  CHECK(apply_str({rule(A::labeldrop, {}, "meta")}, meta) == meta.str());
}

TEST_CASE("lowercase and uppercase", "[relabel]") {
  const Labels in = Labels::of({{"a", "FoO-1"}});
  CHECK(apply_str({rule(A::lowercase, {"a"}, "(.*)", "b"), rule(A::uppercase, {"a"}, "(.*)", "c")}, in) ==
        R"({a="FoO-1", b="foo-1", c="FOO-1"})");
}

TEST_CASE("a rule sees what the rule before it did", "[relabel]") {
  CHECK(apply_str({rule(A::replace, {"a"}, "(.*)", "x", "new-$1"), rule(A::keep, {"x"}, "new-foo"),
                   rule(A::labeldrop, {}, "a|b|c")},
                  abc) == R"({x="new-foo"})");
}

TEST_CASE("rules that cannot work are refused", "[relabel]") {
  const auto bad = [](RelabelRule r) { return !Relabeller::make({std::move(r)}).has_value(); };
  CHECK(bad(rule(A::replace, {"a"}, "(.*)", "")));
  CHECK(bad(rule(A::replace, {"a"}, "(", "b")));
  CHECK(bad(rule(A::replace, {"a"}, "(.*)", "${x")));
  CHECK(bad(rule(A::hashmod, {"a"}, "(.*)", "b")));  // no modulus
  CHECK(bad(rule(A::lowercase, {"a"}, "(.*)", "")));
  CHECK(bad(rule(A::lowercase, {"a"}, "(.*)", "b", "x")));
  CHECK(bad(rule(A::keepequal, {"a"}, "x", "b")));
  CHECK(bad(rule(A::dropequal, {"a"}, "(.*)", "")));
  CHECK(bad(rule(A::labeldrop, {"a"}, "x")));
  CHECK(bad(rule(A::labelkeep, {}, "x", "b")));
  CHECK(bad(rule(A::labelmap, {}, "x(.*)", "", "")));
  CHECK_FALSE(bad(rule(A::labelmap, {}, "x(.*)", "", "a.$1")));
  const auto error = Relabeller::make({rule(A::keep, {"a"}, "x"), rule(A::keep, {"a"}, "(")});
  REQUIRE_FALSE(error);
  CHECK(error.error().message.find("relabel rule 2") == 0);
}

TEST_CASE("actions are named in any case", "[relabel]") {
  CHECK(parse_relabel_action("LabelMap") == A::labelmap);
  CHECK(parse_relabel_action("keepequal") == A::keepequal);
  CHECK_FALSE(parse_relabel_action("nonsense"));
}
