#include "alerting/grouping.hpp"

#include <algorithm>
#include <limits>

namespace plumbline::alerting {
namespace {

bool contains_all(const std::set<std::string>& have, const std::set<std::string>& want) {
  return std::includes(have.begin(), have.end(), want.begin(), want.end());
}

}  // namespace

GroupChanges Grouping::apply(const std::vector<AlertEvent>& events, std::int64_t now_ms) const {
  GroupChanges out;
  std::size_t alerts = alerts_;
  for (const AlertEvent& event : events) {
    for (const std::size_t index : tree_.match(event.alert.labels)) {
      const RouteNode& node = tree_.node(index);
      GroupId id{index, group_labels(node, event.alert.labels)};
      const auto installed = groups_.find(id);
      auto changed = out.groups.find(id);
      AlertGroup* group = changed == out.groups.end() ? nullptr : &*changed->second;
      const AlertGroup* known = group ? group : installed == groups_.end() ? nullptr : &installed->second;
      const auto in_group = known ? known->alerts.find(event.alert.labels) : decltype(known->alerts.end()){};
      const bool present = known && in_group != known->alerts.end();
      // An alert nobody was told about needs no end; and one that already ended in this group stays as it is.
      if (event.kind != AlertEvent::Kind::fire && !(present && in_group->second.firing())) {
        if (event.kind == AlertEvent::Kind::resolve || present) continue;
      }
      if (event.kind == AlertEvent::Kind::refresh && present &&
          in_group->second.annotations == event.alert.annotations)
        continue;
      if (!present && alerts >= alerts_max) {
        ++out.refused;
        continue;
      }
      if (!group) {
        AlertGroup fresh;
        if (known) {
          fresh = *known;
        } else {
          fresh.receiver = node.receiver;
          fresh.labels = id.second;
          fresh.key = group_key(node, id.second);
          // An alert that is older than group_wait already (after a reload or a restart) waits no more.
          const std::int64_t wait = node.group_wait.count();
          fresh.next_flush_ms = event.alert.starts_at_ms + wait <= now_ms ? now_ms : now_ms + wait;
        }
        group = &*out.groups.emplace(id, std::move(fresh)).first->second;
      }
      if (!present) ++alerts;
      RoutedAlert alert = event.alert;
      if (event.kind == AlertEvent::Kind::resolve) alert.starts_at_ms = in_group->second.starts_at_ms;
      group->alerts.insert_or_assign(event.alert.labels, std::move(alert));
      // Fresher annotations of an alert that goes on are not worth a disk write: the rule brings them again.
      if (event.kind != AlertEvent::Kind::refresh || !present) out.durable.insert(std::move(id));
    }
  }
  return out;
}

GroupChanges Grouping::flush(std::int64_t now_ms) const {
  GroupChanges out;
  for (const auto& [id, installed] : groups_) {
    if (installed.next_flush_ms > now_ms) continue;
    const RouteNode& node = tree_.node(id.first);
    AlertGroup group = installed;
    group.next_flush_ms = now_ms + node.group_interval.count();
    std::set<std::string> firing, resolved;
    for (const auto& [labels, alert] : group.alerts)
      (alert.firing() ? firing : resolved).insert(fingerprint(labels));
    std::string reason;
    bool firing_news = true;
    if (group.told_at_ms == 0) {
      if (!firing.empty()) reason = "first notification";
    } else if (!contains_all(group.told_firing, firing)) {
      reason = "new alerts added";
    } else if (firing.empty()) {
      if (!group.told_firing.empty()) reason = "all alerts resolved";
      firing_news = false;
    } else if (!contains_all(group.told_resolved, resolved)) {
      reason = "some alerts resolved";
      firing_news = false;
    } else if (now_ms - group.told_at_ms >= node.repeat_interval.count()) {
      reason = "repeat interval elapsed";
    }
    if (!reason.empty()) {
      Notification n{group.receiver, group.key, group.labels, {}, reason, firing_news};
      for (const auto& [labels, alert] : group.alerts) n.alerts.push_back(alert);
      out.notifications.push_back(std::move(n));
      group.told_firing = firing;
      group.told_resolved = resolved;
      group.told_at_ms = now_ms;
    }
    std::erase_if(group.alerts, [](const auto& entry) { return !entry.second.firing(); });
    if (!reason.empty() || !resolved.empty()) out.durable.insert(id);
    if (group.alerts.empty())
      out.groups.emplace(id, std::nullopt);
    else
      out.groups.emplace(id, std::move(group));
  }
  return out;
}

void Grouping::install(const GroupChanges& changes) {
  for (const auto& [id, group] : changes.groups) {
    if (const auto it = groups_.find(id); it != groups_.end()) {
      alerts_ -= it->second.alerts.size();
      groups_.erase(it);
    }
    if (!group) continue;
    alerts_ += group->alerts.size();
    groups_.emplace(id, *group);
  }
}

std::int64_t Grouping::next_ms() const {
  std::int64_t next = std::numeric_limits<std::int64_t>::max();
  for (const auto& [id, group] : groups_) next = std::min(next, group.next_flush_ms);
  return next;
}

void Grouping::adopt(const std::vector<AlertGroup>& groups, std::int64_t now_ms) {
  std::vector<AlertEvent> events;
  for (const AlertGroup& group : groups)
    for (const auto& [labels, alert] : group.alerts) events.push_back({AlertEvent::Kind::fire, alert});
  install(apply(events, now_ms));
  for (auto& [id, group] : groups_) {
    for (const AlertGroup& old : groups) {
      if (old.key != group.key || old.receiver != group.receiver) continue;
      group.told_firing = old.told_firing;
      group.told_resolved = old.told_resolved;
      group.told_at_ms = old.told_at_ms;
      // What waited before a restart has waited: the next flush is at once, and says nothing when nothing is
      // new.
      group.next_flush_ms = old.next_flush_ms == 0 ? now_ms : old.next_flush_ms;
    }
  }
}

}  // namespace plumbline::alerting
