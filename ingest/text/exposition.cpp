#include "ingest/text/exposition.hpp"

#include <array>
#include <bit>
#include <cmath>

#include "daemon/base/text.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::ingest {

ExpositionFormat exposition_format(std::string_view content_type) {
  const std::string type = to_lower(trim(content_type.substr(0, content_type.find(';'))));
  return type == "application/openmetrics-text" ? ExpositionFormat::openmetrics : ExpositionFormat::text;
}

namespace {

using Item = ExpositionParser::Item;

// A NaN in the text is this one NaN, so that no exporter can send a staleness marker by accident.
constexpr std::uint64_t text_nan_bits = 0x7ff8000000000001ull;

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool is_label_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_name_start(char c) {
  return is_label_start(c) || c == ':';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

struct Fault {
  std::string reason;
  std::string text;
  std::size_t column = 0;
};

}  // namespace

// Reads one line from left to right. Every method that can fail sets fault() and answers false.
class ExpositionParser::LineReader {
 public:
  LineReader(std::string_view line, bool strict_blanks) : line_(line), strict_(strict_blanks) {}

  std::optional<Fault>& fault() { return fault_; }
  bool done() const { return at_ >= line_.size(); }
  char peek() const { return done() ? '\0' : line_[at_]; }
  std::size_t column() const { return at_ + 1; }
  std::string_view rest() const { return line_.substr(at_); }
  void skip(std::size_t n) { at_ += n; }
  bool skip_blanks() {
    const std::size_t from = at_;
    while (!done() && is_blank(line_[at_])) ++at_;
    return at_ != from;
  }
  bool fail(std::string reason, std::string text) {
    fault_ = Fault{std::move(reason), std::move(text), column()};
    return false;
  }
  bool fail_at(std::size_t column, std::string reason, std::string text) {
    fault_ = Fault{std::move(reason), std::move(text), column};
    return false;
  }
  std::string seen() const {
    if (done()) return "the end of the line";
    return json_quote(line_.substr(at_, std::min<std::size_t>(line_.size() - at_, 16)));
  }

  bool metric_name(std::string& out) {
    if (peek() == '"') {
      if (!quoted(out, "metric name")) return false;
      return !out.empty() || fail("syntax", "empty metric name");
    }
    return bare(out, is_name_start, "a metric name");
  }
  template <class Start>
  bool bare(std::string& out, Start start, std::string_view what) {
    if (done() || !start(peek()))
      return fail("syntax", "expected " + std::string(what) + ", found " + seen());
    const std::size_t from = at_;
    while (!done() && (start(peek()) || is_digit(peek()))) ++at_;
    out = std::string(line_.substr(from, at_ - from));
    return true;
  }
  // "..." with \\ \" and \n; another character after a backslash keeps both, as Prometheus does.
  bool quoted(std::string& out, std::string_view what) {
    const std::size_t open = column();
    if (peek() != '"')
      return fail("syntax", "expected \" to open the " + std::string(what) + ", found " + seen());
    ++at_;
    out.clear();
    while (!done() && peek() != '"') {
      char c = line_[at_++];
      if (c == '\\') {
        if (done()) break;
        c = line_[at_++];
        if (c == 'n')
          out.push_back('\n');
        else if (c == '"' || c == '\\')
          out.push_back(c);
        else
          out.append({'\\', c});
      } else {
        out.push_back(c);
      }
    }
    if (done()) return fail_at(open, "syntax", "the " + std::string(what) + " that opens here is not closed");
    ++at_;
    if (!valid_utf8(out)) return fail_at(open, "syntax", std::string(what) + " is not valid UTF-8");
    return true;
  }
  // After `{`. A quoted string alone is the metric name; `name` is null where there is none (exemplars).
  bool label_list(std::vector<model::Label>& labels, std::string* name) {
    while (true) {
      skip_blanks();
      if (peek() == '}') break;
      const std::size_t start = column();
      std::string label;
      const bool in_quotes = peek() == '"';
      if (in_quotes ? !quoted(label, "label name") : !bare(label, is_label_start, "a label name or }"))
        return false;
      skip_blanks();
      if (in_quotes && name != nullptr && (peek() == ',' || peek() == '}')) {
        if (!name->empty()) return fail_at(start, "syntax", "a second metric name");
        if (label.empty()) return fail_at(start, "syntax", "empty metric name");
        *name = std::move(label);
      } else {
        if (peek() != '=') return fail("syntax", "expected = after the label name, found " + seen());
        if (label.empty()) return fail_at(start, "syntax", "empty label name");
        ++at_;
        skip_blanks();
        std::string value;
        if (!quoted(value, "label value")) return false;
        if (labels.size() >= exposition_labels_max)
          return fail_at(start, "too_many_labels",
                         "more than " + std::to_string(exposition_labels_max) + " labels");
        labels.push_back({std::move(label), std::move(value)});
      }
      skip_blanks();
      if (peek() == ',')
        ++at_;  // a trailing comma is fine
      else if (peek() != '}')
        return fail("syntax", "expected , or } after the label, found " + seen());
    }
    ++at_;
    return true;
  }
  bool gap(std::string_view before_what) {
    const bool one_blank = !done() && peek() == ' ' && at_ + 1 < line_.size() && !is_blank(line_[at_ + 1]);
    if (strict_ && !one_blank) return fail("syntax", "expected one space before " + std::string(before_what));
    skip_blanks();
    return !done() || fail("syntax", "expected " + std::string(before_what) + ", found the end of the line");
  }
  std::string_view word() {
    const std::size_t from = at_;
    while (!done() && !is_blank(peek())) ++at_;
    return line_.substr(from, at_ - from);
  }
  bool number(double& out, std::string_view what) {
    const std::size_t start = column();
    const std::string_view text = word();
    const std::optional<double> v = parse_number(text);
    if (!v)
      return fail_at(start, "bad_value",
                     json_quote(text.substr(0, 40)) + " is not a number (" + std::string(what) + ")");
    out = std::isnan(*v) ? std::bit_cast<double>(text_nan_bits) : *v;
    return true;
  }
  bool seconds(std::optional<std::int64_t>& ms) {
    const std::size_t start = column();
    const std::string_view text = word();
    const std::optional<double> seconds = parse_number(text);
    // 9.2e15 s is where milliseconds leave an i64.
    if (!seconds || !std::isfinite(*seconds) || std::fabs(*seconds) > 9.2e15)
      return fail_at(start, "bad_timestamp", json_quote(text.substr(0, 40)) + " is not a time in seconds");
    ms = static_cast<std::int64_t>(*seconds * 1000);
    return true;
  }
  bool milliseconds(std::optional<std::int64_t>& ms) {
    const std::size_t start = column();
    const std::string_view text = word();
    ms = parse_int(text);
    return ms || fail_at(start, "bad_timestamp", json_quote(text.substr(0, 40)) + " is not a time in milliseconds");
  }

