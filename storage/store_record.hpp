// One journal record: everything that one write brings. The journal frames, numbers and checksums it.
// The bytes are specified with a worked example in storage/format/record.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/series/series_run.hpp"
#include "storage/storage.hpp"

namespace plumbline::storage {

// 1 was a value of the RocksDB family `journal`; 2 had no histograms and is read.
inline constexpr std::uint8_t record_version = 3;
inline constexpr std::uint8_t record_version_min = 2;

struct Record {
  std::vector<series::Definition> definitions;
  std::vector<series::SeriesRun> runs;  // slices of `samples`, one after the other
  std::vector<model::Sample> samples;
  std::vector<series::SeriesRun> histogram_runs;  // slices of `histograms`
  std::vector<model::HistogramSample> histograms;
  std::vector<model::StreamRows> events;
  std::vector<model::LateLabel> labels;
  std::vector<MetricMetadata> metadata;
  std::vector<StatePut> state;
};

// Section by section into a buffer that the caller keeps for the next record, behind room for the journal's frame; empty
// sections take no bytes.
class RecordWriter {
 public:
  explicit RecordWriter(std::string& out);
  void definitions(std::span<const series::Definition> definitions);
  // Runs are slices of `samples`, which may hold others besides.
  void samples(std::span<const series::SeriesRun> runs, std::span<const model::Sample> samples);
  void histograms(std::span<const series::SeriesRun> runs, std::span<const model::HistogramSample> histograms);
  void events(const std::vector<model::StreamRows>& events);
  void labels(const std::vector<model::LateLabel>& labels);
  void metadata(const std::vector<MetricMetadata>& metadata);
  void state(const std::vector<StatePut>& state);

 private:
  std::string& out_;
};

std::string encode_record(const Record& record);
// Fails: corrupt (structure), unsupported (a newer version).
Result<Record> decode_record(std::string_view bytes);
// Into a record that was used before, for the memory it has. What it says after a failure means nothing.
Status decode_record(std::string_view bytes, Record& out);
// A record of version 1, which was a value of the RocksDB family `journal` under its sequence.
Result<Record> decode_record_v1(std::uint64_t sequence, std::string_view bytes);

}  // namespace plumbline::storage
