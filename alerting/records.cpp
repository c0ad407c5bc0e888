#include "alerting/records.hpp"

#include <fmt/format.h>

#include <charconv>

#include "daemon/base/bytes.hpp"

namespace plumbline::alerting {
namespace {

constexpr std::uint8_t version = 1;

void put(ByteWriter& out, const StringPairs& pairs) {
  out.varint(pairs.size());
  for (const auto& [name, value] : pairs) {
    out.sized(name);
    out.sized(value);
  }
}
StringPairs pairs_from(ByteReader& in) {
  StringPairs out;
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    std::string name(in.sized());
    out.emplace_back(std::move(name), std::string(in.sized()));
  }
  return out;
}
void put(ByteWriter& out, const std::set<std::string>& texts) {
  out.varint(texts.size());
  for (const std::string& text : texts) out.sized(text);
}
std::set<std::string> set_from(ByteReader& in) {
  std::set<std::string> out;
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) out.emplace(in.sized());
  return out;
}
Result<Labels> labels_from(ByteReader& in) {
  return Labels::decode(in.sized());
}

Status finish(const ByteReader& in, std::string_view what) {
  if (in.ok() && in.done()) return {};
  return fail(Code::corrupt, fmt::format("stored {} is damaged", what));
}
Status check_version(ByteReader& in, std::string_view what) {
  const std::uint8_t v = in.u8();
  if (!in.ok()) return fail(Code::corrupt, fmt::format("stored {} is empty", what));
  if (v > version || v == 0)
    return fail(Code::unsupported,
                fmt::format("stored {} has format {}, this program reads {}; use the newer program", what, v,
                            version));
  return {};
}

void put(ByteWriter& out, const Delivery& d) {
  out.varint(d.seq);
  out.sized(d.id);
  out.sized(d.receiver);
  out.varint(d.webhook);
  out.sized(d.group_key);
  out.sized(d.body);
  out.zigzag(d.created_ms);
  out.varint(d.attempts);
  out.zigzag(d.next_ms);
  out.sized(d.last_error);
}
Delivery delivery_from(ByteReader& in) {
  Delivery d;
  d.seq = in.varint();
  d.id = in.sized();
  d.receiver = in.sized();
  d.webhook = static_cast<std::uint32_t>(in.varint());
  d.group_key = in.sized();
  d.body = in.sized();
  d.created_ms = in.zigzag();
  d.attempts = static_cast<std::uint32_t>(in.varint());
  d.next_ms = in.zigzag();
  d.last_error = in.sized();
  return d;
}

}  // namespace

std::string seq_key(std::string_view prefix, std::uint64_t seq) {
  return fmt::format("{}{:016x}", prefix, seq);
}

Result<std::uint64_t> seq_of(std::string_view key, std::string_view prefix) {
  const std::string_view digits = key.substr(std::min(prefix.size(), key.size()));
  std::uint64_t seq = 0;
  const auto done = std::from_chars(digits.data(), digits.data() + digits.size(), seq, 16);
  if (digits.size() != 16 || done.ec != std::errc() || done.ptr != digits.data() + digits.size())
    return fail(Code::corrupt, fmt::format("key {} does not end in 16 hex digits", key));
  return seq;
}

std::string encode(const RuleRecord& record) {
  ByteWriter out;
  out.u8(version);
  out.zigzag(record.evaluated_ms);
  out.varint(record.alerts.size());
  for (const auto& [labels, alert] : record.alerts) {
    out.sized(labels.encode());
    put(out, alert.annotations);
    out.u8(static_cast<std::uint8_t>(alert.state));
    out.f64(alert.value);
    out.zigzag(alert.active_at_ms);
    out.zigzag(alert.fired_at_ms);
    out.zigzag(alert.keep_since_ms);
  }
  out.varint(record.streaks.size());
  for (const auto& [feature, streak] : record.streaks) {
    out.sized(feature);
    out.varint(static_cast<std::uint64_t>(streak));
  }
  return out.take();
}

