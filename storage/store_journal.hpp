// One journal record: everything of a WriteBatch that must be replayed (samples by series id, rows, late labels). State and
// metadata need no replay: they are written to their families in the same atomic batch.
// The bytes are specified with a worked example in storage/format/journal.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/model/event.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::storage {

inline constexpr std::uint8_t journal_version = 1;

struct JournalSeries {
  std::uint32_t id = 0;
  std::vector<model::Sample> samples;
};

struct JournalRecord {
  std::uint64_t sequence = 0;
  std::vector<JournalSeries> series;
  std::vector<model::StreamRows> events;
  std::vector<model::LateLabel> labels;
};

// Appends piece by piece, so that a request's samples are not copied into a JournalRecord first.
class JournalEncoder {
 public:
  explicit JournalEncoder(std::uint64_t sequence);
  ~JournalEncoder();
  JournalEncoder(const JournalEncoder&) = delete;
  JournalEncoder& operator=(const JournalEncoder&) = delete;
  void begin_series(std::size_t count);
  void series(std::uint32_t id, const std::vector<model::Sample>& samples);
  void events(const std::vector<model::StreamRows>& events);
  void labels(const std::vector<model::LateLabel>& labels);
  std::string finish();  // with the checksum

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string encode_journal(const JournalRecord& record);
// Fails: corrupt (checksum, structure, or a sequence other than the key's), unsupported (a newer version).
Result<JournalRecord> decode_journal(std::uint64_t sequence, std::string_view bytes);

}  // namespace plumbline::storage
