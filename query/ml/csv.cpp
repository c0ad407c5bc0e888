#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>
#include <set>

#include "daemon/base/text.hpp"
#include "query/ml/upload.hpp"

namespace plumbline::query::ml {
namespace {

bool listed(const std::vector<std::string>& names, std::string_view column) {
  const std::string lower = to_lower(column);
  return std::any_of(names.begin(), names.end(), [&](const std::string& n) { return to_lower(n) == lower; });
}

bool is_missing(std::string_view cell) {
  if (cell.empty()) return true;
  if (cell.size() > 4) return false;
  const std::string lower = to_lower(cell);
  return lower == "nan" || lower == "null";
}

std::optional<std::string_view> truth_word(std::string_view cell) {
  if (cell == "true" || cell == "True" || cell == "TRUE") return "true";
  if (cell == "false" || cell == "False" || cell == "FALSE") return "false";
  return std::nullopt;
}

// Splits records; quoted cells may hold commas, line ends and doubled quotes. CRLF and LF both end a record.
class Splitter {
 public:
  explicit Splitter(std::string_view body) : text_(body) {
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);  // Excel's byte order mark
  }
  bool done() const { return at_ >= text_.size(); }
  // Cells stay valid as long as the splitter and the body. Fails: invalid_input, the cell's number in the message.
  Status next(std::vector<std::string_view>& cells) {
    cells.clear();
    while (true) {
      std::string_view cell;
      if (at_ < text_.size() && text_[at_] == '"') {
        PLUMBLINE_TRY(cell, quoted(cells.size() + 1));
      } else {
        const std::size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
        cell = text_.substr(at_, end - at_);
        if (cell.find('"') != std::string_view::npos)
          return fail(Code::invalid_input, "cell " + std::to_string(cells.size() + 1) + ": a quote inside an unquoted cell");
        at_ = end;
      }
      cells.push_back(cell);
      if (at_ >= text_.size()) return {};
      const char c = text_[at_++];
      if (c == ',') continue;
      if (c == '\r' && at_ < text_.size() && text_[at_] == '\n') ++at_;
      return {};
    }
  }

