#include "alerting/template.hpp"

#include <fmt/format.h>

#include <cctype>

#include "daemon/base/text.hpp"

namespace plumbline::alerting {
namespace {

// Real templates are under 2 KiB with blocks nested 3 deep; the bounds only keep a hostile file from costing
// more.
constexpr std::size_t template_bytes_max = 64 << 10;
constexpr std::size_t output_bytes_max = 1 << 20;
constexpr int depth_max = 50;

struct Pipeline;

struct Operand {
  enum class Kind { constant, variable, dot, parenthesis, function } kind = Kind::constant;
  TemplateValue constant;
  std::string name;                 // of a variable or function
  std::vector<std::string> fields;  // .a.b after it
  std::shared_ptr<Pipeline> inner;
  std::size_t at = 0;
};

struct Command {
  std::vector<Operand> words;
};

struct Pipeline {
  std::string declares;  // $x := ...
  std::vector<Command> commands;
};

struct Node {
  enum class Kind { text, action, branch, with } kind = Kind::text;
  std::string text;
  Pipeline pipeline;
  std::vector<Node> then, otherwise;
};

using Scope = std::map<std::string, TemplateValue>;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<std::vector<Node>> run() {
    PLUMBLINE_TRY(auto nodes, list(0));
    if (!end_word_.empty()) return error(action_at_, fmt::format("unexpected {{{{{}}}}}", end_word_));
    return nodes;
  }

 private:
  std::unexpected<Error> error(std::size_t at, std::string_view message,
                               Code code = Code::invalid_input) const {
    int line = 1, column = 1;
    for (std::size_t i = 0; i < std::min(at, text_.size()); ++i) {
      column = text_[i] == '\n' ? 1 : column + 1;
      line += text_[i] == '\n';
    }
    return fail(code, fmt::format("{}:{}: {}", line, column, message));
  }

  // Nodes until {{end}}, {{else}} or the text's end; the word that ended them is left in end_word_.
  Result<std::vector<Node>> list(int depth) {
    std::vector<Node> nodes;
    if (depth > depth_max)
      return error(at_, fmt::format("blocks are nested deeper than {}", depth_max), Code::too_large);
    while (true) {
      const std::size_t open = text_.find("{{", at_);
      std::string text(text_.substr(at_, open == std::string_view::npos ? open : open - at_));
      if (trim_next_) text.erase(0, text.find_first_not_of(" \t\r\n"));
      trim_next_ = false;
      end_word_.clear();
      if (open == std::string_view::npos) {
        at_ = text_.size();
        if (!text.empty()) nodes.push_back({Node::Kind::text, std::move(text), {}, {}, {}});
        if (depth > 0) return error(block_at_, "this block has no {{end}}");
        return nodes;
      }
      at_ = action_at_ = open + 2;
      if (at_ + 1 < text_.size() && text_[at_] == '-' &&
          std::isspace(static_cast<unsigned char>(text_[at_ + 1]))) {
        text.erase(text.find_last_not_of(" \t\r\n") + 1);
        ++at_;
      }
      if (!text.empty()) nodes.push_back({Node::Kind::text, std::move(text), {}, {}, {}});
      PLUMBLINE_TRY(const bool go_on, action(nodes, depth));
      if (!go_on) return nodes;
    }
  }

  // One {{...}}. False: it ended the list.
  Result<bool> action(std::vector<Node>& nodes, int depth) {
    skip_space();
    if (text_.substr(at_, 2) == "/*") {
      const std::size_t close = text_.find("*/", at_ + 2);
      if (close == std::string_view::npos) return error(at_, "unclosed comment");
      at_ = close + 2;
      PLUMBLINE_CHECK_OK(close_action());
      return true;
    }
    const std::size_t at = at_;
    const std::string word = identifier();
    if (word == "end" || word == "else") {
      end_word_ = word;
      skip_space();
      if (word == "else" && text_.substr(at_, 2) == "if") {
        const std::size_t was = at_;
        if (identifier() == "if") {
          end_word_ = "else if";
          return false;  // the caller reads the condition
        }
        at_ = was;
      }
      PLUMBLINE_CHECK_OK(close_action());
      return false;
    }
    if (word == "if" || word == "with") return block(nodes, depth, word, at);
    if (word == "range" || word == "define" || word == "template" || word == "block" || word == "break" ||
        word == "continue")
      return error(at, fmt::format("{{{{{}}}}} is not supported", word), Code::unsupported);
    at_ = at;
    Node node{Node::Kind::action, "", {}, {}, {}};
    PLUMBLINE_TRY(node.pipeline, pipeline(0));
    PLUMBLINE_CHECK_OK(close_action());
    nodes.push_back(std::move(node));
    return true;
  }

