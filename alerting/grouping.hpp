// Alertmanager's dispatcher and notification log as one pure machine: alerts in, notifications out, time as
// an argument.
//
// A function here never changes the machine: it returns the changed groups, which the caller stores and only
// then installs. What is not stored has not happened.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "alerting/routing.hpp"

namespace plumbline::alerting {

struct RoutedAlert {
  model::Labels labels;  // with the external labels
  StringPairs annotations;
  std::int64_t starts_at_ms = 0;
  std::int64_t ends_at_ms = 0;  // 0 while firing
  std::string generator_url;
  bool firing() const { return ends_at_ms == 0; }
  bool operator==(const RoutedAlert&) const = default;
};

struct AlertEvent {
  enum class Kind { fire, refresh, resolve } kind = Kind::fire;
  RoutedAlert alert;
};

struct AlertGroup {
  std::string receiver;
  std::string key;
  model::Labels labels;
  std::map<model::Labels, RoutedAlert> alerts;
  // What was last told to the receiver (Alertmanager's nflog): fingerprints, and when; 0: nothing yet.
  std::set<std::string> told_firing, told_resolved;
  std::int64_t told_at_ms = 0;
  std::int64_t next_flush_ms = 0;  // not stored: a start plans it anew
};

struct Notification {
  std::string receiver;
  std::string group_key;
  model::Labels group_labels;
  std::vector<RoutedAlert> alerts;  // by labels
  std::string reason;               // "first notification", "new alerts added", ...
  // False: only resolved alerts are new, so a receiver without send_resolved hears nothing.
  bool firing_news = true;
};

// The key of a group: the node's index and the group's labels. The stored form keeps only what survives a
// reload.
using GroupId = std::pair<std::size_t, model::Labels>;

struct GroupChanges {
  std::map<GroupId, std::optional<AlertGroup>> groups;  // nullopt: gone
  std::set<GroupId> durable;                            // the changed groups that must be stored
  std::vector<Notification> notifications;
  std::uint64_t refused = 0;  // alerts that did not fit
};

class Grouping {
 public:
  // 100,000 alerts of about 1 KiB each: a rule that explodes must not take the daemon's memory with it.
  static constexpr std::size_t alerts_max = 100'000;

  explicit Grouping(RouteTree tree = {}) : tree_(std::move(tree)) {}

  GroupChanges apply(const std::vector<AlertEvent>& events, std::int64_t now_ms) const;
  // Flushes every group whose time has come.
  GroupChanges flush(std::int64_t now_ms) const;
  void install(const GroupChanges& changes);
  // When flush() has something to do; max() when there is no group.
  std::int64_t next_ms() const;

  // Puts groups of an earlier tree or process into this one: alerts are routed anew, and what was told about
  // a group with the same key and receiver stays told.
  void adopt(const std::vector<AlertGroup>& groups, std::int64_t now_ms);
  const std::map<GroupId, AlertGroup>& groups() const { return groups_; }

 private:
  RouteTree tree_;
  std::map<GroupId, AlertGroup> groups_;
  std::size_t alerts_ = 0;
};

}  // namespace plumbline::alerting
