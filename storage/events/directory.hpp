// The directory record of a stream and day: which blocks one seal wrote, and their time ranges. Small, so that a scan finds
// its blocks, and streams() its answer, without reading blocks. Streams whose fingerprints collide share a record.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/events/keys.hpp"
#include "storage/kv/kv.hpp"
#include "storage/model/labels.hpp"
#include "storage/model/sample.hpp"

namespace plumbline::storage::events {

struct SealedBlock {
  std::uint32_t number = 0;
  std::int64_t min_time = 0;
  std::int64_t max_time = 0;
  std::uint64_t rows = 0;
};

struct DirectoryEntry {
  std::string stream;  // Labels::encode()
  std::vector<SealedBlock> blocks;
};

std::string encode_directory(const std::vector<DirectoryEntry>& entries);
Result<std::vector<DirectoryEntry>> decode_directory(std::string_view bytes);

// Every entry of a kind whose day overlaps the range. Fails: corrupt, naming the record's key; whatever the visitor returns.
using DirectoryVisitor = std::function<Status(const DirectoryKey&, DirectoryEntry&&)>;
Status read_directories(const kv::Kv& kv, EventKind kind, model::TimeRange range, const DirectoryVisitor& visit);

}  // namespace plumbline::storage::events