  Result<bool> block(std::vector<Node>& nodes, int depth, const std::string& word, std::size_t at) {
    Node node{word == "if" ? Node::Kind::branch : Node::Kind::with, "", {}, {}, {}};
    PLUMBLINE_TRY(node.pipeline, pipeline(0));
    PLUMBLINE_CHECK_OK(close_action());
    block_at_ = at;
    PLUMBLINE_TRY(node.then, list(depth + 1));
    if (end_word_ == "else if") {
      PLUMBLINE_TRY(const bool open, block(node.otherwise, depth + 1, "if", at_));
      if (!open) return false;
    } else if (end_word_ == "else") {
      block_at_ = at;
      PLUMBLINE_TRY(node.otherwise, list(depth + 1));
      if (end_word_ != "end") return error(action_at_, "expected {{end}} after {{else}}");
    }
    end_word_.clear();
    nodes.push_back(std::move(node));
    return true;
  }

  Status close_action() {
    skip_space();
    if (text_.substr(at_, 3) == "-}}") {
      trim_next_ = true;
      at_ += 3;
      return {};
    }
    if (text_.substr(at_, 2) != "}}")
      return at_ >= text_.size()
                 ? error(action_at_, "unclosed action: }} is missing")
                 : error(at_, fmt::format("unexpected {} in action", json_quote(text_.substr(at_, 1))));
    at_ += 2;
    return {};
  }

  Result<Pipeline> pipeline(int depth) {
    Pipeline out;
    if (depth > depth_max)
      return error(at_, fmt::format("parentheses are nested deeper than {}", depth_max), Code::too_large);
    skip_space();
    const std::size_t start = at_;
    if (at_ < text_.size() && text_[at_] == '$') {
      ++at_;
      const std::string name = identifier();
      skip_space();
      if (text_.substr(at_, 2) == ":=" || (text_.substr(at_, 1) == "=" && text_.substr(at_, 2) != "==")) {
        at_ += text_[at_] == ':' ? 2 : 1;
        out.declares = name;
        known_.push_back(name);
      } else {
        at_ = start;
      }
    }
    while (true) {
      PLUMBLINE_TRY(Command command, this->command(depth, !out.commands.empty()));
      out.commands.push_back(std::move(command));
      skip_space();
      if (at_ >= text_.size() || text_[at_] != '|') return out;
      ++at_;
    }
  }

  bool at_end_of_command() {
    skip_space();
    return at_ >= text_.size() || text_[at_] == '|' || text_[at_] == ')' || text_.substr(at_, 2) == "}}" ||
           text_.substr(at_, 3) == "-}}";
  }

  Result<Command> command(int depth, bool piped) {
    Command out;
    while (!at_end_of_command()) {
      PLUMBLINE_TRY(Operand word, operand(depth));
      out.words.push_back(std::move(word));
    }
    if (out.words.empty()) return error(at_, "missing value for command");
    const Operand& first = out.words.front();
    if (first.kind != Operand::Kind::function) {
      if (out.words.size() > 1 || piped) return error(first.at, "only a function can take arguments");
      return out;
    }
    const TemplateFunction& f = *find_template_function(first.name);
    const std::size_t given = out.words.size() - 1 + (piped ? 1 : 0);
    if (given < f.arguments_min || given > f.arguments_max)
      return error(first.at, fmt::format("wrong number of arguments for {}: {}", f.name, given));
    return out;
  }

