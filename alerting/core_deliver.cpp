// Core: from groups to the outbox, and from the outbox to the receivers.
#include <fmt/format.h>

#include "alerting/core.hpp"
#include "alerting/webhook.hpp"
#include "daemon/base/bytes.hpp"

namespace plumbline::alerting {

std::vector<Delivery> Core::deliveries_of(const std::vector<Notification>& notifications,
                                          std::int64_t now_ms) {
  std::vector<Delivery> out;
  std::uint64_t seq = next_seq_;
  for (const Notification& n : notifications) {
    const ReceiverSpec* receiver = plan_->receiver(n.receiver);
    if (!receiver) continue;  // the plan's check has seen to that
    for (std::size_t i = 0; i < receiver->webhooks.size(); ++i) {
      auto body = webhook_body(n, receiver->webhooks[i], plan_->external_url);
      if (!body) continue;
      Delivery d;
      d.seq = seq++;
      d.receiver = n.receiver;
      d.webhook = static_cast<std::uint32_t>(i);
      d.group_key = n.group_key;
      d.body = std::move(*body);
      d.created_ms = d.next_ms = now_ms;
      d.id = "msg_" + hash128_hex(fmt::format("{}\n{}\n{}\n{}\n{}\n{}", d.seq, now_ms, d.receiver, i,
                                              d.group_key, d.body));
      out.push_back(std::move(d));
    }
  }
  return out;
}

void Core::flush() {
  Lock lock(mutex_);
  const std::int64_t now_ms = needs_.clock.now_ms();
  if (paused_ || stopping_ || !plan_ || now_ms < flush_not_before_ms_) return;
  const GroupChanges changes = grouping_.flush(now_ms);
  if (changes.groups.empty()) return;
  std::vector<Delivery> deliveries = deliveries_of(changes.notifications, now_ms);
  storage::WriteBatch batch;
  put_groups(changes, batch);
  for (const Delivery& d : deliveries) batch.state.push_back({seq_key(outbox_prefix, d.seq), encode(d)});
  if (!batch.empty()) {
    if (const Status written = write(std::move(batch)); !written) {
      // Nothing is told that is not stored. 5 s: the store's own retry hint for a full disk is of that order.
      flush_not_before_ms_ = now_ms + 5'000;
      needs_.log.warn("notifications wait for the store", {{"error", written.error().message}});
      return;
    }
  }
  flush_not_before_ms_ = 0;
  grouping_.install(changes);
  for (Delivery& d : deliveries) {
    next_seq_ = d.seq + 1;
    outbox_.add(std::move(d));
  }
  while (outbox_.size() > Outbox::deliveries_max) {
    std::optional<Delivery> oldest;
    for (const auto& [seq, d] : outbox_.rows()) {
      if (outbox_.under_way(seq)) continue;
      oldest = d;
      break;
    }
    if (!oldest) break;
    finish_delivery(*oldest, {Decision::Kind::dead, 0,
                              fmt::format("the outbox is full: {} deliveries", Outbox::deliveries_max)});
  }
  refresh_gauges();
}

bool Core::deliver_one() {
  std::optional<Delivery> delivery;
  std::shared_ptr<const Plan> plan;
  {
    Lock lock(mutex_);
    if (stopping_) return false;
    delivery = outbox_.take(needs_.clock.now_ms());
    plan = plan_;
  }
  if (!delivery) return false;
  const ReceiverSpec* receiver = plan->receiver(delivery->receiver);
  if (!receiver || delivery->webhook >= receiver->webhooks.size()) {
    Lock lock(mutex_);
    finish_delivery(*delivery, {Decision::Kind::dead, 0, "the receiver is no longer configured"});
    refresh_gauges();
    return true;
  }
  const WebhookSpec& webhook = receiver->webhooks[delivery->webhook];
  auto request = webhook_request(webhook, delivery->id, delivery->body, needs_.clock.now_ms());
  if (!request) {
    Lock lock(mutex_);
    finish_delivery(*delivery, {Decision::Kind::dead, 0, request.error().message});
    refresh_gauges();
    return true;
  }
  Result<http::Response> answer = needs_.client.send(*request);
  if (!answer) answer = fail(answer.error().code, redacted(answer.error().message, webhook.url));

  Lock lock(mutex_);
  const Decision decision = decide(*delivery, answer, needs_.retry, needs_.clock.now_ms(), uniform());
  if (decision.kind == Decision::Kind::dead ||
      (decision.kind == Decision::Kind::retry && delivery->attempts == 0))
    needs_.log.warn(decision.kind == Decision::Kind::dead ? "notification given up"
                                                          : "notification failed and is retried",
                    {{"receiver", delivery->receiver},
                     {"url", redacted_url(webhook.url)},
                     {"id", delivery->id},
                     {"error", decision.error}});
  finish_delivery(*delivery, decision);
  refresh_gauges();
  return true;
}

void Core::bury(const Delivery& delivery, const std::string& reason, storage::WriteBatch& batch) {
  DeadLetter letter{delivery, needs_.clock.now_ms(), reason};
  ++letter.delivery.attempts;
  letter.delivery.last_error = reason;
  batch.state.push_back({seq_key(dead_prefix, delivery.seq), encode(letter)});
  dead_.emplace(delivery.seq, std::move(letter));
  while (dead_.size() > dead_letters_max) {
    batch.state.push_back({seq_key(dead_prefix, dead_.begin()->first), std::nullopt});
    dead_.erase(dead_.begin());
    dead_dropped_.add();
  }
}

void Core::finish_delivery(const Delivery& delivery, const Decision& decision) {
  storage::WriteBatch batch;
  const char* outcome = "delivered";
  if (decision.kind == Decision::Kind::retry) {
    outcome = "retried";
    Delivery again = delivery;
    ++again.attempts;
    again.next_ms = decision.next_ms;
    again.last_error = decision.error;
    batch.state.push_back({seq_key(outbox_prefix, delivery.seq), encode(again)});
  } else {
    batch.state.push_back({seq_key(outbox_prefix, delivery.seq), std::nullopt});
    if (decision.kind == Decision::Kind::dead) {
      outcome = "dead";
      bury(delivery, decision.error, batch);
    }
  }
  outbox_.finished(delivery.seq, decision);
  needs_.registry
      .counter("plumbline_notifications_total", "Notification attempts by receiver and outcome.",
               {{"receiver", delivery.receiver}, {"outcome", outcome}})
      .add();
  std::vector<storage::StatePut> puts = batch.state;
  if (!write(std::move(batch))) owed_.insert(owed_.end(), puts.begin(), puts.end());
}

}  // namespace plumbline::alerting
