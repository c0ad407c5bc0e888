// Where the links of notifications lead when the configuration does not say.
#pragma once

#include <string>
#include <vector>

namespace plumbline::daemon {

// To the first address that HTTP listens on, or, when that is every address, to this host by its name. Empty, so that links are
// relative, when the port is for the system to choose, or the host has no name.
std::string default_external_url(const std::vector<std::string>& http_listen, const std::string& host_name);

}  // namespace plumbline::daemon
