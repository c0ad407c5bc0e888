// Memory for the small pieces of one head page: pieces of a few sizes cut from blocks, given back to free lists, and all
// released together with the page. malloc would spend 16 bytes on each piece and keep what a dropped head leaves between.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "daemon/base/check.hpp"

namespace plumbline::storage::series {

// Threads: the page's lock.
class SlabPool {
 public:
  // The sizes that pieces have: 4 and 8 samples of a tail, and block buffers.
  static constexpr std::array<std::uint16_t, 5> sizes{56, 104, 48, 128, 512};

  std::uint8_t* take(std::size_t size_class) {
    if (Free* piece = free_[size_class]) {
      free_[size_class] = piece->next;
      return reinterpret_cast<std::uint8_t*>(piece);
    }
    const std::size_t bytes = sizes[size_class];
    if (left_ < bytes) refill();
    std::uint8_t* piece = at_;
    at_ += bytes;
    left_ -= bytes;
    return piece;
  }
  void give(std::uint8_t* piece, std::size_t size_class) {
    Free* freed = reinterpret_cast<Free*>(piece);
    freed->next = free_[size_class];
    free_[size_class] = freed;
  }
  std::size_t memory_bytes() const { return memory_; }

 private:
  struct Free {
    Free* next;
  };
  // Doubling blocks: a page of few series stays small, a full one wastes little.
  void refill() {
    const std::size_t bytes = memory_ == 0 ? 1024 : memory_ < 16384 ? 4096 : 16384;
    // The word behind the last piece is slack that decoders may read.
    blocks_.push_back(std::make_unique_for_overwrite<std::uint64_t[]>(bytes / 8 + 1));
    at_ = reinterpret_cast<std::uint8_t*>(blocks_.back().get());
    left_ = bytes;
    memory_ += bytes;
  }
  std::vector<std::unique_ptr<std::uint64_t[]>> blocks_;
  std::array<Free*, sizes.size()> free_{};
  std::uint8_t* at_ = nullptr;
  std::size_t left_ = 0;
  std::size_t memory_ = 0;
};

}  // namespace plumbline::storage::series
