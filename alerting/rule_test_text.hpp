// What a rule test says when it fails: expected and got, in the very form of promtool. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "alerting/alerting.hpp"
#include "storage/model/labels.hpp"

namespace plumbline::alerting {

// As Go prints a time.Duration: 0s, 1m0s, 1h0m0s, 1.5s, 250ms.
std::string go_duration(std::int64_t ms);

struct TestSample {
  model::Labels labels;
  double value = 0;
  std::string histogram;  // in series notation
};
// `fuzzy`: a value may be the next double below or above. NaN equals nothing.
bool same_samples(const std::vector<TestSample>& a, const std::vector<TestSample>& b, bool fuzzy);
void sort_samples(std::vector<TestSample>& samples);
// {__name__="up", job="a"} 1E+00, {} 2E+00; "nil" for none.
std::string samples_text(const std::vector<TestSample>& samples);

// Sorts the pairs of each and the alerts.
void sort_alerts(std::vector<ExpectedAlert>& alerts);
bool same_alerts(const std::vector<ExpectedAlert>& a, const std::vector<ExpectedAlert>& b);
// Over several lines, indented for the report; "[]" for none.
std::string alerts_text(const std::vector<ExpectedAlert>& alerts);

}  // namespace plumbline::alerting
