// Fingerprint -> id with linear probing: 16 bytes per series and one cache line per look-up, where a node-based map cost a
// fifth of the write path. Equal fingerprints may stand in it more than once; the caller compares the labels.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace plumbline::storage::series {

// Threads: the caller's lock.
class IdTable {
 public:
  // The first id with this fingerprint that `same` accepts; `none` when there is none.
  static constexpr std::uint32_t none = 0xffff'ffff;
  template <class Same>
  std::uint32_t find(std::uint64_t fingerprint, const Same& same) const {
    if (slots_.empty()) return none;
    for (std::size_t at = home(fingerprint);; at = next(at)) {
      const Slot& slot = slots_[at];
      if (slot.id == none) return none;
      if (slot.fingerprint == fingerprint && same(slot.id)) return slot.id;
    }
  }
  void add(std::uint64_t fingerprint, std::uint32_t id) {
    if ((used_ + 1) * 3 > slots_.size() * 2) grow();
    place(fingerprint, id);
    ++used_;
  }
  void remove(std::uint64_t fingerprint, std::uint32_t id) {
    std::size_t at = home(fingerprint);
    while (slots_[at].id != id) {
      if (slots_[at].id == none) return;
      at = next(at);
    }
    --used_;
    // Moves up what stands behind the hole, so that no search ends early and no tombstones pile up.
    for (std::size_t from = next(at); slots_[from].id != none; from = next(from)) {
      const std::size_t wants = home(slots_[from].fingerprint);
      const bool stays = at <= from ? (at < wants && wants <= from) : (at < wants || wants <= from);
      if (stays) continue;
      slots_[at] = slots_[from];
      at = from;
    }
    slots_[at] = {};
  }

 private:
  struct Slot {
    std::uint64_t fingerprint = 0;
    std::uint32_t id = none;
  };
  // The low bits choose the vshard; the high ones are as good and leave that to them.
  std::size_t home(std::uint64_t fingerprint) const {
    return static_cast<std::size_t>(fingerprint >> (64 - std::countr_zero(slots_.size())));
  }
  std::size_t next(std::size_t at) const { return (at + 1) & (slots_.size() - 1); }
  void place(std::uint64_t fingerprint, std::uint32_t id) {
    std::size_t at = home(fingerprint);
    while (slots_[at].id != none) at = next(at);
    slots_[at] = {fingerprint, id};
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.id != none) place(slot.fingerprint, slot.id);
  }
  std::vector<Slot> slots_;  // a power of two, at least 64
  std::size_t used_ = 0;
};

}  // namespace plumbline::storage::series
