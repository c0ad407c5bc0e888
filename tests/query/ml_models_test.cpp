#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "query/query.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query;

namespace {

constexpr std::int64_t t0 = 1'700'000'000'000'000'000;

struct Fixture {
  test::ManualClock clock;
  test::MemoryStore store;
  Models models{store, store, clock};

  void record(std::int64_t t, std::vector<model::Field> fields, const std::string& version = "1") {
    storage::WriteBatch batch;
    batch.events.push_back({model::EventKind::inference, model::Labels::of({{"model", "m"}, {"version", version}}), {{t, std::move(fields)}}});
    REQUIRE(store.write(std::move(batch)));
  }
  // n records with age ~ N(mean, 1) and plan "a" with the given share, every tenth without plan.
  void traffic(std::int64_t start, int n, double mean, double share, unsigned seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal(mean, 1);
    std::uniform_real_distribution<double> uniform;
    storage::WriteBatch batch;
    model::StreamRows rows{model::EventKind::inference, model::Labels::of({{"model", "m"}, {"version", "1"}}), {}};
    for (int i = 0; i < n; ++i) {
      model::Row row;
      row.time_ns = start + i;
      row.fields.push_back({"feature.age", normal(random)});
      const bool a = uniform(random) < share;
      if (i % 10 != 0) row.fields.push_back({"feature.plan", std::string(a ? "a" : "b")});
      row.fields.push_back({"segment.country", std::string(i % 2 == 0 ? "de" : "fr")});
      rows.rows.push_back(std::move(row));
    }
    batch.events.push_back(std::move(rows));
    REQUIRE(store.write(std::move(batch)));
  }
};

const DriftScore& score(const DriftReport& report, std::string_view feature, Statistic statistic) {
  for (const DriftScore& s : report.scores)
    if (s.feature == feature && s.statistic == statistic) return s;
  FAIL("no score of " << feature);
  return report.scores.front();
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a pinned window against later windows: quiet stays ok, a shift drifts") {
  traffic(t0, 2000, 0, 0.5, 1);
  traffic(t0 + 10'000, 2000, 0, 0.5, 2);
  traffic(t0 + 20'000, 2000, 1, 0.9, 3);
  REQUIRE(models.pin_reference("m", "training", {t0, t0 + 2000, ""}) == "training@1");
  DriftRequest request;
  request.model = "m";
  request.reference = "training";
  request.window = {t0 + 10'000, t0 + 12'000, ""};
  auto quiet = models.drift(request);
  REQUIRE(quiet);
  CHECK(quiet->reference == "training@1");
  CHECK(quiet->reference_rows == 2000);
  CHECK(quiet->window_rows == 2000);
  CHECK(quiet->scores.size() == 6);  // age: psi, ks, missing; plan: psi, chi-square, missing
  for (const DriftScore& s : quiet->scores) {
    INFO(s.feature << " " << name_of(s.statistic) << " " << s.value);
    CHECK(s.verdict == Verdict::ok);
    CHECK(std::isfinite(s.value));
  }
  CHECK(score(*quiet, "plan", Statistic::missing_rate).missing_window == Approx(0.1));
  CHECK(score(*quiet, "age", Statistic::psi).threshold == Approx(0.1));
  CHECK(*score(*quiet, "age", Statistic::psi).detectable == Approx(0.0157).epsilon(0.01));

  request.window = {t0 + 20'000, t0 + 22'000, ""};
  auto moved = models.drift(request);
  REQUIRE(moved);
  CHECK(score(*moved, "age", Statistic::psi).verdict == Verdict::drifted);
  CHECK(score(*moved, "age", Statistic::ks).verdict == Verdict::drifted);
  CHECK(score(*moved, "age", Statistic::ks).value > 0.3);
  CHECK(score(*moved, "plan", Statistic::chi_square).verdict == Verdict::drifted);
  CHECK(score(*moved, "plan", Statistic::missing_rate).verdict == Verdict::ok);

  request.window.where = "segment.country=\"de\"";
  request.features = {"age"};
  request.statistics = {Statistic::psi};
  request.threshold = 50;
  auto segment = models.drift(request);
  REQUIRE(segment);
  CHECK(segment->window_rows == 1000);
  REQUIRE(segment->scores.size() == 1);
  CHECK(segment->scores[0].verdict == Verdict::ok);  // below the threshold that was asked for
  CHECK(segment->scores[0].threshold == 50);

  request.features = {"nope"};
  CHECK(models.drift(request).error().message == "reference training@1 has no feature \"nope\"; it has age, plan");
  request.reference = "nope";
  CHECK(models.drift(request).error().code == Code::not_found);
}

TEST_CASE_METHOD(Fixture, "a filter over what no record of the window has is said") {
  traffic(t0, 500, 0, 0.5, 1);
  REQUIRE(models.pin_reference("m", "r", {t0, t0 + 500, ""}));
  DriftRequest request;
  request.model = "m";
  request.window = {t0, t0 + 500, "agee > 3 or age > -1000"};
  const std::vector<std::string> notes = {
      "where: no record of the window has \"feature.agee\", and what is missing passes no comparison but != and !~"};
  auto report = models.drift(request);
  REQUIRE(report);
  CHECK(report->window_rows == 500);
  CHECK(report->notes == notes);
  auto performance = models.performance("m", request.window);
  REQUIRE(performance);
  REQUIRE(!performance->notes.empty());
  CHECK(performance->notes.front() == notes.front());
  request.window.where = "age > -1000";
  report = models.drift(request);
  REQUIRE(report);
  CHECK(report->notes.empty());
  request.window = {t0 + 50'000, t0 + 60'000, "agee > 3"};  // no records: nothing is known of their columns
  report = models.drift(request);
  REQUIRE(report);
  CHECK(report->notes.empty());
}

TEST_CASE_METHOD(Fixture, "too little data is a verdict of its own, with its reason") {
  traffic(t0, 2000, 0, 0.5, 1);
  traffic(t0 + 10'000, 50, 3, 0.5, 2);
  REQUIRE(models.pin_reference("m", "r", {t0, t0 + 2000, ""}));
  DriftRequest request;
  request.model = "m";
  request.window = {t0 + 10'000, t0 + 20'000, ""};
  auto report = models.drift(request);  // the only reference needs no name
  REQUIRE(report);
  const DriftScore& s = score(*report, "age", Statistic::psi);
  CHECK(s.verdict == Verdict::insufficient_data);
  CHECK(s.reason == "the window has 50 values, a verdict needs 200");
  CHECK(s.value > 1);
  request.window = {t0 + 50'000, t0 + 60'000, ""};
  report = models.drift(request);
  REQUIRE(report);
  CHECK(report->window_rows == 0);
  for (const DriftScore& empty : report->scores) {
    CHECK(empty.verdict == Verdict::insufficient_data);
    CHECK(empty.value == 0);
    CHECK_FALSE(empty.p_value.has_value());
  }
  request.window = {t0, t0, ""};
  CHECK(models.drift(request).error().code == Code::invalid_input);
}

TEST_CASE_METHOD(Fixture, "values of another type, NaN and null count as missing, never as a verdict") {
  REQUIRE(models.upload_reference("m", "r", "text/csv", "x\n1\n2\n3\n4\n"));
  record(t0, {{"feature.x", std::string("seven")}});
  record(t0 + 1, {{"feature.x", std::nan("")}});
  record(t0 + 2, {});
  record(t0 + 3, {{"feature.x", 2.0}});
  DriftRequest request;
  request.model = "m";
  request.window = {t0, t0 + 10, ""};
  request.rows_min = 1;
  auto report = models.drift(request);
  REQUIRE(report);
  CHECK(score(*report, "x", Statistic::ks).m == 1);
  CHECK(score(*report, "x", Statistic::ks).missing_window == 0.75);
  CHECK(score(*report, "x", Statistic::missing_rate).value == 0.75);
}

TEST_CASE_METHOD(Fixture, "binary performance with late labels: coverage, midrank ROC-AUC") {
  // scores .1 .4 .35 .8, labels 0 0 1 1: AUC 0.75; predictions at 0.3: 0 1 1 1
  const double scores[] = {0.1, 0.4, 0.35, 0.8};
  for (int i = 0; i < 4; ++i)
    record(t0 + i, {{"prediction", i == 0 ? 0.0 : 1.0}, {"score", scores[i]}, {"prediction_id", "p" + std::to_string(i)}});
  record(t0 + 4, {{"prediction", 1.0}, {"score", 0.9}, {"prediction_id", std::string("p4")}});
  storage::WriteBatch batch;
  for (int i = 0; i < 4; ++i) batch.labels.push_back({"m", "p" + std::to_string(i), i >= 2 ? 1.0 : 0.0, t0 + 100});
  REQUIRE(store.write(std::move(batch)));
  const auto report = models.performance("m", {t0, t0 + 10, ""});
  REQUIRE(report);
  CHECK(report->predictions == 5);
  CHECK(report->labelled == 4);
  CHECK(report->classes == std::vector<std::string>{"0", "1"});
  CHECK(*report->accuracy == 0.75);
  CHECK(*report->precision == Approx(2.0 / 3));
  CHECK(*report->recall == 1);
  CHECK(*report->f1 == Approx(0.8));
  CHECK(*report->roc_auc == Approx(0.75));
  CHECK_FALSE(report->mae.has_value());
  CHECK(report->notes[0] == "measured on the 4 of 5 records that have a label");
  CHECK(*models.performance("m", {t0, t0 + 10, ""}, "0")->recall == 0.5);
  CHECK(models.performance("m", {t0, t0 + 10, ""}, "x").error().code == Code::invalid_input);
}

TEST_CASE_METHOD(Fixture, "multiclass is macro-averaged, quantities are regression, probabilities are scores") {
  record(t0, {{"prediction", std::string("cat")}, {"label", std::string("cat")}}, "classes");
  record(t0 + 1, {{"prediction", std::string("dog")}, {"label", std::string("cat")}}, "classes");
  record(t0 + 2, {{"prediction", std::string("dog")}, {"label", std::string("dog")}}, "classes");
  record(t0 + 3, {{"prediction", std::string("cow")}, {"label", std::string("cow")}}, "classes");
  const auto classes = models.performance("m", {t0, t0 + 10, "version=\"classes\""});
  REQUIRE(classes);
  CHECK(*classes->accuracy == 0.75);
  CHECK(*classes->precision == Approx((1 + 0.5 + 1) / 3));
  CHECK(*classes->recall == Approx((0.5 + 1 + 1) / 3));
  CHECK_FALSE(classes->roc_auc.has_value());

  record(t0, {{"prediction", 1.5}, {"label", 1.0}}, "numbers");
  record(t0 + 1, {{"prediction", 2.0}, {"label", 4.25}}, "numbers");
  const auto numbers = models.performance("m", {t0, t0 + 10, "version=\"numbers\""});
  REQUIRE(numbers);
  CHECK(*numbers->mae == Approx(1.375));
  CHECK_FALSE(numbers->accuracy.has_value());

  record(t0, {{"prediction", 0.2}, {"label", 0.0}}, "p");
  record(t0 + 1, {{"prediction", 0.7}, {"label", 1.0}}, "p");
  const auto probabilities = models.performance("m", {t0, t0 + 10, "version=\"p\""});
  REQUIRE(probabilities);
  CHECK(*probabilities->accuracy == 1);
  CHECK(*probabilities->roc_auc == 1);
  const auto none = models.performance("m", {t0 + 100, t0 + 110, ""});
  REQUIRE(none);
  CHECK(none->notes == std::vector<std::string>{"no records in the window"});
}
