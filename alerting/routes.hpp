// The module's HTTP API: Prometheus' /api/v1/rules and /api/v1/alerts byte for byte, and ours for SLOs,
// notifications and history.
#pragma once

#include "alerting/core.hpp"
#include "proto/http.hpp"

namespace plumbline::alerting {

// The handlers borrow the core for as long as the server runs.
http::Routes make_routes(const Core& core);

// The bodies, for tests.
http::Response rules_response(const View& view, const http::Request& request);
http::Response alerts_response(const View& view);
http::Response slos_response(const View& view);
http::Response notifications_response(const View& view);

}  // namespace plumbline::alerting
