#include "storage/codec/gorilla.hpp"

#include <bit>

namespace plumbline::storage::codec {

namespace {

// Buckets of the delta of delta: milliseconds of scrape jitter fit the first, a changed interval the third.
bool fits(std::int64_t v, int bits) { return v >= -(1ll << (bits - 1)) && v < (1ll << (bits - 1)); }
std::int64_t sign_extend(std::uint64_t v, int bits) {
  return static_cast<std::int64_t>(v << (64 - bits)) >> (64 - bits);
}
constexpr int small_bits = 6;
constexpr int middle_bits = 10;
constexpr int large_bits = 17;

}  // namespace

void GorillaEncoder::append(model::Sample sample) {
  const auto bits = std::bit_cast<std::uint64_t>(sample.v);
  if (count_ == 0) {
    bits_.write(static_cast<std::uint64_t>(sample.t), 64);
    bits_.write(bits, 64);
  } else {
    time(sample.t);
    value(bits);
  }
  time_ = sample.t;
  value_ = bits;
  ++count_;
}

void GorillaEncoder::time(std::int64_t t) {
  const std::uint64_t delta = static_cast<std::uint64_t>(t) - static_cast<std::uint64_t>(time_);
  const auto step = static_cast<std::int64_t>(delta - delta_);
  delta_ = delta;
  const auto raw = static_cast<std::uint64_t>(step);
  if (step == 0) {
    bits_.bit(false);
  } else if (fits(step, small_bits)) {
    bits_.write(0b10, 2);
    bits_.write(raw, small_bits);
  } else if (fits(step, middle_bits)) {
    bits_.write(0b110, 3);
    bits_.write(raw, middle_bits);
  } else if (fits(step, large_bits)) {
    bits_.write(0b1110, 4);
    bits_.write(raw, large_bits);
  } else {
    bits_.write(0b1111, 4);
    bits_.write(raw, 64);
  }
}

void GorillaEncoder::value(std::uint64_t v) {
  const std::uint64_t x = v ^ value_;
  if (x == 0) {
    bits_.bit(false);
    return;
  }
  int leading = std::countl_zero(x);
  const int trailing = std::countr_zero(x);
  if (leading > 31) leading = 31;  // five bits
  if (leading_ != 0xff && leading >= leading_ && trailing >= trailing_) {
    bits_.write(0b10, 2);
    bits_.write(x >> trailing_, 64 - leading_ - trailing_);
    return;
  }
  const int width = 64 - leading - trailing;
  bits_.write(0b11, 2);
  bits_.write(static_cast<std::uint64_t>(leading), 5);
  bits_.write(static_cast<std::uint64_t>(width - 1), 6);
  bits_.write(x >> trailing, width);
  leading_ = static_cast<std::uint8_t>(leading);
  trailing_ = static_cast<std::uint8_t>(trailing);
}

bool GorillaDecoder::next(model::Sample& out) {
  if (read_ == count_ || !ok()) return false;
  if (read_ == 0) {
    time_ = static_cast<std::int64_t>(bits_.read(64));
    value_ = bits_.read(64);
  } else {
    std::int64_t step = 0;
    if (bits_.bit()) {
      if (!bits_.bit())
        step = sign_extend(bits_.read(small_bits), small_bits);
      else if (!bits_.bit())
        step = sign_extend(bits_.read(middle_bits), middle_bits);
      else if (!bits_.bit())
        step = sign_extend(bits_.read(large_bits), large_bits);
      else
        step = static_cast<std::int64_t>(bits_.read(64));
    }
    delta_ += static_cast<std::uint64_t>(step);
    time_ = static_cast<std::int64_t>(static_cast<std::uint64_t>(time_) + delta_);
    if (bits_.bit()) {
      if (bits_.bit()) {
        leading_ = static_cast<int>(bits_.read(5));
        const int width = static_cast<int>(bits_.read(6)) + 1;
        trailing_ = 64 - leading_ - width;
      }
      if (leading_ < 0 || trailing_ < 0) {  // a reused window that never was, or one wider than a word
        sound_ = false;
        return false;
      }
      value_ ^= bits_.read(64 - leading_ - trailing_) << trailing_;
    }
  }
  if (!bits_.ok()) return false;
  ++read_;
  out = {time_, std::bit_cast<double>(value_)};
  return true;
}

std::string gorilla_encode(const std::vector<model::Sample>& samples) {
  GorillaEncoder encoder;
  for (const model::Sample& s : samples) encoder.append(s);
  return encoder.str();
}

Status gorilla_decode(std::string_view bytes, std::uint32_t count, std::vector<model::Sample>& out) {
  GorillaDecoder decoder(bytes, count);
  model::Sample sample;
  while (decoder.next(sample)) out.push_back(sample);
  if (!decoder.ok()) return fail(Code::corrupt, "gorilla chunk ends or breaks before its last sample");
  return {};
}

}  // namespace plumbline::storage::codec
