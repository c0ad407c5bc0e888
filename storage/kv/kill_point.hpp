// Places where a test may end the process: PLUMBLINE_KILL_POINT in the environment is "<place>:<n>", and the n-th pass of
// that place is a SIGKILL; or a handler in the process is told of every pass. One relaxed load where both are off.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <string_view>

namespace plumbline::storage::kv {

// Every place there is; a test walks this list.
inline constexpr std::array<std::string_view, 62> kill_points{
    "journal.append.before",  "journal.append.after",   "journal.sync.before",     "journal.sync.after",
    "journal.roll.before",    "journal.roll.created",   "journal.roll.after",      "journal.trim.before",
    "journal.trim.between",   "journal.replay.record",  "journal.replay.trimmed",  "journal.replay.rewrite",
    "journal.replay.rewritten",
    "files.create.named",     "files.replace.written",  "files.replace.renamed",   "table.finish.synced",
    "kv.opened",              "kv.write.before",        "kv.write.after",          "kv.ingest.begun",
    "kv.ingest.written",      "kv.ingest.joined",
    "store.facts.before",     "store.facts.after",
    "seal.frozen",            "seal.segment.create",    "seal.segment.finish",     "seal.segments.written",
    "seal.definitions",       "seal.commit.before",     "seal.commit.after",
    "retain.before",          "retain.committed",       "retain.removed",          "retain.events.ids",
    "retain.events.listed",   "retain.events.dropped",  "forget.before",           "forget.after",
    "rewrite.written",        "rewrite.committed",      "rewrite.removed",         "erase.sealed",
    "tier.written",           "tier.committed",         "tier.removed",           "tier.retained",
    "open.format",            "open.segments",          "open.replayed",           "open.orphan",
    "upgrade.begun",          "upgrade.chunks",         "upgrade.done",
    "backup.checkpoint",      "backup.filled",          "backup.listed",          "backup.renamed",
    "close.before",           "close.sealed",           "close.done",
};

// Called by whoever passes a place: by two threads at once in a start. Null turns it off. Not while another thread may pass a place. Borrows
// nothing.
void on_kill_point(std::function<void(std::string_view place)> handler);

namespace detail {
extern std::atomic<bool> kill_points_on;
void pass_kill_point(std::string_view place);
}  // namespace detail

inline void kill_point(std::string_view place) {
  if (detail::kill_points_on.load(std::memory_order_relaxed)) detail::pass_kill_point(place);
}

}  // namespace plumbline::storage::kv
