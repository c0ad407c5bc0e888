// Deliveries that wait for their receiver: retry policy and order as a pure machine. The rows live in the
// store
// ("alerting/outbox/<seq>"); delivery is at least once, in order within a group, independent between groups.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/error.hpp"
#include "proto/http.hpp"

namespace plumbline::alerting {

struct Delivery {
  std::uint64_t seq = 0;
  std::string id;  // webhook-id
  std::string receiver;
  std::uint32_t webhook = 0;  // which of the receiver's
  std::string group_key;
  std::string body;
  std::int64_t created_ms = 0;
  std::uint32_t attempts = 0;
  std::int64_t next_ms = 0;
  std::string last_error;
  bool operator==(const Delivery&) const = default;
};

struct RetryPolicy {
  Millis base{1'000};
  Millis cap{300'000};
  // Whichever comes first: a day, as Standard Webhooks' schedule, or 500 attempts (a day at the cap's mean is
  // 576).
  std::uint32_t attempts_max = 500;
  Millis age_max{std::chrono::hours(24)};
  Millis retry_after_max{std::chrono::hours(1)};  // a receiver may ask for patience, not for eternity
};

struct Decision {
  enum class Kind { delivered, retry, dead } kind = Kind::delivered;
  std::int64_t next_ms = 0;  // of a retry
  std::string error;
  bool operator==(const Decision&) const = default;
};

// Retried: network errors, 408, 425, 429 and 5xx, after rand(0, min(cap, base * 2^n)) or Retry-After if that
// is longer. Dead at once: 3xx (never followed) and other 4xx. `uniform` is in [0, 1).
Decision decide(const Delivery& delivery, const Result<http::Response>& answer, const RetryPolicy& policy,
                std::int64_t now_ms, double uniform);
// Seconds or an HTTP date; nullopt when neither.
std::optional<Millis> parse_retry_after(std::string_view text, std::int64_t now_ms);

class Outbox {
 public:
  // 10,000 bodies of some KiB: tens of MiB after a day of a dead receiver. Beyond it the oldest become dead
  // letters.
  static constexpr std::size_t deliveries_max = 10'000;

  void add(Delivery delivery);  // by rising seq
  // The oldest delivery that may go out now, marked as under way: the head of its (receiver, webhook, group)
  // line.
  std::optional<Delivery> take(std::int64_t now_ms);
  // After an attempt. A retry keeps its place at the head of its line.
  void finished(std::uint64_t seq, const Decision& decision);
  void put_back(std::uint64_t seq);  // not attempted after all
  std::int64_t next_ms() const;      // when take() has something; max() when not
  std::size_t size() const { return rows_.size(); }
  const std::map<std::uint64_t, Delivery>& rows() const { return rows_; }
  bool under_way(std::uint64_t seq) const { return under_way_.contains(seq); }

 private:
  struct Line {
    std::deque<std::uint64_t> waiting;
  };
  static std::string line_of(const Delivery& delivery);
  std::map<std::uint64_t, Delivery> rows_;
  std::map<std::string, Line> lines_;
  std::set<std::uint64_t> under_way_;
};

}  // namespace plumbline::alerting
