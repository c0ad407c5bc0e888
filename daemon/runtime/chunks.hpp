// The chunked transfer coding, decoded strictly and in pieces; pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/runtime/head.hpp"

namespace plumbline::runtime {

class ChunkDecoder {
 public:
  // `body_max` bounds the decoded body.
  explicit ChunkDecoder(std::size_t body_max) : body_max_(body_max) {}

  // Takes what it can use of `bytes`, appends the decoded part to `body`, and returns how many bytes it took; the rest
  // belongs to the next request. After an error or done() it must not be called again.
  std::expected<std::size_t, Refusal> feed(std::string_view bytes, std::string& body);
  bool done() const { return state_ == State::done; }

 private:
  enum class State { size, extension, size_lf, data, data_cr, data_lf, trailer_start, trailer, trailer_lf, end_lf, done };
  std::optional<Refusal> step(char c);
  std::optional<Refusal> begin_chunk();

  const std::size_t body_max_;
  State state_ = State::size;
  std::uint64_t size_ = 0;      // of the current chunk; then what is left of it
  int digits_ = 0;
  std::uint64_t decoded_ = 0;
  std::size_t extension_bytes_ = 0, trailer_bytes_ = 0;
};

}  // namespace plumbline::runtime
