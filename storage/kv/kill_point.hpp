// Places where a test may kill the process: PLUMBLINE_KILL_POINT in the environment is "<place>:<n>", and the n-th pass of
// that place is a SIGKILL. One relaxed load where it is off.
#pragma once

#include <array>
#include <atomic>
#include <string_view>

namespace plumbline::storage::kv {

// Every place there is; a test walks this list.
inline constexpr std::array<std::string_view, 26> kill_points{
    "journal.append.before", "journal.append.after",   "journal.sync.before",      "journal.sync.after",
    "journal.roll.before",   "journal.roll.created",   "journal.roll.after",       "journal.trim.before",
    "journal.trim.between",  "journal.replay.record",  "store.facts.before",       "store.facts.after",
    "seal.frozen",           "seal.segment.create",    "seal.segment.finish",      "seal.segments.written",
    "seal.definitions",      "seal.commit.before",     "seal.commit.after",        "retain.before",
    "retain.committed",      "retain.removed",         "open.segments",            "open.orphan",
    "rewrite.written",       "rewrite.committed",
};

namespace detail {
extern std::atomic<bool> kill_points_on;
void pass_kill_point(std::string_view place);
}  // namespace detail

inline void kill_point(std::string_view place) {
  if (detail::kill_points_on.load(std::memory_order_relaxed)) detail::pass_kill_point(place);
}

}  // namespace plumbline::storage::kv
