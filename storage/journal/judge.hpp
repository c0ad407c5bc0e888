// Whether the bytes of a journal file are whole, torn by a crash, or damaged. Pure: a start and `plumbline verify` judge alike.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/error.hpp"
#include "storage/journal/frame.hpp"

namespace plumbline::storage::journal {

std::string name_of(std::uint64_t first_sequence);
std::optional<std::uint64_t> first_of(std::string_view name);  // nullopt: not a file of ours
std::vector<std::uint64_t> firsts_of(std::span<const std::string> names);  // of those that are ours, in their order
// A whole frame anywhere behind `from` that continues the journal: what stands before it is not a torn end.
std::optional<Frame> frame_behind(std::string_view bytes, std::size_t from, std::uint64_t above);

// What the files beside it say.
struct Beside {
  std::uint64_t first = 0;                      // of the file, by its name
  std::optional<std::uint64_t> previous_first;  // unset: it is the oldest
  std::uint64_t last = 0;                       // record before it; of the oldest file nothing is asked
  std::optional<FileHeader> next;               // unset: it is the last
  std::uint64_t after = 0;                      // records up to here are in sealed files
};

enum class Ending {
  whole,
  torn,       // a crash tore the end, or a power cut took what was not synced: nobody was told that it was there
  lost,       // a power cut took what a failing disk had not made durable (version 1): the next file goes on behind the hole
  passed,     // what does not verify is in sealed files
  elsewhere,  // the next file continues another one, and will be refused
  damaged,
};
struct Verdict {
  Ending ending = Ending::whole;
  std::uint64_t end = 0;   // offset behind the last whole record
  std::uint64_t last = 0;  // its number
  std::string damage;      // when damaged
};
// Visits every record in order. Fails: corrupt (the header is damaged, or does not continue the file before), unsupported,
// and what `visit` fails with.
Result<Verdict> judge_file(std::string_view bytes, const Beside& beside, const std::function<Status(const Frame&)>& visit);

}  // namespace plumbline::storage::journal
