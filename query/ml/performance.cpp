// Performance of a window: predictions joined with their labels, the kind of problem told from the values, and said.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "daemon/base/text.hpp"
#include "query/ml/models_impl.hpp"
#include "query/ml/records.hpp"

namespace plumbline::query::ml {
namespace {

constexpr std::size_t predictions_max = 10'000'000;  // rows joined by one request, about 1 GiB with their ids
constexpr std::size_t numeric_classes_max = 20;      // more different whole numbers than that is a quantity, not a class
constexpr std::size_t classes_max = 1'000;           // macro averages over more are not computed
constexpr std::size_t join_batch = 10'000;           // ids per look-up of late labels

struct Row {
  model::Value prediction;
  model::Value label;
  std::string prediction_id;
  std::optional<double> score;
  std::vector<std::pair<std::string, double>> class_scores;
};

bool present(const model::Value& v) {
  if (const auto* text = std::get_if<std::string>(&v)) return !text->empty();
  return number_of(v).has_value();
}

// `notes`: see scan_records().
Result<std::vector<Row>> read_rows(const storage::Reader& reader, const std::string& model, const Window& window,
                                   std::vector<std::string>& notes) {
  namespace field = model::field;
  std::vector<Row> rows;
  const std::string class_prefix(field::class_score_prefix);
  const storage::Column *prediction = nullptr, *label = nullptr, *id = nullptr, *score = nullptr;
  std::vector<const storage::Column*> class_scores;
  const auto on_block = [&](const storage::RowBlock& block) {
    prediction = block.find(field::prediction);
    label = block.find(field::label);
    id = block.find(field::prediction_id);
    score = block.find(field::score);
    class_scores.clear();
    for (const storage::Column& c : block.columns)
      if (c.name.starts_with(class_prefix)) class_scores.push_back(&c);
  };
  const auto visit = [&](const storage::RowBlock&, std::size_t at) -> Status {
    if (rows.size() >= predictions_max)
      return fail(Code::over_limit, "the window holds more than " + std::to_string(predictions_max) +
                                        " predictions (predictions_max); ask for a shorter one");
    Row row;
    if (prediction != nullptr) row.prediction = prediction->values[at];
    if (label != nullptr) row.label = label->values[at];
    if (id != nullptr)
      if (const auto* text = std::get_if<std::string>(&id->values[at])) row.prediction_id = *text;
    if (score != nullptr) row.score = number_of(score->values[at]);
    for (const storage::Column* c : class_scores)
      if (const auto v = number_of(c->values[at])) row.class_scores.emplace_back(c->name.substr(class_prefix.size()), *v);
    rows.push_back(std::move(row));
    return {};
  };
  const Records what{model,
                     window,
                     {std::string(field::prediction), std::string(field::label), std::string(field::prediction_id),
                      std::string(field::score), class_prefix + "*"}};
  PLUMBLINE_TRY(notes, scan_records(reader, what, on_block, visit));
  return rows;
}

// A label that came later wins over the record's own: it is the correction.
Status join_labels(const storage::Reader& reader, const std::string& model, std::vector<Row>& rows) {
  std::vector<std::string> ids;
  std::vector<std::size_t> at;
  const auto flush = [&]() -> Status {
    if (ids.empty()) return {};
    PLUMBLINE_TRY(const auto found, reader.late_labels(model, ids));
    for (std::size_t k = 0; k < found.size() && k < at.size(); ++k)
      if (found[k] && present(found[k]->label)) rows[at[k]].label = found[k]->label;
    ids.clear();
    at.clear();
    return {};
  };
  for (std::size_t k = 0; k < rows.size(); ++k) {
    if (rows[k].prediction_id.empty()) continue;
    ids.push_back(rows[k].prediction_id);
    at.push_back(k);
    if (ids.size() == join_batch) PLUMBLINE_CHECK_OK(flush());
  }
  return flush();
}

bool whole(double v) { return std::isfinite(v) && v == std::floor(v); }

struct Kinds {
  bool text = false, truth = false, fraction_label = false, fraction_prediction = false, off_unit = false;
  std::set<double> label_numbers, numbers;
};

Kinds look_at(const std::vector<const Row*>& rows) {
  Kinds kinds;
  const auto one = [&](const model::Value& v, bool is_label) {
    if (std::holds_alternative<std::string>(v)) kinds.text = true;
    else if (std::holds_alternative<bool>(v)) kinds.truth = true;
    const auto number = std::holds_alternative<std::string>(v) ? std::nullopt : number_of(v);
    if (!number) return;
    if (!whole(*number)) (is_label ? kinds.fraction_label : kinds.fraction_prediction) = true;
    if (!is_label && (*number < 0 || *number > 1)) kinds.off_unit = true;
    if (kinds.numbers.size() <= numeric_classes_max) kinds.numbers.insert(*number);
    if (is_label && kinds.label_numbers.size() <= numeric_classes_max) kinds.label_numbers.insert(*number);
  };
  for (const Row* row : rows) {
    one(row->label, true);
    if (present(row->prediction)) one(row->prediction, false);
  }
  return kinds;
}

void regression(const std::vector<const Row*>& rows, PerformanceReport& report) {
  std::vector<double> predicted, actual;
  for (const Row* row : rows) {
    const auto p = number_of(row->prediction), l = number_of(row->label);
    if (!p || !l) continue;
    predicted.push_back(*p);
    actual.push_back(*l);
  }
  if (predicted.empty()) {
    report.notes.emplace_back("no labelled record has a numeric prediction: errors are undefined");
    return;
  }
  const RegressionErrors errors = regression_errors(predicted, actual);
  report.mae = errors.mae;
  report.rmse = errors.rmse;
}

// The name of a value's class. Truth values are 1 and 0 where the other side counts that way.
std::string class_of(const model::Value& value, bool truth_as_number) {
  if (truth_as_number)
    if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "1" : "0";
  return text_of(value).value_or("");
}

void set_auc(PerformanceReport& report, const std::vector<const Row*>& rows, const std::vector<std::string>& labels,
             const std::string& positive, bool prediction_is_score) {
  std::vector<double> scores;
  std::vector<bool> is_positive;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    std::optional<double> score;
    for (const auto& [name, value] : rows[k]->class_scores)
      if (name == positive) score = value;
    if (!score) score = rows[k]->score;
    if (!score && prediction_is_score) score = number_of(rows[k]->prediction);
    if (!score) continue;
    scores.push_back(*score);
    is_positive.push_back(labels[k] == positive);
  }
  if (scores.empty()) {
    report.notes.emplace_back("no labelled record has a score: roc_auc is undefined");
    return;
  }
  if (scores.size() < rows.size())
    report.notes.push_back("roc_auc over the " + std::to_string(scores.size()) + " of " + std::to_string(rows.size()) +
                           " labelled records that have a score");
  report.roc_auc = roc_auc(scores, is_positive);
  if (!report.roc_auc) report.notes.emplace_back("the labels hold one class only: roc_auc is undefined");
}

// One against the rest for each class, averaged over the classes that have both sides.
Status set_macro_auc(PerformanceReport& report, const std::vector<const Row*>& rows, const std::vector<std::string>& labels,
                     const std::stop_token& stop) {
  double sum = 0;
  int counted = 0;
  for (const std::string& name : report.classes) {
    PLUMBLINE_CHECK_OK(go_on(stop));
    std::vector<double> scores;
    std::vector<bool> positive;
    for (std::size_t k = 0; k < rows.size(); ++k)
      for (const auto& [scored, value] : rows[k]->class_scores)
        if (scored == name) {
          scores.push_back(value);
          positive.push_back(labels[k] == name);
        }
    if (const auto auc = roc_auc(scores, positive)) {
      sum += *auc;
      ++counted;
    }
  }
  if (counted == 0) {
    report.notes.emplace_back("no scores per class (score.<class>): roc_auc is undefined");
    return {};
  }
  report.roc_auc = sum / counted;
  report.notes.push_back("roc_auc is the mean of one-against-rest over " + std::to_string(counted) + " classes");
  return {};
}

std::string list_words(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& w : words) out += (out.empty() ? "" : ", ") + w;
  return out;
}

