// The forms that values take: pure functions over text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace plumbline::config {

bool valid_metric_name(std::string_view name);
bool valid_label_name(std::string_view name);
// "host:port" with a port of 0 to 65535; IPv6 hosts in brackets; an empty host means every address.
bool valid_address(std::string_view text);
// http or https with a host, visible ASCII only.
bool valid_url(std::string_view text);
// "64MiB", "64MB" (the same, as in Prometheus), "1024".
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string size_text(double bytes);
// The candidate that differs least from `name`, or "" when none is near.
std::string closest(std::string_view name, const std::vector<std::string_view>& candidates);

}  // namespace plumbline::config
