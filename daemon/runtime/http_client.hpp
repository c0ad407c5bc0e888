// http::Client over plain TCP and TLS: one exchange per connection, one deadline for the whole of it, no redirects.
#pragma once

#include <memory>
#include <string>

#include "daemon/base/error.hpp"
#include "proto/http.hpp"

namespace plumbline::runtime {

struct ClientOptions {
  std::string ca_file;  // empty: the system's certificates
  bool insecure_skip_verify = false;
  std::string user_agent = "plumbline";
};

// Threads: send() from any, concurrently; own loop thread.
// Blocks: send() until the answer, at most request.timeout, slow name resolution included.
// Fails: io (cannot resolve, connect or verify; broken answer), timeout, too_large (response_bytes_max), invalid_input (a
// header or target that would break the framing), cancelled (the client is going down).
// The answer's header names are lower case; its body is as sent, so a caller that asks for an encoding decodes it.
class HttpClient final : public http::Client {
 public:
  // Fails: io (ca_file cannot be read).
  static Result<std::unique_ptr<HttpClient>> make(ClientOptions options = {});
  ~HttpClient() override;  // pending sends fail with cancelled, and have returned
  Result<http::Response> send(const http::ClientRequest& request) override;

 private:
  struct Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumbline::runtime
