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

// How often the bytes of a file may be worked into checksums while records are looked for behind damage. A sound file takes each once;
// bytes made to look like the beginning of a record everywhere would be taken as often as there are of them.
inline constexpr std::uint64_t checksums_max = 64;
struct Search {
  std::optional<Frame> frame;
  std::size_t at = 0;      // where it begins
  bool given_up = false;   // the allowance is spent: whether there is one is not known
};
// The first whole frame from `from` on with a number in [least, most]. The number is looked at before the checksum, which else would be
// worked out at many a byte over whatever length stands there. `allowance`: bytes that may still go into checksums.
Search next_frame(std::string_view bytes, std::size_t from, std::uint64_t least, std::uint64_t most, std::uint64_t& allowance);
// The last number that a record of a file can have: no file of this length reaches another.
std::uint64_t most_of(std::uint64_t first, std::size_t bytes);
// Of a file without a whole header, whose name says `first`: it has no record, as a crash leaves one that was being made. False when that
// is not known.
bool never_begun(std::string_view bytes, std::uint64_t first);

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
