// The stored forms of alert state, groups, deliveries and history: one version byte, then fields. An unknown
// version or a damaged value is an error that names the key; it is never read as something else.
//
//   alerting/rule/<uid>      the alerts of a rule, drift streaks, and when it was evaluated last
//   alerting/group/<hash>    a notification group and what was told about it
//   alerting/outbox/<seq>    a delivery that waits; <seq> is 16 hex digits
//   alerting/dead/<seq>      a delivery that was given up
//   alerting/history/<seq>   a change of an alert
#pragma once

#include <string>
#include <string_view>

#include "alerting/alert_machine.hpp"
#include "alerting/drift.hpp"
#include "alerting/grouping.hpp"
#include "alerting/outbox.hpp"

namespace plumbline::alerting {

inline constexpr std::string_view rule_prefix = "alerting/rule/";
inline constexpr std::string_view group_prefix = "alerting/group/";
inline constexpr std::string_view outbox_prefix = "alerting/outbox/";
inline constexpr std::string_view dead_prefix = "alerting/dead/";
inline constexpr std::string_view history_prefix = "alerting/history/";
std::string seq_key(std::string_view prefix, std::uint64_t seq);
// The sequence number of such a key. Fails: corrupt.
Result<std::uint64_t> seq_of(std::string_view key, std::string_view prefix);

struct RuleRecord {
  std::int64_t evaluated_ms = 0;
  Alerts alerts;
  Streaks streaks;
};
std::string encode(const RuleRecord& record);
Result<RuleRecord> decode_rule(std::string_view bytes);
std::string encode(const AlertGroup& group);
Result<AlertGroup> decode_group(std::string_view bytes);
std::string encode(const Delivery& delivery);
Result<Delivery> decode_delivery(std::string_view bytes);

struct DeadLetter {
  Delivery delivery;
  std::int64_t died_ms = 0;
  std::string reason;
};
std::string encode(const DeadLetter& letter);
Result<DeadLetter> decode_dead_letter(std::string_view bytes);

struct HistoryRow {
  std::int64_t at_ms = 0;
  Change change = Change::pended;
  std::string rule;
  Labels labels;
  double value = 0;
};
std::string encode(const HistoryRow& row);
Result<HistoryRow> decode_history(std::string_view bytes);

}  // namespace plumbline::alerting
