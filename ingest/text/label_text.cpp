#include "ingest/text/label_text.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "daemon/base/text.hpp"

namespace plumbline::ingest {

bool is_label_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

namespace {

void append_utf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xc0 | (c >> 6)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3f)));
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | (c >> 12)));
    out.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3f)));
  } else {
    out.push_back(static_cast<char>(0xf0 | (c >> 18)));
    out.push_back(static_cast<char>(0x80 | ((c >> 12) & 0x3f)));
    out.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3f)));
  }
}

class LabelText {
 public:
  explicit LabelText(std::string_view text) : text_(text) {}

  Result<std::vector<model::Label>> run() {
    std::vector<model::Label> labels;
    blanks();
    if (!take('{')) return wrong("expected {");
    while (true) {
      blanks();
      if (take('}')) break;
      const std::size_t from = at_;
      while (at_ < text_.size() &&
             (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_'))
        ++at_;
      const std::string_view name = text_.substr(from, at_ - from);
      if (!is_label_name(name)) {
        at_ = from;
        return wrong("expected a label name or }");
      }
      blanks();
      if (!take('=')) return wrong("expected =");
      blanks();
      std::string value;
      if (auto status = string(value); !status) return fail(status.error());
      labels.push_back({std::string(name), std::move(value)});
      blanks();
      if (!take(',') && (at_ >= text_.size() || text_[at_] != '}')) return wrong("expected , or }");
    }
    blanks();
    if (at_ != text_.size()) return wrong("expected the end");
    return labels;
  }

 private:
  std::unexpected<Error> wrong(std::string_view what) const {
    return fail(Code::invalid_input, std::string(what) + " at column " + std::to_string(at_ + 1) + " of " +
                                         json_quote(text_.substr(0, 80)));
  }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void blanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  Status string(std::string& out) {
    if (take('`')) {
      const std::size_t end = text_.find('`', at_);
      if (end == std::string_view::npos) return wrong("unclosed `");
      out = std::string(text_.substr(at_, end - at_));
      at_ = end + 1;
      return {};
    }
    if (!take('"')) return wrong("expected a quoted value");
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] != '\\') {
        out.push_back(text_[at_++]);
        continue;
      }
      ++at_;
      PLUMBLINE_CHECK_OK(escape(out));
    }
    if (!take('"')) return wrong("unclosed \"");
    return {};
  }
  Status escape(std::string& out) {
    static constexpr std::string_view letters = "abfnrtv\\\"'";
    static constexpr std::string_view meant = "\a\b\f\n\r\t\v\\\"'";
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    if (const std::size_t i = letters.find(c); c != '\0' && i != std::string_view::npos) {
      out.push_back(meant[i]);
      ++at_;
      return {};
    }
    if (c == 'x') return code(out, 1, 2, 16, false);
    if (c == 'u') return code(out, 1, 4, 16, true);
    if (c == 'U') return code(out, 1, 8, 16, true);
    if (c >= '0' && c <= '7') return code(out, 0, 3, 8, false);
    return wrong("unknown escape");
  }
  // \x41 and \101 are bytes, \u0041 a code point.
  Status code(std::string& out, std::size_t skip, std::size_t digits, int base, bool code_point) {
    if (at_ + skip + digits > text_.size()) return wrong("unfinished escape");
    const char* from = text_.data() + at_ + skip;
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(from, from + digits, value, base);
    const bool surrogate = value >= 0xd800 && value < 0xe000;
    if (error != std::errc{} || end != from + digits ||
        (code_point ? value > 0x10ffff || surrogate : value > 0xff))
      return wrong("bad escape");
    if (code_point)
      append_utf8(out, value);
    else
      out.push_back(static_cast<char>(value));
    at_ += skip + digits;
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<std::vector<model::Label>> parse_label_text(std::string_view text) {
  return LabelText(text).run();
}

}  // namespace plumbline::ingest