Status classification(const std::vector<const Row*>& rows, const Kinds& kinds, bool prediction_is_score, const std::stop_token& stop,
                      const std::optional<std::string>& wanted_positive, PerformanceReport& report) {
  const bool truth_as_number = kinds.truth && !kinds.numbers.empty() && [&] {
    for (const Row* row : rows)
      if (std::holds_alternative<double>(row->label) || std::holds_alternative<double>(row->prediction)) return true;
    return false;
  }();
  std::vector<std::string> labels, predictions;
  std::set<std::string> classes;
  for (const Row* row : rows) {
    PLUMBLINE_CHECK_OK(go_on(stop));
    labels.push_back(class_of(row->label, truth_as_number));
    classes.insert(labels.back());
    std::string predicted;
    if (prediction_is_score) {
      if (const auto p = number_of(row->prediction)) predicted = *p >= 0.5 ? "1" : "0";
    } else if (present(row->prediction)) {
      predicted = class_of(row->prediction, truth_as_number);
    }
    predictions.push_back(predicted);
    if (!predicted.empty()) classes.insert(predicted);
  }
  if (classes.size() > classes_max)
    return fail(Code::execution, "more than " + std::to_string(classes_max) + " classes (classes_max): are these ids?");
  report.classes.assign(classes.begin(), classes.end());
  std::map<std::string, ClassCounts> counts;
  std::uint64_t right = 0, judged = 0;
  for (std::size_t k = 0; k < labels.size(); ++k) {
    PLUMBLINE_CHECK_OK(go_on(stop));
    if (predictions[k].empty()) continue;
    ++judged;
    if (predictions[k] == labels[k]) {
      ++right;
      ++counts[labels[k]].tp;
    } else {
      ++counts[predictions[k]].fp;
      ++counts[labels[k]].fn;
    }
  }
  const bool binary = classes.size() <= 2;
  std::string positive;
  if (wanted_positive) {
    positive = *wanted_positive;
    if (!classes.contains(positive))
      return fail(Code::invalid_input, "positive class " + json_quote(positive) + " does not occur; the classes are " +
                                           list_words(report.classes));
  } else if (binary) {
    const auto within = [&](const char* a, const char* b) {
      return std::all_of(classes.begin(), classes.end(), [&](const std::string& c) { return c == a || c == b; });
    };
    positive = within("0", "1") ? "1" : within("false", "true") ? "true" : *classes.rbegin();
  }
  if (binary || wanted_positive) {
    report.notes.push_back(std::string(binary ? "binary" : "one class against the rest") + " classification, positive class " +
                           json_quote(positive) + (wanted_positive ? "" : " (choose with positive=)"));
  } else {
    report.notes.push_back("classification with " + std::to_string(classes.size()) +
                           " classes: precision, recall and f1 are macro averages");
  }
  if (judged == 0) {
    report.notes.emplace_back("no labelled record has a prediction: accuracy, precision, recall and f1 are undefined");
  } else {
    report.accuracy = static_cast<double>(right) / static_cast<double>(judged);
    if (judged < rows.size())
      report.notes.push_back("accuracy, precision, recall and f1 over the " + std::to_string(judged) +
                             " labelled records that have a prediction");
    if (!positive.empty()) {
      const ClassCounts& c = counts[positive];
      report.precision = c.precision();
      report.recall = c.recall();
      report.f1 = c.f1();
      if (!report.precision) report.notes.emplace_back("nothing was predicted positive: precision is undefined");
      if (!report.recall) report.notes.emplace_back("nothing is labelled positive: recall is undefined");
    } else {
      // A class that was never predicted, or never labelled, counts as 0, so that forgetting a class costs.
      double precision = 0, recall = 0, f1 = 0;
      for (const std::string& name : report.classes) {
        precision += counts[name].precision().value_or(0);
        recall += counts[name].recall().value_or(0);
        f1 += counts[name].f1().value_or(0);
      }
      const auto k = static_cast<double>(report.classes.size());
      report.precision = precision / k;
      report.recall = recall / k;
      report.f1 = f1 / k;
    }
  }
  if (!positive.empty()) set_auc(report, rows, labels, positive, prediction_is_score);
  else PLUMBLINE_CHECK_OK(set_macro_auc(report, rows, labels, stop));
  return {};
}

}  // namespace

