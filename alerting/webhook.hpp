// Alertmanager's webhook, version 4: the body and the HTTP request around it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "alerting/grouping.hpp"
#include "proto/http.hpp"

namespace plumbline::alerting {

// nullopt: this receiver hears nothing of it (only resolved alerts, and send_resolved is off).
std::optional<std::string> webhook_body(const Notification& notification, const WebhookSpec& webhook,
                                        const std::string& external_url);

// `id` is the same for every attempt, so that a receiver can drop repetitions. Credentials in the URL become
// a Basic Authorization header. Fails: invalid_input; the message never holds the URL's credentials or query.
Result<http::ClientRequest> webhook_request(const WebhookSpec& webhook, const std::string& id,
                                            std::string body, std::int64_t now_ms);
// scheme://host:port/path without user information and query, for logs and answers.
std::string redacted_url(std::string_view url);
// The message without the secrets of this URL, should a client's error repeat them.
std::string redacted(std::string message, std::string_view url);

}  // namespace plumbline::alerting
