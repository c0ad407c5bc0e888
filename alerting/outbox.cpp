#include "alerting/outbox.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>

#include "daemon/base/text.hpp"

namespace plumbline::alerting {

std::optional<Millis> parse_retry_after(std::string_view text, std::int64_t now_ms) {
  text = trim(text);
  if (const auto seconds = parse_int(text)) {
    if (*seconds < 0 || *seconds > 10'000'000) return std::nullopt;
    return Millis(*seconds * 1000);
  }
  std::tm tm{};
  const std::string copy(text);
  const char* end = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &tm);
  if (!end || *end != '\0') return std::nullopt;
  return Millis(std::max<std::int64_t>(0, static_cast<std::int64_t>(timegm(&tm)) * 1000 - now_ms));
}

Decision decide(const Delivery& delivery, const Result<http::Response>& answer, const RetryPolicy& policy,
                std::int64_t now_ms, double uniform) {
  std::string error;
  std::int64_t asked = 0;
  if (answer) {
    const int status = answer->status;
    if (status >= 200 && status < 300) return {Decision::Kind::delivered, 0, ""};
    error = "the receiver answered " + std::to_string(status);
    if (status != 408 && status != 425 && status != 429 && status < 500)
      return {Decision::Kind::dead, 0, error};
    for (const auto& [name, value] : answer->headers)
      if (to_lower(name) == "retry-after")
        if (const auto wait = parse_retry_after(value, now_ms))
          asked = std::min(*wait, policy.retry_after_max).count();
  } else {
    error = answer.error().message;
  }
  const std::uint32_t attempts = delivery.attempts + 1;
  if (attempts >= policy.attempts_max)
    return {Decision::Kind::dead, 0, error + "; gave up after " + std::to_string(attempts) + " attempts"};
  if (now_ms - delivery.created_ms >= policy.age_max.count())
    return {Decision::Kind::dead, 0,
            error + "; gave up after " + format_duration_ms(now_ms - delivery.created_ms)};
  const double bound =
      std::min(static_cast<double>(policy.cap.count()),
               static_cast<double>(policy.base.count()) * std::exp2(std::min(delivery.attempts, 40u)));
  const auto wait = std::max(asked, static_cast<std::int64_t>(std::floor(bound * uniform)));
  return {Decision::Kind::retry, now_ms + wait, error};
}

std::string Outbox::line_of(const Delivery& delivery) {
  return delivery.receiver + '\0' + std::to_string(delivery.webhook) + '\0' + delivery.group_key;
}

void Outbox::add(Delivery delivery) {
  lines_[line_of(delivery)].waiting.push_back(delivery.seq);
  const std::uint64_t seq = delivery.seq;
  rows_.emplace(seq, std::move(delivery));
}

std::optional<Delivery> Outbox::take(std::int64_t now_ms) {
  const Delivery* best = nullptr;
  for (const auto& [name, line] : lines_) {
    const Delivery& head = rows_.at(line.waiting.front());
    if (head.next_ms > now_ms || under_way_.contains(head.seq)) continue;
    if (!best || head.seq < best->seq) best = &head;
  }
  if (!best) return std::nullopt;
  under_way_.insert(best->seq);
  return *best;
}

void Outbox::finished(std::uint64_t seq, const Decision& decision) {
  under_way_.erase(seq);
  const auto it = rows_.find(seq);
  if (it == rows_.end()) return;
  if (decision.kind == Decision::Kind::retry) {
    ++it->second.attempts;
    it->second.next_ms = decision.next_ms;
    it->second.last_error = decision.error;
    return;
  }
  const auto line = lines_.find(line_of(it->second));
  std::erase(line->second.waiting, seq);
  if (line->second.waiting.empty()) lines_.erase(line);
  rows_.erase(it);
}

void Outbox::put_back(std::uint64_t seq) {
  under_way_.erase(seq);
}

std::int64_t Outbox::next_ms() const {
  std::int64_t next = std::numeric_limits<std::int64_t>::max();
  for (const auto& [name, line] : lines_) {
    const Delivery& head = rows_.at(line.waiting.front());
    if (!under_way_.contains(head.seq)) next = std::min(next, head.next_ms);
  }
  return next;
}

}  // namespace plumbline::alerting