Result<PerformanceReport> compute_performance(const StoppingReader& reader, const std::string& model, const Window& window,
                                              const std::optional<std::string>& positive_class) {
  PerformanceReport report;
  PLUMBLINE_TRY(std::vector<Row> rows, read_rows(reader, model, window, report.notes));
  PLUMBLINE_CHECK_OK(join_labels(reader, model, rows));
  report.model = model;
  report.window = window;
  report.predictions = rows.size();
  std::vector<const Row*> labelled;
  for (const Row& row : rows)
    if (present(row.label)) labelled.push_back(&row);
  report.labelled = labelled.size();
  if (rows.empty()) {
    report.notes.emplace_back("no records in the window");
    return report;
  }
  if (labelled.empty()) {
    report.notes.emplace_back("no label has come yet for these records: nothing can be measured");
    return report;
  }
  if (labelled.size() < rows.size())
    report.notes.push_back("measured on the " + std::to_string(labelled.size()) + " of " + std::to_string(rows.size()) +
                           " records that have a label");
  PLUMBLINE_CHECK_OK(go_on(reader.stop()));
  const Kinds kinds = look_at(labelled);
  const bool zero_one = std::all_of(kinds.label_numbers.begin(), kinds.label_numbers.end(),
                                    [](double v) { return v == 0 || v == 1; });
  const bool prediction_is_score = !kinds.text && zero_one && kinds.fraction_prediction && !kinds.off_unit;
  const bool few = kinds.numbers.size() <= numeric_classes_max;
  if (kinds.text || kinds.truth || prediction_is_score ||
      (few && !kinds.fraction_label && !kinds.fraction_prediction) || positive_class) {
    if (prediction_is_score)
      report.notes.emplace_back("predictions are probabilities: 0.5 and above counts as class 1");
    PLUMBLINE_CHECK_OK(classification(labelled, kinds, prediction_is_score, reader.stop(), positive_class, report));
    return report;
  }
  report.notes.emplace_back("regression: labels and predictions are quantities");
  regression(labelled, report);
  return report;
}

}  // namespace plumbline::query::ml
