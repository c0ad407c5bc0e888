// Refused rows of one request: the first few in words, all of them counted by reason.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/json_writer.hpp"
#include "ingest/ingest.hpp"

namespace plumbline::ingest {

class Refusals {
 public:
  // `place_name` is the JSON key of the place in answers: "row", "line", "entry".
  explicit Refusals(std::string_view place_name) : place_name_(place_name) {}

  // `column` 0: the place has none.
  void add(std::size_t place, std::size_t column, std::string_view reason, std::string message);
  // What the sink refused after the decoder had passed it: the receipt repeats the refusals it was told of,
  // so only the surplus per reason is new.
  void add_from_sink(const Receipt& receipt, const std::vector<Rejection>& told);

  std::uint64_t count() const { return count_; }
  // One Rejection per reason with its first message: for Decoded, whose counters need no more.
  std::vector<Rejection> by_reason() const { return by_reason_; }
  // "errors":[...] as a member of the open object.
  void write(JsonWriter& json) const;
  // The first few messages in one line.
  std::string summary() const;

 private:
  struct Entry {
    std::size_t place = 0;  // 0: unknown
    std::size_t column = 0;
    std::uint64_t count = 1;
    std::string reason, message;
  };
  std::string place_name_;
  std::vector<Entry> named_;
  std::vector<Rejection> by_reason_;
  std::uint64_t count_ = 0;
};

// 20: enough to see the pattern in a broken batch, little enough to read.
inline constexpr std::size_t refusals_named_max = 20;

}  // namespace plumbline::ingest
