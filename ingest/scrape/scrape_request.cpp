#include "ingest/scrape/scrape_request.hpp"

#include <fstream>

#include "daemon/base/compression.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::ingest {
namespace {

// OpenMetrics first, as Prometheus 3 asks: servers choose their richest format by this.
constexpr std::string_view accept =
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/"
    "openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

// A token has some hundred bytes; a JWT with many claims a few KiB.
constexpr std::size_t secret_bytes_max = 64 * 1024;

Result<std::string> read_secret(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Code::io, "cannot read the credentials file " + json_quote(path));
  std::string text(secret_bytes_max + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (in.bad()) return fail(Code::io, "cannot read the credentials file " + json_quote(path));
  if (text.size() > secret_bytes_max)
    return fail(Code::io, "the credentials file " + json_quote(path) + " is larger than 64 KiB");
  std::string secret(trim(text));
  if (secret.find_first_of("\r\n") != std::string::npos)
    return fail(Code::io, "the credentials file " + json_quote(path) + " has more than one line");
  return secret;
}

std::string_view header_of(const http::Response& response, std::string_view lower_name) {
  for (const auto& [name, value] : response.headers)
    if (to_lower(name) == lower_name) return value;
  return {};
}

}  // namespace

Result<http::ClientRequest> scrape_request(const Target& target) {
  const ScrapeJob& job = target.rules->job;
  http::ClientRequest request;
  request.url = target.url;
  request.timeout = target.timeout;
  request.response_bytes_max = job.body_bytes_max;
  request.headers = {{"Accept", std::string(accept)},
                     {"Accept-Encoding", "gzip"},
                     {"User-Agent", "Plumbline"},
                     {"X-Prometheus-Scrape-Timeout-Seconds",
                      format_number(static_cast<double>(target.timeout.count()) / 1000.0)}};
  if (!job.basic_auth_user.empty()) {
    std::string password;
    if (!job.basic_auth_password_file.empty()) {
      PLUMBLINE_TRY(password, read_secret(job.basic_auth_password_file));
    }
    request.headers.emplace_back("Authorization", "Basic " + to_base64(job.basic_auth_user + ":" + password));
  } else if (!job.authorization_credentials_file.empty()) {
    PLUMBLINE_TRY(const std::string token, read_secret(job.authorization_credentials_file));
    request.headers.emplace_back("Authorization", job.authorization_type + " " + token);
  }
  return request;
}

Result<Scraped> read_answer(const Target& target, Result<http::Response> answer) {
  if (!answer) return fail(answer.error());
  if (answer->status != 200)
    return fail(Code::io, "server returned HTTP status " + std::to_string(answer->status));
  const std::string_view encoding = header_of(*answer, "content-encoding");
  Scraped out;
  out.content_type = header_of(*answer, "content-type");
  if (encoding.empty() || to_lower(encoding) == "identity") {
    out.body = std::move(answer->body);
    if (out.body.size() > target.rules->job.body_bytes_max)
      return fail(Code::too_large, "the answer is larger than body_size_limit, " +
                                       std::to_string(target.rules->job.body_bytes_max) + " bytes");
    return out;
  }
  PLUMBLINE_TRY(out.body, decode_content(encoding, answer->body, target.rules->job.body_bytes_max));
  return out;
}

}  // namespace plumbline::ingest
