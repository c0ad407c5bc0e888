#include "storage/journal/verify.hpp"

#include <fmt/format.h>

#include "storage/journal/judge.hpp"
#include "storage/kv/files.hpp"

namespace plumbline::storage::journal {

namespace {
constexpr std::string_view restore_it = "restore the file from a backup";
}

Result<Findings> verify(const std::string& directory, const std::string& name, std::shared_ptr<rocksdb::FileSystem> file_system,
                        std::uint64_t after, const VerifyVisit& visit) {
  Findings out;
  const auto files = kv::Files::read_only(directory, std::move(file_system));
  PLUMBLINE_TRY(const auto names, files->list());
  std::vector<std::uint64_t> firsts = firsts_of(names);
  const auto path = [&](std::uint64_t first) { return name + "/" + name_of(first); };
  const auto tell = [&](std::uint64_t first, std::string place, std::string what) {
    out.problems.push_back({path(first), std::move(place), std::move(what), std::string(restore_it)});
  };
  if (!firsts.empty()) {
    PLUMBLINE_TRY(const std::string bytes, files->read(name_of(firsts.back())));
    const auto header = decode_header(bytes);
    if (header && !*header && never_begun(bytes, firsts.back())) {
      out.notes.push_back(path(firsts.back()) + ": it was never begun; the next start removes it");
      firsts.pop_back();
    }
  }
  std::size_t from = 0;
  while (from + 1 < firsts.size() && firsts[from + 1] <= after + 1) ++from;  // those before are in sealed files
  if (!firsts.empty() && firsts[from] > after + 1)
    tell(firsts[from], "", fmt::format("it is the oldest file, and records {} to {} are missing before it", after + 1, firsts[from] - 1));

  std::uint64_t last = firsts.empty() ? after : firsts[from] - 1;
  for (std::size_t i = from; i < firsts.size(); ++i) {
    ++out.files;
    PLUMBLINE_TRY(const std::string bytes, files->read(name_of(firsts[i])));
    Beside beside{.first = firsts[i], .previous_first = {}, .last = last, .next = {}, .after = after};
    if (i > from) beside.previous_first = firsts[i - 1];
    if (i + 1 < firsts.size()) {
      PLUMBLINE_TRY(const std::string head, files->read(name_of(firsts[i + 1]), header_bytes));
      if (auto next = decode_header(head); next) beside.next = *next;
    }
    const auto verdict = judge_file(bytes, beside, [&](const Frame& frame) -> Status {
      if (frame.sequence <= after) return {};
      ++out.records;
      if (const Status good = visit(frame.sequence, frame.record); !good)
        tell(firsts[i], "record " + std::to_string(frame.sequence), good.error().message);
      return {};
    });
    if (!verdict) {
      tell(firsts[i], "", verdict.error().message);
    } else if (verdict->ending == Ending::damaged) {
      tell(firsts[i], "", verdict->damage);
    } else if (verdict->ending == Ending::torn || verdict->ending == Ending::lost) {
      out.notes.push_back(fmt::format("{}: offset {}: the end was torn by a crash; the next start cuts it behind record {}",
                                      path(firsts[i]), verdict->end, verdict->last));
    }
    // The next file is judged by itself, whatever became of this one.
    const bool sound = verdict && verdict->ending == Ending::whole;
    last = i + 1 < firsts.size() && !sound ? firsts[i + 1] - 1 : verdict ? verdict->last : last;
  }
  return out;
}

}  // namespace plumbline::storage::journal
