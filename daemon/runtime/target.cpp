#include "daemon/runtime/target.hpp"

#include <algorithm>

namespace plumbline::runtime {
namespace {

// A form of the largest body would otherwise become a million pairs.
constexpr std::size_t pairs_max = 10'000;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

enum class Plus { is_plus, is_space };

std::optional<std::string> decode(std::string_view text, Plus plus) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else if (text[i] == '+' && plus == Plus::is_space) {
      out += ' ';
    } else {
      out += text[i];
    }
  }
  return out;
}

Refusal bad_encoding() { return {400, "percent_encoding", "a % is not followed by two hexadecimal digits"}; }

}  // namespace

std::string Target::path() const {
  std::string out;
  for (const std::string& segment : segments) out += "/" + segment;
  return out.empty() ? "/" : out;
}

std::optional<Refusal> parse_form(std::string_view text, http::Pairs& out) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    if (out.size() == pairs_max)
      return Refusal{400, "too_many_parameters", "more than " + std::to_string(pairs_max) + " parameters"};
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = decode(pair.substr(0, equals), Plus::is_space);
    auto value = decode(pair.substr(std::min(equals + 1, pair.size())), Plus::is_space);
    if (!name || !value) return bad_encoding();
    out.emplace_back(std::move(*name), std::move(*value));
  }
  return std::nullopt;
}

std::expected<Target, Refusal> parse_target(std::string_view target) {
  Target out;
  const std::size_t question = std::min(target.find('?'), target.size());
  std::string_view path = target.substr(0, question);
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::size_t end = std::min(path.find('/'), path.size());
    auto segment = decode(path.substr(0, end), Plus::is_plus);
    if (!segment) return std::unexpected(bad_encoding());
    if (std::ranges::any_of(*segment, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }))
      return std::unexpected(Refusal{400, "target", "the path has a control character"});
    path.remove_prefix(end);
    if (segment->empty() || *segment == ".") continue;
    if (*segment == "..") {
      if (!out.segments.empty()) out.segments.pop_back();
      continue;
    }
    out.segments.push_back(std::move(*segment));
  }
  if (question < target.size())
    if (auto refusal = parse_form(target.substr(question + 1), out.query)) return std::unexpected(std::move(*refusal));
  return out;
}

}  // namespace plumbline::runtime
