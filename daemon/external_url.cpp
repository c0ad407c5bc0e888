#include "daemon/external_url.hpp"

namespace plumbline::daemon {

std::string default_external_url(const std::vector<std::string>& http_listen, const std::string& host_name) {
  if (http_listen.empty()) return "";
  const std::string& address = http_listen.front();
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || address.substr(colon) == ":0") return "";
  const std::string listened = address.substr(0, colon);
  const bool everywhere = listened.empty() || listened == "0.0.0.0" || listened == "[::]";
  if (everywhere && host_name.empty()) return "";
  return "http://" + (everywhere ? host_name : listened) + address.substr(colon);
}

}  // namespace plumbline::daemon