  Result<Operand> operand(int depth) {
    Operand out;
    out.at = at_;
    const char c = text_[at_];
    if (c == '"' || c == '`') {
      PLUMBLINE_TRY(out.constant, quoted());
    } else if (c == '(') {
      ++at_;
      out.kind = Operand::Kind::parenthesis;
      PLUMBLINE_TRY(Pipeline inner, pipeline(depth + 1));
      out.inner = std::make_shared<Pipeline>(std::move(inner));
      skip_space();
      if (at_ >= text_.size() || text_[at_] != ')') return error(out.at, "unclosed parenthesis");
      ++at_;
    } else if (c == '$') {
      ++at_;
      out.kind = Operand::Kind::variable;
      out.name = identifier();
      if (!is_known(out.name)) return error(out.at, fmt::format("undefined variable \"${}\"", out.name));
    } else if (c == '.' &&
               (at_ + 1 >= text_.size() || !std::isdigit(static_cast<unsigned char>(text_[at_ + 1])))) {
      out.kind = Operand::Kind::dot;
      const std::string name = peek_field();
      if (name.empty()) ++at_;
    } else if (std::isdigit(static_cast<unsigned char>(c)) || c == '-' || c == '+' || c == '.') {
      std::size_t to = at_ + 1;
      while (to < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[to])) || text_[to] == '.' ||
                                   ((text_[to] == '-' || text_[to] == '+') && (text_[to - 1] | 0x20) == 'e')))
        ++to;
      const std::string_view number = text_.substr(at_, to - at_);
      if (const auto whole = parse_int(number))
        out.constant = *whole;
      else if (const auto real = parse_number(number))
        out.constant = *real;
      else
        return error(at_, fmt::format("bad number syntax: {}", json_quote(number)));
      at_ = to;
    } else {
      const std::string word = identifier();
      if (word.empty())
        return error(at_, fmt::format("unexpected {} in operand", json_quote(text_.substr(at_, 1))));
      if (word == "true" || word == "false") {
        out.constant = word == "true";
      } else if (word != "nil") {
        out.kind = Operand::Kind::function;
        out.name = word;
        if (!find_template_function(word)) {
          if (is_unsupported_template_function(word))
            return error(out.at, fmt::format("function \"{}\" is not supported", word), Code::unsupported);
          return error(out.at, fmt::format("function \"{}\" not defined", word));
        }
      }
    }
    while (true) {
      const std::string field = peek_field();
      if (field.empty()) break;
      at_ += field.size() + 1;
      out.fields.push_back(field);
    }
    if (!out.fields.empty() && (out.kind == Operand::Kind::constant || out.kind == Operand::Kind::function))
      return error(out.at, "a field of something that has none");
    return out;
  }

  Result<TemplateValue> quoted() {
    const std::size_t at = at_;
    const char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != quote) {
      char c = text_[at_++];
      if (quote == '"' && c == '\n') break;
      if (quote == '"' && c == '\\' && at_ < text_.size()) {
        c = text_[at_++];
        switch (c) {
          case 'n':
            c = '\n';
            break;
          case 't':
            c = '\t';
            break;
          case 'r':
            c = '\r';
            break;
          case '"':
          case '\\':
          case '\'':
            break;
          default:
            return error(at_ - 2, fmt::format("unknown escape \\{}", c));
        }
      }
      out += c;
    }
    if (at_ >= text_.size() || text_[at_] != quote) return error(at, "unterminated quoted string");
    ++at_;
    return TemplateValue(std::move(out));
  }

  std::string peek_field() const {
    if (at_ >= text_.size() || text_[at_] != '.') return "";
    std::size_t to = at_ + 1;
    if (to < text_.size() && std::isdigit(static_cast<unsigned char>(text_[to]))) return "";
    while (to < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[to])) || text_[to] == '_'))
      ++to;
    return std::string(text_.substr(at_ + 1, to - at_ - 1));
  }
  std::string identifier() {
    std::size_t to = at_;
    while (to < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[to])) || text_[to] == '_'))
      ++to;
    std::string out(text_.substr(at_, to - at_));
    at_ = to;
    return out;
  }
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool is_known(const std::string& name) const {
    for (const std::string& k : known_)
      if (k == name) return true;
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0, action_at_ = 0, block_at_ = 0;
  bool trim_next_ = false;
  std::string end_word_;
  std::vector<std::string> known_{"", "labels", "externalLabels", "externalURL", "value"};
};

StringMap map_of(const model::Labels& labels) {
  StringMap out;
  for (const model::Label& l : labels) out.emplace(l.name, l.value);
  return out;
}

class Expander {
 public:
  explicit Expander(const TemplateData& data) : data_(data) {
    scope_["labels"] = data.labels ? map_of(*data.labels) : StringMap{};
    StringMap external;
    if (data.external_labels) external.insert(data.external_labels->begin(), data.external_labels->end());
    scope_["externalLabels"] = std::move(external);
    scope_["externalURL"] = std::string(data.external_url);
    scope_["value"] = data.value;
  }

