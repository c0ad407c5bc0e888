// Exemplars, from whichever door: a value of a series with labels that lead to where it came from, most of all a trace.
// They become rows of the event engine whose stream is the series. What is wrong with one is no fault of the sample that it
// came with: such a sample is stored, and a request whose only refusals are exemplars is a success, as with Prometheus.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/ingest.hpp"
#include "ingest/limits.hpp"

namespace plumbline::ingest {

struct Exemplar {
  std::vector<model::Label> labels;
  double value = 0;
  std::int64_t time_ms = 0;
};

// What OpenMetrics 1.0 allows the names and values of all labels of one, in code points, and Prometheus refuses beyond.
inline constexpr std::size_t exemplar_label_runes_max = 128;
// Of one series in one request; a histogram keeps ten. An empty exemplar is two bytes on the wire and forty in memory.
inline constexpr std::size_t exemplars_per_series_max = 1000;
std::size_t exemplar_runes(const std::vector<model::Label>& labels);

// Refused: exemplar_too_long, exemplar_bad_labels (a name twice or empty, invalid UTF-8, a time outside of what ns can say).
std::expected<model::Row, Rejection> exemplar_row(Exemplar exemplar);

// Adds the good ones to the batch as rows of `series`, the others to `refused`, each named by `place`. Beyond
// exemplars_per_series_max they are refused as exemplar_too_many.
void add_exemplars(const model::Labels& series, std::vector<Exemplar> exemplars, std::string_view place, Budget& budget,
                   storage::WriteBatch& batch, Rejections& refused);

// Of an exemplar, by a decoder or by the store.
bool is_of_exemplar(const Rejection& rejection);
// Refusals of anything else: what an answer has to tell.
std::uint64_t refused_but_exemplars(const Receipt& receipt);

}  // namespace plumbline::ingest