Result<RuleRecord> decode_rule(std::string_view bytes) {
  ByteReader in(bytes);
  PLUMBLINE_CHECK_OK(check_version(in, "alert state"));
  RuleRecord out;
  out.evaluated_ms = in.zigzag();
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    Alert alert;
    PLUMBLINE_TRY(alert.labels, labels_from(in));
    alert.annotations = pairs_from(in);
    const std::uint8_t state = in.u8();
    if (state != 1 && state != 2) return fail(Code::corrupt, "stored alert state is damaged");
    alert.state = static_cast<AlertState>(state);
    alert.value = in.f64();
    alert.active_at_ms = in.zigzag();
    alert.fired_at_ms = in.zigzag();
    alert.keep_since_ms = in.zigzag();
    const Labels labels = alert.labels;
    out.alerts.emplace(labels, std::move(alert));
  }
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    std::string feature(in.sized());
    out.streaks[std::move(feature)] = static_cast<int>(in.varint());
  }
  PLUMBLINE_CHECK_OK(finish(in, "alert state"));
  return out;
}

std::string encode(const AlertGroup& group) {
  ByteWriter out;
  out.u8(version);
  out.sized(group.receiver);
  out.sized(group.key);
  out.sized(group.labels.encode());
  out.varint(group.alerts.size());
  for (const auto& [labels, alert] : group.alerts) {
    out.sized(labels.encode());
    put(out, alert.annotations);
    out.zigzag(alert.starts_at_ms);
    out.zigzag(alert.ends_at_ms);
    out.sized(alert.generator_url);
  }
  put(out, group.told_firing);
  put(out, group.told_resolved);
  out.zigzag(group.told_at_ms);
  return out.take();
}

Result<AlertGroup> decode_group(std::string_view bytes) {
  ByteReader in(bytes);
  PLUMBLINE_CHECK_OK(check_version(in, "notification group"));
  AlertGroup out;
  out.receiver = in.sized();
  out.key = in.sized();
  PLUMBLINE_TRY(out.labels, labels_from(in));
  for (std::uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
    RoutedAlert alert;
    PLUMBLINE_TRY(alert.labels, labels_from(in));
    alert.annotations = pairs_from(in);
    alert.starts_at_ms = in.zigzag();
    alert.ends_at_ms = in.zigzag();
    alert.generator_url = in.sized();
    const Labels labels = alert.labels;
    out.alerts.emplace(labels, std::move(alert));
  }
  out.told_firing = set_from(in);
  out.told_resolved = set_from(in);
  out.told_at_ms = in.zigzag();
  PLUMBLINE_CHECK_OK(finish(in, "notification group"));
  return out;
}

std::string encode(const Delivery& delivery) {
  ByteWriter out;
  out.u8(version);
  put(out, delivery);
  return out.take();
}

Result<Delivery> decode_delivery(std::string_view bytes) {
  ByteReader in(bytes);
  PLUMBLINE_CHECK_OK(check_version(in, "delivery"));
  Delivery out = delivery_from(in);
  PLUMBLINE_CHECK_OK(finish(in, "delivery"));
  return out;
}

std::string encode(const DeadLetter& letter) {
  ByteWriter out;
  out.u8(version);
  put(out, letter.delivery);
  out.zigzag(letter.died_ms);
  out.sized(letter.reason);
  return out.take();
}

Result<DeadLetter> decode_dead_letter(std::string_view bytes) {
  ByteReader in(bytes);
  PLUMBLINE_CHECK_OK(check_version(in, "dead letter"));
  DeadLetter out;
  out.delivery = delivery_from(in);
  out.died_ms = in.zigzag();
  out.reason = in.sized();
  PLUMBLINE_CHECK_OK(finish(in, "dead letter"));
  return out;
}

std::string encode(const HistoryRow& row) {
  ByteWriter out;
  out.u8(version);
  out.zigzag(row.at_ms);
  out.u8(static_cast<std::uint8_t>(row.change));
  out.sized(row.rule);
  out.sized(row.labels.encode());
  out.f64(row.value);
  return out.take();
}

Result<HistoryRow> decode_history(std::string_view bytes) {
  ByteReader in(bytes);
  PLUMBLINE_CHECK_OK(check_version(in, "history row"));
  HistoryRow out;
  out.at_ms = in.zigzag();
  const std::uint8_t change = in.u8();
  if (change > static_cast<std::uint8_t>(Change::demoted))
    return fail(Code::corrupt, "stored history row is damaged");
  out.change = static_cast<Change>(change);
  out.rule = in.sized();
  PLUMBLINE_TRY(out.labels, labels_from(in));
  out.value = in.f64();
  PLUMBLINE_CHECK_OK(finish(in, "history row"));
  return out;
}

}  // namespace plumbline::alerting
