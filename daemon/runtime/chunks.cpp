#include "daemon/runtime/chunks.hpp"

#include <algorithm>

namespace plumbline::runtime {
namespace {

// Nobody uses chunk extensions for anything here: 4 KiB over a whole body is room for curiosities, and keeps one-byte
// chunks with long extensions from stretching a small body into endless reading.
constexpr std::size_t extension_bytes_max = 4096;
// Trailers are read and thrown away: merged into the headers they would be a second, unchecked head.
constexpr std::size_t trailer_bytes_max = 4096;
// 15 hex digits: the size can never overflow 64 bits.
constexpr int digits_max = 15;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Refusal bad(std::string message) { return {400, "bad_chunk", std::move(message)}; }

}  // namespace

std::optional<Refusal> ChunkDecoder::begin_chunk() {
  if (digits_ == 0) return bad("a chunk has no size");
  if (size_ > body_max_ - decoded_)
    return Refusal{413, "body_too_large", "the body is larger than " + std::to_string(body_max_) + " bytes"};
  decoded_ += size_;
  digits_ = 0;
  state_ = size_ == 0 ? State::trailer_start : State::data;
  return std::nullopt;
}

std::optional<Refusal> ChunkDecoder::step(char c) {
  switch (state_) {
    case State::size:
      if (const int value = hex_value(c); value >= 0) {
        if (++digits_ > digits_max) return bad("a chunk's size has too many digits");
        size_ = size_ * 16 + static_cast<std::uint64_t>(value);
      } else if (digits_ == 0) {
        return bad("a chunk's size is not hexadecimal");
      } else if (c == ';') {
        state_ = State::extension;
      } else if (c == '\r') {
        state_ = State::size_lf;
      } else {
        return bad("a chunk's size is not hexadecimal");
      }
      return std::nullopt;
    case State::extension:
      if (++extension_bytes_ > extension_bytes_max)
        return bad("chunk extensions are longer than " + std::to_string(extension_bytes_max) + " bytes");
      if (c == '\r') state_ = State::size_lf;
      else if (static_cast<unsigned char>(c) < ' ' && c != '\t') return bad("a chunk extension has a control character");
      return std::nullopt;
    case State::size_lf:
      if (c != '\n') return bad("a chunk's size does not end with a line end");
      return begin_chunk();
    case State::data_cr:
      if (c != '\r') return bad("a chunk is longer than its size");
      state_ = State::data_lf;
      return std::nullopt;
    case State::data_lf:
      if (c != '\n') return bad("a chunk does not end with a line end");
      state_ = State::size;
      size_ = 0;
      return std::nullopt;
    case State::trailer_start:
      if (c == '\r') {
        state_ = State::end_lf;
        return std::nullopt;
      }
      state_ = State::trailer;
      [[fallthrough]];
    case State::trailer:
      if (++trailer_bytes_ > trailer_bytes_max)
        return bad("trailers are longer than " + std::to_string(trailer_bytes_max) + " bytes");
      if (c == '\r') state_ = State::trailer_lf;
      else if (static_cast<unsigned char>(c) < ' ' && c != '\t') return bad("a trailer has a control character");
      return std::nullopt;
    case State::trailer_lf:
      if (c != '\n') return bad("a trailer does not end with a line end");
      state_ = State::trailer_start;
      return std::nullopt;
    case State::end_lf:
      if (c != '\n') return bad("the last chunk does not end with a line end");
      state_ = State::done;
      return std::nullopt;
    case State::data:
    case State::done: break;
  }
  return bad("bytes stand behind the last chunk");
}

std::expected<std::size_t, Refusal> ChunkDecoder::feed(std::string_view bytes, std::string& body) {
  std::size_t at = 0;
  while (at < bytes.size() && state_ != State::done) {
    if (state_ == State::data) {
      const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(size_, bytes.size() - at));
      body.append(bytes.substr(at, n));
      at += n;
      size_ -= n;
      if (size_ == 0) state_ = State::data_cr;
      continue;
    }
    if (auto refusal = step(bytes[at])) return std::unexpected(std::move(*refusal));
    ++at;
  }
  return at;
}

}  // namespace plumbline::runtime
