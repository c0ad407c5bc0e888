// Memory for many small things that are named by a number: no copying when it grows, no slack of a doubled vector, and pages
// whose things are all gone are given back, though numbers only ever rise.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "daemon/base/check.hpp"

namespace plumbline::storage::series {

// An array of T by number. Numbers below size() may be read, live or not: one that is not reads as T{}.
// Threads: the caller's lock.
template <class T>
class Paged {
 public:
  std::uint32_t size() const { return size_; }
  const T& operator[](std::uint32_t i) const { return pages_[i >> bits][i & mask]; }
  T& operator[](std::uint32_t i) { return pages_[i >> bits][i & mask]; }
  // Makes place for i, which must not be live. The place counts as live until release(i).
  T& make(std::uint32_t i) {
    if (!blank_) blank_ = std::make_unique<T[]>(page);
    const std::size_t p = i >> bits;
    if (p >= pages_.size()) {
      pages_.resize(p + 1, blank_.get());
      live_.resize(p + 1, 0);
    }
    if (pages_[p] == blank_.get()) {
      pages_[p] = new T[page]();
      ++allocated_;
    }
    ++live_[p];
    size_ = std::max<std::uint32_t>(size_, i + 1);
    return pages_[p][i & mask];
  }
  void release(std::uint32_t i) {
    const std::size_t p = i >> bits;
    pages_[p][i & mask] = T{};
    if (--live_[p] > 0) return;
    delete[] pages_[p];
    pages_[p] = blank_.get();
    --allocated_;
  }
  std::size_t bytes() const {
    return (allocated_ + (blank_ ? 1 : 0)) * page * sizeof(T) + pages_.capacity() * sizeof(T*) + live_.capacity() * 2;
  }

  Paged() = default;
  Paged(const Paged&) = delete;
  Paged& operator=(const Paged&) = delete;
  ~Paged() {
    for (T* p : pages_)
      if (p != blank_.get()) delete[] p;
  }

 private:
  static constexpr int bits = 11;
  static constexpr std::uint32_t page = 1u << bits;
  static constexpr std::uint32_t mask = page - 1;
  std::vector<T*> pages_;  // blank_ where nothing lives: reading needs no test
  std::vector<std::uint16_t> live_;
  std::unique_ptr<T[]> blank_;  // never written
  std::size_t allocated_ = 0;
  std::uint32_t size_ = 0;
};

// Bytes by place; places are multiples of four bytes, so that 32 bits name 16 GiB. What is dropped is only counted: the owner
// copies what lives into a new arena once mostly_dead().
// Threads: the caller's lock.
class Arena {
 public:
  static constexpr std::uint32_t none = 0xffff'ffff;

  std::uint32_t put(std::size_t bytes) {
    const std::size_t units = (bytes + 3) / 4;
    if (units > block_units - used_in_block_ || blocks_.empty()) {
      const std::size_t n = std::max<std::size_t>(1, (units + block_units - 1) / block_units);
      PLUMBLINE_CHECK(blocks_.size() + n < (std::size_t{1} << (32 - bits)), "an arena of 16 GiB is full");
      owned_.push_back(std::make_unique_for_overwrite<std::uint32_t[]>(n * block_units));
      for (std::size_t i = 0; i < n; ++i) blocks_.push_back(owned_.back().get() + i * block_units);
      used_in_block_ = 0;
      first_ = static_cast<std::uint32_t>((blocks_.size() - n) << bits);
      if (n > 1) {  // larger than a block: alone in its own
        used_in_block_ = block_units;
        live_units_ += units;
        return first_;
      }
    }
    const std::uint32_t at = first_ + static_cast<std::uint32_t>(used_in_block_);
    used_in_block_ += units;
    live_units_ += units;
    return at;
  }
  std::uint32_t* at(std::uint32_t place) { return blocks_[place >> bits] + (place & mask); }
  const std::uint32_t* at(std::uint32_t place) const { return blocks_[place >> bits] + (place & mask); }
  void drop(std::size_t bytes) {
    live_units_ -= (bytes + 3) / 4;
    dead_units_ += (bytes + 3) / 4;
  }
  bool mostly_dead() const { return dead_units_ > live_units_ && dead_units_ > block_units / 4; }
  std::size_t bytes() const { return blocks_.size() * block_units * 4 + (blocks_.capacity() + owned_.capacity()) * 8; }

 private:
  static constexpr int bits = 16;
  static constexpr std::size_t block_units = std::size_t{1} << bits;
  static constexpr std::uint32_t mask = block_units - 1;
  std::vector<std::uint32_t*> blocks_;
  std::vector<std::unique_ptr<std::uint32_t[]>> owned_;
  std::size_t used_in_block_ = 0;
  std::uint32_t first_ = 0;  // place of the block that is being filled
  std::size_t live_units_ = 0;
  std::size_t dead_units_ = 0;
};

}  // namespace plumbline::storage::series