 private:
  std::string_view line_;
  bool strict_;
  std::size_t at_ = 0;
  std::optional<Fault> fault_;
};

namespace {

Item report(ExpositionLine& out, std::size_t line, Fault fault) {
  out.line = line;
  out.column = fault.column;
  out.reason = std::move(fault.reason);
  out.message =
      "line " + std::to_string(line) + ", column " + std::to_string(fault.column) + ": " + fault.text;
  return Item::error;
}

// \\ and \n in help texts; OpenMetrics has \" too.
std::string unescape_help(std::string_view text, bool quotes) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      const char c = text[i + 1];
      if (c == 'n') {
        out.push_back('\n');
        ++i;
        continue;
      }
      if (c == '\\' || (quotes && c == '"')) {
        out.push_back(c);
        ++i;
        continue;
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

// The type word as Prometheus' metadata has it; nullopt for words that the format does not know.
std::optional<std::string_view> type_word(std::string_view text, ExpositionFormat format) {
  static constexpr std::array<std::string_view, 4> common{"counter", "gauge", "histogram", "summary"};
  static constexpr std::array<std::string_view, 4> openmetrics{"gaugehistogram", "stateset", "info",
                                                               "unknown"};
  for (const std::string_view t : common)
    if (text == t) return t;
  if (text == "untyped" || text == "unknown") return "unknown";
  if (format == ExpositionFormat::openmetrics)
    for (const std::string_view t : openmetrics)
      if (text == t) return t;
  return std::nullopt;
}

}  // namespace

ExpositionParser::Item ExpositionParser::next(ExpositionLine& out) {
  while (!ended_) {
    if (at_ >= body_.size()) {
      ended_ = true;
      if (format_ == ExpositionFormat::openmetrics && !eof_seen_)
        return report(out, line_ + 1,
                      {"no_eof", "OpenMetrics must end with # EOF; the body may be cut off", 1});
      return Item::end;
    }
    std::size_t end = body_.find('\n', at_);
    if (end == std::string_view::npos) end = body_.size();
    std::string_view line = body_.substr(at_, end - at_);
    at_ = end + 1;
    ++line_;
    if (line.ends_with('\r')) line.remove_suffix(1);
    out.line = line_;
    if (eof_seen_) {
      ended_ = true;
      return report(out, line_, {"after_eof", "something after # EOF", 1});
    }
    if (line.size() > exposition_line_bytes_max)
      return report(out, line_,
                    {"too_long",
                     "the line has " + std::to_string(line.size()) + " bytes, the limit is " +
                         std::to_string(exposition_line_bytes_max),
                     1});
    const std::size_t first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos) {
      if (format_ == ExpositionFormat::openmetrics)
        return report(out, line_, {"syntax", "OpenMetrics has no blank lines", 1});
      continue;
    }
    const Item item = line[first] == '#' ? comment(line, out) : sample(line, out);
    if (item != Item::end) return item;
  }
  return Item::end;
}

// Item::end: nothing to hand out, go on with the next line.
ExpositionParser::Item ExpositionParser::comment(std::string_view line, ExpositionLine& out) {
  const bool openmetrics = format_ == ExpositionFormat::openmetrics;
  LineReader in(line, false);
  in.skip_blanks();
  in.skip(1);  // #
  if (openmetrics && line == "# EOF") {
    eof_seen_ = true;
    return Item::end;
  }
  if (!in.skip_blanks()) {
    if (openmetrics) return report(out, line_, {"syntax", "OpenMetrics knows no free comments", 1});
    return Item::end;
  }
  const std::string_view keyword = in.word();
  if (keyword == "HELP")
    out.about = ExpositionLine::About::help;
  else if (keyword == "TYPE")
    out.about = ExpositionLine::About::type;
  else if (keyword == "UNIT" && openmetrics)
    out.about = ExpositionLine::About::unit;
  else if (openmetrics)
    return report(out, line_, {"syntax", "expected HELP, TYPE, UNIT or EOF after #", 3});
  else
    return Item::end;
  if (!in.skip_blanks()) {
    if (!openmetrics) return Item::end;  // "# TYPE" alone is a comment
    return report(out, line_,
                  {"bad_metadata", "expected a metric name after " + std::string(keyword), in.column()});
  }
  if (!in.metric_name(out.metric)) return report(out, line_, *in.fault());
  if (!in.done() && !is_blank(in.peek()))
    return report(
        out, line_,
        {"bad_metadata", "expected a space after the metric name, found " + in.seen(), in.column()});
  in.skip_blanks();
  const std::size_t column = in.column();
  const std::string_view text = in.rest();
  if (out.about == ExpositionLine::About::type) {
    const auto type = type_word(trim(text), format_);
    if (!type)
      return report(out, line_,
                    {"bad_metadata", "unknown metric type " + json_quote(text.substr(0, 40)), column});
    out.text = *type;
  } else if (out.about == ExpositionLine::About::unit) {
    out.text = trim(text);
    if (!out.text.empty() && !out.metric.ends_with("_" + out.text))
      return report(out, line_,
                    {"bad_metadata",
                     "unit " + json_quote(out.text.substr(0, 40)) + " is not the suffix of metric " +
                         json_quote(out.metric.substr(0, 80)),
                     column});
  } else {
    out.text = unescape_help(text, openmetrics);
    if (!valid_utf8(out.text))
      return report(out, line_, {"bad_metadata", "the help text is not valid UTF-8", column});
  }
  return Item::metadata;
}

ExpositionParser::Item ExpositionParser::sample(std::string_view line, ExpositionLine& out) {
  const bool openmetrics = format_ == ExpositionFormat::openmetrics;
  LineReader in(line, openmetrics);
  out.labels.clear();
  out.timestamp_ms.reset();
  out.exemplar.reset();
  std::string name;
  if (!openmetrics) in.skip_blanks();
  if (in.peek() != '{' && !in.bare(name, is_name_start, "a metric name or {"))
    return report(out, line_, *in.fault());
  out.labels.push_back({std::string(model::metric_name_label), ""});
  const bool spaced = !openmetrics && in.skip_blanks();
  const bool braces = in.peek() == '{';
  if (braces) {
    in.skip(1);
    if (!in.label_list(out.labels, &name)) return report(out, line_, *in.fault());
  }
  if (name.empty()) {
    // {__name__="x"} names the metric too; the label takes the place of the empty first one.
    bool named = false;
    for (const model::Label& l : out.labels)
      named = named || (l.name == model::metric_name_label && !l.value.empty());
    if (!named) return report(out, line_, {"missing_name", "the sample has no metric name", 1});
    out.labels.erase(out.labels.begin());
  } else {
    out.labels.front().value = std::move(name);
  }
  // Classic text needs a blank or a closing brace before the value: in a-b the name ends where it should not.
  if (!openmetrics && !braces && !spaced && !in.done())
    return report(out, line_,
                  {"syntax", "expected { or a value after the metric name, found " + in.seen(), in.column()});
  if (!in.gap("the value")) return report(out, line_, *in.fault());
  if (!in.number(out.value, "value")) return report(out, line_, *in.fault());

  const auto at_exemplar = [&] { return openmetrics && in.rest().starts_with(" # {"); };
  if (!in.done() && !at_exemplar()) {
    if (openmetrics && !in.gap("the timestamp")) return report(out, line_, *in.fault());
    in.skip_blanks();
    if (!in.done()) {
      if (!(openmetrics ? in.seconds(out.timestamp_ms) : in.milliseconds(out.timestamp_ms)))
        return report(out, line_, *in.fault());
    }
  }
  if (at_exemplar()) {
    in.skip(4);
    ExpositionExemplar& exemplar = out.exemplar.emplace();
    if (!in.label_list(exemplar.labels, nullptr) || !in.gap("the exemplar's value") ||
        !in.number(exemplar.value, "exemplar value"))
      return report(out, line_, *in.fault());
    if (!in.done() && (!in.gap("the exemplar's time") || !in.seconds(exemplar.timestamp_ms)))
      return report(out, line_, *in.fault());
  }
  in.skip_blanks();
  if (!in.done())
    return report(out, line_, {"syntax", "expected the end of the line, found " + in.seen(), in.column()});
  return Item::sample;
}

}  // namespace plumbline::ingest