 private:
  Result<std::string_view> quoted(std::size_t number) {
    const std::size_t start = ++at_;
    std::string* unescaped = nullptr;
    std::size_t from = start;
    while (true) {
      const std::size_t quote = text_.find('"', at_);
      if (quote == std::string_view::npos)
        return fail(Code::invalid_input, "cell " + std::to_string(number) + ": a quoted cell has no closing quote");
      if (quote + 1 < text_.size() && text_[quote + 1] == '"') {
        if (unescaped == nullptr) unescaped = &unescaped_.emplace_back();
        unescaped->append(text_.substr(from, quote + 1 - from));
        at_ = from = quote + 2;
        continue;
      }
      at_ = quote + 1;
      if (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\r' && text_[at_] != '\n')
        return fail(Code::invalid_input, "cell " + std::to_string(number) + ": text after the closing quote");
      if (unescaped == nullptr) return text_.substr(start, quote - start);
      unescaped->append(text_.substr(from, quote - from));
      return std::string_view(*unescaped);
    }
  }
  std::string_view text_;
  std::size_t at_ = 0;
  std::deque<std::string> unescaped_;
};

Result<FeatureReference> summarise(const std::string& name, const std::vector<std::string_view>& cells, bool categorical) {
  FeatureBuilder builder;
  std::size_t numbers = 0, present = 0, first_text = cells.size();
  bool truths = true;  // every value is true or false, as pandas and R write them
  for (std::size_t row = 0; row < cells.size(); ++row) {
    const std::string_view cell = trim(cells[row]);
    if (is_missing(cell)) continue;
    ++present;
    truths = truths && truth_word(cell).has_value();
    if (parse_number(cell)) ++numbers;
    else if (first_text == cells.size()) first_text = row;
  }
  if (!categorical && first_text < cells.size() && 2 * numbers > present)
    return fail(Code::invalid_input, "row " + std::to_string(first_text + 2) + ", column '" + name + "': " +
                                         json_quote(trim(cells[first_text])) + " is no number, and " +
                                         std::to_string(numbers) + " of " + std::to_string(present) +
                                         " values are (a category? then categorical=" + name + ")");
  const bool text = categorical || first_text < cells.size();
  for (const std::string_view raw : cells) {
    const std::string_view cell = trim(raw);
    if (is_missing(cell)) continue;
    const std::optional<double> number = parse_number(cell);
    Status added;
    if (number && std::isnan(*number)) continue;
    if (!text) added = builder.add(*number);
    else if (present > 0 && truths) added = builder.add(*truth_word(cell));
    else if (number) added = builder.add(format_number(*number));  // "1.0" and 1 are one category, as in stored records
    else added = builder.add(cell);
    if (!added) return fail(added.error().in("column '" + name + "'"));
  }
  return builder.finish(name, cells.size(), categorical);
}

}  // namespace

bool UploadOptions::is_feature(std::string_view column) const {
  return !listed(label, column) && !listed(prediction, column) && !listed(ignore, column);
}
bool UploadOptions::is_categorical(std::string_view column) const { return listed(categorical, column); }

Result<Upload> parse_csv(std::string_view body, const UploadOptions& options) {
  if (body.size() > upload_bytes_max)
    return fail(Code::too_large, "the upload has " + std::to_string(body.size()) + " bytes, the limit (upload_bytes_max) is " +
                                     std::to_string(upload_bytes_max));
  if (!valid_utf8(body)) return fail(Code::invalid_input, "the CSV is not valid UTF-8");
  Splitter splitter(body);
  std::vector<std::string_view> record;
  if (splitter.done()) return fail(Code::invalid_input, "the CSV is empty: a header row is needed");
  if (Status read = splitter.next(record); !read) return fail(read.error().in("row 1"));
  std::vector<std::string> header;
  std::set<std::string, std::less<>> names;
  for (const std::string_view cell : record) {
    header.emplace_back(trim(cell));
    if (!names.insert(header.back()).second)
      return fail(Code::invalid_input, "row 1: column '" + header.back() + "' appears twice");
  }
  std::vector<std::vector<std::string_view>> columns(header.size());
  std::size_t row = 1, cells = 0;
  while (!splitter.done()) {
    ++row;
    if (Status read = splitter.next(record); !read) return fail(read.error().in("row " + std::to_string(row)));
    if (record.size() == 1 && record[0].empty() && header.size() > 1) continue;  // a blank line
    if (record.size() != header.size())
      return fail(Code::invalid_input, "row " + std::to_string(row) + ": " + std::to_string(record.size()) +
                                           " cells, the header has " + std::to_string(header.size()));
    cells += record.size();
    if (cells > upload_cells_max)
      return fail(Code::too_large, "row " + std::to_string(row) + ": more than " + std::to_string(upload_cells_max) +
                                       " cells (upload_cells_max)");
    for (std::size_t k = 0; k < record.size(); ++k) columns[k].push_back(record[k]);
  }
  Upload upload;
  upload.rows = columns[0].size();
  if (upload.rows == 0) return fail(Code::invalid_input, "the CSV has a header and no rows");
  for (std::size_t k = 0; k < header.size(); ++k) {
    if (!options.is_feature(header[k])) continue;
    PLUMBLINE_TRY(FeatureReference feature, summarise(header[k], columns[k], options.is_categorical(header[k])));
    upload.features.push_back(std::move(feature));
  }
  if (upload.features.empty())
    return fail(Code::invalid_input, "row 1: no column is a feature; label, prediction and ignore lists cover all of them");
  if (upload.features.size() > features_max)
    return fail(Code::too_large, "more than " + std::to_string(features_max) + " features (features_max)");
  std::sort(upload.features.begin(), upload.features.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return upload;
}

}  // namespace plumbline::query::ml
