// 32 bits of a keyed hash -> a number, with linear probing: eight bytes per entry and one cache line per look-up. The caller
// compares what the number stands for. Any size, not only powers of two: it grows by 3/8, so that it is 58 to 80 % full.
#pragma once

#include <cstdint>
#include <vector>

namespace plumbline::storage::series {

// Threads: the caller's lock.
class TagTable {
 public:
  static constexpr std::uint32_t none = 0xffff'ffff;

  // The first number with this tag that `same` accepts; none when there is none.
  template <class Same>
  std::uint32_t find(std::uint32_t tag, const Same& same) const {
    if (slots_.empty()) return none;
    for (std::size_t at = home(tag);; at = next(at)) {
      const Slot slot = slots_[at];
      if (slot.value == none) return none;
      if (slot.tag == tag && same(slot.value)) return slot.value;
    }
  }
  void add(std::uint32_t tag, std::uint32_t value) {
    if ((used_ + 1) * 5 > slots_.size() * 4) resize(slots_.size() + slots_.size() / 8 * 3);
    place({tag, value});
    ++used_;
  }
  void remove(std::uint32_t tag, std::uint32_t value) {
    if (slots_.empty()) return;
    std::size_t at = home(tag);
    for (; slots_[at].value != value || slots_[at].tag != tag; at = next(at))
      if (slots_[at].value == none) return;
    --used_;
    // Moves up what stands behind the hole, so that no search ends early and no tombstones pile up.
    for (std::size_t from = next(at); slots_[from].value != none; from = next(from)) {
      const std::size_t wants = home(slots_[from].tag);
      const bool stays = at <= from ? (at < wants && wants <= from) : (at < wants || wants <= from);
      if (stays) continue;
      slots_[at] = slots_[from];
      at = from;
    }
    slots_[at] = {};
  }
  // After many removals.
  void shrink() {
    if (slots_.size() > slots_min && used_ * 4 < slots_.size()) resize(used_ * 8 / 5);
  }
  std::size_t size() const { return used_; }
  std::size_t bytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  static constexpr std::size_t slots_min = 64;
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t value = none;
  };
  std::size_t home(std::uint32_t tag) const {
    return static_cast<std::size_t>(tag * static_cast<std::uint64_t>(slots_.size()) >> 32);
  }
  std::size_t next(std::size_t at) const { return at + 1 == slots_.size() ? 0 : at + 1; }
  void place(Slot slot) {
    std::size_t at = home(slot.tag);
    while (slots_[at].value != none) at = next(at);
    slots_[at] = slot;
  }
  // Homes rise with the tag in either table, so that this walks both from front to back.
  void resize(std::size_t slots) {
    std::vector<Slot> old(slots < slots_min ? slots_min : slots);
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.value != none) place(slot);
  }
  std::vector<Slot> slots_;
  std::size_t used_ = 0;
};

}  // namespace plumbline::storage::series