  Status run(const std::vector<Node>& nodes, const TemplateValue* dot) {
    for (const Node& node : nodes) {
      if (node.kind == Node::Kind::text) {
        out_ += node.text;
      } else {
        PLUMBLINE_TRY(const TemplateValue value, evaluate(node.pipeline, dot));
        if (node.kind == Node::Kind::action) {
          if (node.pipeline.declares.empty()) out_ += print_value(value);
        } else if (is_true(value)) {
          PLUMBLINE_CHECK_OK(run(node.then, node.kind == Node::Kind::with ? &value : dot));
        } else {
          PLUMBLINE_CHECK_OK(run(node.otherwise, dot));
        }
      }
      if (out_.size() > output_bytes_max) return fail(Code::execution, "the text is larger than 1 MiB");
    }
    return {};
  }
  std::string take() { return std::move(out_); }

 private:
  Result<TemplateValue> evaluate(const Pipeline& pipeline, const TemplateValue* dot) {
    TemplateValue value;
    for (std::size_t i = 0; i < pipeline.commands.size(); ++i) {
      const Command& command = pipeline.commands[i];
      const Operand& first = command.words.front();
      if (first.kind != Operand::Kind::function) {
        PLUMBLINE_TRY(value, word(first, dot));
        continue;
      }
      std::vector<TemplateValue> arguments;
      for (std::size_t k = 1; k < command.words.size(); ++k) {
        PLUMBLINE_TRY(TemplateValue argument, word(command.words[k], dot));
        arguments.push_back(std::move(argument));
      }
      if (i > 0) arguments.push_back(std::move(value));
      auto called = find_template_function(first.name)->call(arguments, data_);
      if (!called) return fail(std::move(called).error().in("error calling " + first.name));
      value = std::move(*called);
    }
    if (!pipeline.declares.empty()) scope_[pipeline.declares] = value;
    return value;
  }

  Result<TemplateValue> word(const Operand& operand, const TemplateValue* dot) {
    TemplateValue value = operand.constant;
    std::size_t next = 0;
    switch (operand.kind) {
      case Operand::Kind::constant:
        break;
      case Operand::Kind::function: {
        const TemplateFunction& f = *find_template_function(operand.name);
        if (f.arguments_min > 0)
          return fail(Code::execution, fmt::format("wrong number of arguments for {}: 0", f.name));
        return f.call({}, data_);
      }
      case Operand::Kind::parenthesis: {
        PLUMBLINE_TRY(value, evaluate(*operand.inner, dot));
        break;
      }
      case Operand::Kind::variable: {
        if (operand.name.empty()) {
          PLUMBLINE_TRY(value, root_field(operand, next));
        } else if (const auto it = scope_.find(operand.name); it != scope_.end()) {
          value = it->second;
        }
        break;
      }
      case Operand::Kind::dot: {
        if (dot) {
          value = *dot;
        } else {
          PLUMBLINE_TRY(value, root_field(operand, next));
        }
        break;
      }
    }
    for (; next < operand.fields.size(); ++next) {
      const auto* map = std::get_if<StringMap>(&value);
      if (!map)
        return fail(Code::execution,
                    fmt::format("can't evaluate field {} in {}", operand.fields[next], print_value(value)));
      const auto it = map->find(operand.fields[next]);
      TemplateValue found = it == map->end() ? std::string() : it->second;  // an absent label is ""
      value = std::move(found);
    }
    return value;
  }

  Result<TemplateValue> root_field(const Operand& operand, std::size_t& next) {
    if (operand.fields.empty())
      return fail(Code::execution, "the whole data cannot be printed; name a field");
    static const std::map<std::string, std::string, std::less<>> names{{"Labels", "labels"},
                                                                       {"Value", "value"},
                                                                       {"ExternalLabels", "externalLabels"},
                                                                       {"ExternalURL", "externalURL"}};
    const auto it = names.find(operand.fields[0]);
    if (it == names.end())
      return fail(Code::execution, fmt::format("there is no field .{}", operand.fields[0]));
    next = 1;
    return scope_[it->second];
  }

  const TemplateData& data_;
  Scope scope_;
  std::string out_;
};

}  // namespace

struct Template::Program {
  std::vector<Node> nodes;
};

Result<Template> Template::parse(std::string_view text) {
  if (text.size() > template_bytes_max)
    return fail(Code::too_large, fmt::format("the template has {} bytes; at most {} are allowed", text.size(),
                                             template_bytes_max));
  PLUMBLINE_TRY(auto nodes, Parser(text).run());
  Template out;
  out.text_ = text;
  out.program_ = std::make_shared<const Program>(Program{std::move(nodes)});
  return out;
}

Result<std::string> Template::expand(const TemplateData& data) const {
  if (!program_) return std::string();
  Expander expander(data);
  PLUMBLINE_CHECK_OK(expander.run(program_->nodes, nullptr));
  return expander.take();
}

}  // namespace plumbline::alerting
