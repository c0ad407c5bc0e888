#include "query/promql/series_notation.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "daemon/base/text.hpp"
#include "query/promql/native_histogram.hpp"
#include "query/promql/parser.hpp"

namespace plumbline::query::promql {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// The values behind `from`; offsets in errors are those of the whole text.
class ValuesParser {
 public:
  ValuesParser(std::string_view text, std::size_t from) : text_(text), at_(from) {}

  Result<std::vector<SeriesItem>> run() {
    for (;;) {
      skip_blanks();
      if (at_end()) return std::move(items_);
      PLUMBLINE_CHECK_OK(item());
      if (!at_end() && !is_blank(text_[at_])) return wrong("a blank or the end");
    }
  }

 private:
  bool at_end() const { return at_ >= text_.size(); }
  bool starts_with(std::string_view word) const { return text_.substr(at_).starts_with(word); }
  void skip_blanks() {
    while (!at_end() && is_blank(text_[at_])) ++at_;
  }
  bool accept(std::string_view word) {
    if (!starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  std::unexpected<Error> fail_at(std::size_t at, std::string_view message) const {
    return parse_error(text_, static_cast<std::uint32_t>(at), message);
  }
  std::unexpected<Error> wrong(std::string_view expected) const {
    const std::string got = at_end() ? "end of input" : quote(text_.substr(at_, 1));
    return fail_at(at_, fmt::format("unexpected {} in series values, expected {}", got, expected));
  }

  // The characters of an unsigned decimal number, Inf or NaN; 0 when there is none.
  std::size_t number_length(std::size_t from) const {
    const std::string word = to_lower(text_.substr(from, 3));
    if (word == "inf" || word == "nan") return 3;
    std::size_t i = from, digits = 0;
    const auto run = [&] {
      while (i < text_.size() && is_digit(text_[i])) ++i, ++digits;
    };
    run();
    if (i < text_.size() && text_[i] == '.') ++i, run();
    if (digits == 0) return 0;
    if (i < text_.size() && (text_[i] == 'e' || text_[i] == 'E')) {
      const std::size_t exponent = i + 1 + (i + 1 < text_.size() && (text_[i + 1] == '+' || text_[i + 1] == '-'));
      if (exponent < text_.size() && is_digit(text_[exponent])) {
        i = exponent;
        run();
      }
    }
    return i - from;
  }

  Result<double> number() {
    const bool minus = starts_with("-");
    if (minus || starts_with("+")) ++at_;
    const std::size_t length = number_length(at_);
    const auto value = parse_number(text_.substr(at_, length));
    if (!value) return wrong("a number, \"_\", \"stale\" or a histogram");
    at_ += length;
    return minus ? -*value : *value;
  }

  // What follows `x`.
  Result<std::size_t> repetitions() {
    std::size_t times = 0;
    const char* const begin = text_.data() + at_;
    const auto [stop, error] = std::from_chars(begin, text_.data() + text_.size(), times);
    if (stop == begin) return wrong("how often, a whole number");
    if (error != std::errc{} || times > series_items_max) return too_many();
    at_ += static_cast<std::size_t>(stop - begin);
    return times;
  }
  std::unexpected<Error> too_many() const {
    return fail_at(at_, fmt::format("more than {} samples in one series", series_items_max));
  }

  Status push(const SeriesItem& item) {
    if (items_.size() >= series_items_max) return too_many();
    items_.push_back(item);
    return {};
  }

  Status item() {
    if (starts_with("{{")) return histograms();
    if (accept("_")) {
      std::size_t times = 1;
      if (accept("x")) { PLUMBLINE_TRY(times, repetitions()); }
      for (; times > 0; --times) PLUMBLINE_CHECK_OK(push({}));
      return {};
    }
    double value = model::stale_nan, step = 0;
    const bool stale = accept("stale");
    bool stepped = false;
    if (!stale) {
      PLUMBLINE_TRY(value, number());
      stepped = starts_with("+") || starts_with("-");
      if (stepped) { PLUMBLINE_TRY(step, number()); }
    }
    std::size_t times = 0;
    if (accept("x")) { PLUMBLINE_TRY(times, repetitions()); }
    else if (stepped) return wrong("\"x\" and how often");
    for (std::size_t i = 0; i <= times; ++i) {
      PLUMBLINE_CHECK_OK(push({true, value}));
      if (stepped) value += step;
    }
    return {};
  }

  Status histograms() {
    const std::size_t begin = at_;
    bool has_hint = false, ignored = false;
    PLUMBLINE_TRY(NativeHistogram h, histogram(has_hint));
    std::optional<NativeHistogram> step;
    double sign = 1;
    if (starts_with("+{{") || starts_with("-{{")) {
      sign = text_[at_++] == '-' ? -1 : 1;
      PLUMBLINE_TRY(step, histogram(ignored));
    }
    std::size_t times = 0;
    if (accept("x")) { PLUMBLINE_TRY(times, repetitions()); }
    else if (step) return wrong("\"x\" and how often");
    SeriesItem item{true, 0, std::make_shared<const model::Histogram>(to_model(h)), has_hint};
    for (std::size_t i = 0; i <= times; ++i) {
      PLUMBLINE_CHECK_OK(push(item));
      if (!step || i == times) continue;
      if (add(h, *step, sign).incompatible)
        return fail_at(begin, "a histogram with exponential buckets and one with custom ones cannot be added");
      buckets_ += h.positive.size() + h.negative.size() + histogram_worth;
      if (buckets_ > series_buckets_max)
        return fail_at(begin, fmt::format("more than {} buckets in the histograms of one series", series_buckets_max));
      item.histogram = std::make_shared<const model::Histogram>(to_model(h));
    }
    return {};
  }

  // {{schema:1 sum:2 count:3 z_bucket:1 z_bucket_w:0.1 buckets:[1 2] offset:-1 n_buckets:[1] n_offset:0 custom_values:[1 2]
  // counter_reset_hint:gauge}}
  Result<NativeHistogram> histogram(bool& has_hint) {
    const std::size_t begin = at_;
    at_ += 2;
    NativeHistogram h;
    std::vector<double> positive, negative;
    std::int32_t offset = 0, n_offset = 0;
    std::set<std::string_view, std::less<>> seen;
    for (;;) {
      skip_blanks();
      if (accept("}}")) break;
      const std::size_t start = at_;
      while (!at_end() && (is_alpha(text_[at_]) || text_[at_] == '_')) ++at_;
      const std::string_view key = text_.substr(start, at_ - start);
      if (key.empty()) return wrong("a field of a histogram or \"}}\"");
      if (!seen.insert(key).second) return fail_at(start, fmt::format("duplicate field {} in a histogram", quote(key)));
      if (!accept(":")) return wrong("\":\"");
      Status read;
      if (key == "schema") read = whole(h.schema);
      else if (key == "offset") read = whole(offset);
      else if (key == "n_offset") read = whole(n_offset);
      else if (key == "sum") read = value(h.sum);
      else if (key == "count") read = value(h.count);
      else if (key == "z_bucket") read = value(h.zero_count);
      else if (key == "z_bucket_w") read = value(h.zero_threshold);
      else if (key == "buckets") read = list(positive);
      else if (key == "n_buckets") read = list(negative);
      else if (key == "custom_values") read = list(h.bounds);
      else if (key == "counter_reset_hint") has_hint = true, read = hint(h.reset);
      else
        return fail_at(start, fmt::format("unknown field {} of a histogram, expected one of schema, sum, count, z_bucket, "
                                          "z_bucket_w, buckets, offset, n_buckets, n_offset, custom_values, "
                                          "counter_reset_hint", quote(key)));
      if (!read) return fail(std::move(read).error());
    }
    if (!h.is_custom() && (h.schema < model::histogram_schema_min || h.schema > model::histogram_schema_max))
      return fail_at(begin, fmt::format("schema {} of a histogram, expected one of -4 to 8, or -53", h.schema));
    if (h.is_custom() ? !negative.empty() || offset < 0 || offset + positive.size() > h.bounds.size() + 1 : !h.bounds.empty())
      return fail_at(begin, "custom_values belong to schema -53, which has no negative buckets and one bucket more than bounds");
    PLUMBLINE_TRY(h.positive, side(begin, positive, offset));
    PLUMBLINE_TRY(h.negative, side(begin, negative, n_offset));
    return h;
  }

  Result<std::vector<NativeHistogram::Bucket>> side(std::size_t begin, const std::vector<double>& counts, std::int32_t first) const {
    std::vector<NativeHistogram::Bucket> out;
    if (first > std::numeric_limits<std::int32_t>::max() - static_cast<std::int64_t>(counts.size()))
      return fail_at(begin, "the offset of a histogram's buckets is too large");
    for (std::size_t i = 0; i < counts.size(); ++i)
      if (counts[i] != 0) out.push_back({first + static_cast<std::int32_t>(i), counts[i]});
    return out;
  }

  Status value(double& out) {
    PLUMBLINE_TRY(out, number());
    return {};
  }
  Status whole(std::int32_t& out) {
    const std::size_t start = at_;
    PLUMBLINE_TRY(const double v, number());
    if (!(v >= -1e9 && v <= 1e9) || v != static_cast<std::int32_t>(v)) return fail_at(start, "not a whole number below 1e9");
    out = static_cast<std::int32_t>(v);
    return {};
  }
  Status list(std::vector<double>& out) {
    if (!accept("[")) return wrong("\"[\"");
    for (skip_blanks(); !accept("]"); skip_blanks()) {
      PLUMBLINE_TRY(const double v, number());
      out.push_back(v);
    }
    return {};
  }
  Status hint(model::ResetHint& out) {
    using enum model::ResetHint;
    // The longer of two words with one beginning stands first.
    for (const auto& [word, meaning] : {std::pair{"not_reset", no_reset}, {"reset", reset}, {"gauge", gauge}, {"unknown", unknown}})
      if (accept(word)) {
        out = meaning;
        return {};
      }
    return wrong("one of unknown, reset, not_reset, gauge");
  }

  std::string_view text_;
  std::size_t at_;
  std::vector<SeriesItem> items_;
  static constexpr std::size_t histogram_worth = 32;  // buckets that take as much memory as a histogram without any
  std::size_t buckets_ = 0;
};

// Where the series ends and its values begin: behind its braces, else at the first blank.
std::size_t end_of_metric(std::string_view line) {
  const std::size_t blank = std::min(line.find_first_of(" \t\n\r"), line.size());
  const std::size_t brace = line.find('{');
  if (brace == std::string_view::npos || brace > blank) return blank;
  char open = 0;
  for (std::size_t i = brace; i < line.size(); ++i) {
    if (open != 0) {
      if (line[i] == '\\' && open != '`') ++i;
      else if (line[i] == open) open = 0;
    } else if (line[i] == '"' || line[i] == '\'' || line[i] == '`') {
      open = line[i];
    } else if (line[i] == '}') {
      return i + 1;
    }
  }
  return line.size();
}

}  // namespace

Result<model::Labels> parse_metric(std::string_view text) {
  if (text.size() > text_bytes_max)
    return fail(Code::invalid_input, fmt::format("a series of {} bytes; at most {} are read", text.size(), text_bytes_max));
  const std::vector<Token> tokens = lex(text);
  std::size_t at = 0;
  const auto is = [&](Tok t) { return tokens[at].type == t; };
  const auto unexpected = [&](std::string_view expected) {
    const Token& t = tokens[at];
    return parse_error(text, t.pos, t.type == Tok::error ? t.message
                                                         : fmt::format("unexpected {} in a series, expected {}", describe(t), expected));
  };
  std::vector<model::Label> labels;
  const std::string metric_name(model::metric_name_label);
  if (may_name_metric(tokens[at].type)) labels.push_back({metric_name, std::string(tokens[at++].text)});
  if (is(Tok::left_brace)) {
    for (++at; !is(Tok::right_brace);) {
      if (!is(Tok::identifier) && !is(Tok::string)) return unexpected("a label name or \"}\"");
      const bool quoted = is(Tok::string);
      std::string name = quoted ? unquote(tokens[at].text) : std::string(tokens[at].text);
      ++at;
      if (quoted && !is(Tok::assign)) {
        labels.push_back({metric_name, std::move(name)});  // a quoted text alone is the metric's name
      } else {
        if (!is(Tok::assign)) return unexpected("\"=\"");
        ++at;
        if (!is(Tok::string)) return unexpected("a quoted value");
        labels.push_back({std::move(name), unquote(tokens[at++].text)});
      }
      if (is(Tok::comma)) ++at;
      else if (!is(Tok::right_brace)) return unexpected("\",\" or \"}\"");
    }
    ++at;
  }
  if (!is(Tok::eof)) return unexpected("the end");
  auto made = model::Labels::make(std::move(labels));
  if (!made) return parse_error(text, 0, made.error().message);
  return made;
}

Result<std::vector<SeriesItem>> parse_series_values(std::string_view text) { return ValuesParser(text, 0).run(); }

Result<SeriesLine> parse_series_line(std::string_view line) {
  const std::size_t split = end_of_metric(line);
  SeriesLine out;
  PLUMBLINE_TRY(out.labels, parse_metric(line.substr(0, split)));
  PLUMBLINE_TRY(out.items, ValuesParser(line, split).run());
  return out;
}

std::string notation_of(const model::Histogram& histogram) {
  const NativeHistogram h = from_model(histogram);
  std::string out;
  const auto field = [&](std::string_view key, const auto& value) { out += fmt::format("{}{}:{}", out.empty() ? "" : " ", key, value); };
  const auto number = [&](std::string_view key, double v) {
    if (v != 0) field(key, fmt::format("{}", v));
  };
  if (h.schema != 0) field("schema", h.schema);
  number("count", h.count);
  number("sum", h.sum);
  number("z_bucket", h.zero_count);
  number("z_bucket_w", h.zero_threshold);
  if (h.is_custom()) field("custom_values", fmt::format("[{}]", fmt::join(h.bounds, " ")));
  switch (h.reset) {
    case model::ResetHint::unknown: break;
    case model::ResetHint::reset: field("counter_reset_hint", "reset"); break;
    case model::ResetHint::no_reset: field("counter_reset_hint", "not_reset"); break;
    case model::ResetHint::gauge: field("counter_reset_hint", "gauge"); break;
  }
  const auto side = [&](std::string_view offset_key, std::string_view key, const std::vector<NativeHistogram::Bucket>& buckets) {
    if (buckets.empty()) return;
    if (buckets.front().index != 0) field(offset_key, buckets.front().index);
    std::string counts;
    std::int32_t next = buckets.front().index;
    for (const NativeHistogram::Bucket& b : buckets) {
      for (; next < b.index; ++next) counts += "0 ";
      counts += fmt::format("{} ", b.count);
      next = b.index + 1;
    }
    counts.pop_back();
    field(key, "[" + counts + "]");
  };
  side("offset", "buckets", h.positive);
  side("n_offset", "n_buckets", h.negative);
  return "{{" + out + "}}";
}

}  // namespace plumbline::query::promql
