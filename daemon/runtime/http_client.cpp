#include "daemon/runtime/http_client.hpp"

#include <algorithm>
#include <optional>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "daemon/base/clock.hpp"
#include "daemon/base/mutex.hpp"
#include "daemon/base/text.hpp"
#include "daemon/runtime/as_result.hpp"

namespace plumbline::runtime {
namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
namespace {

constexpr std::uint32_t head_bytes_max = 64u << 10;

// One exchange: shared by the caller, who may give up waiting, and the loop, which finishes it.
struct Exchange {
  explicit Exchange(asio::io_context& io) : resolver(io), socket(io) {}

  // Ends whatever it waits for.
  void cut() {
    boost::system::error_code ignored;
    resolver.cancel();
    socket.close(ignored);
  }

  // Loop only.
  tcp::resolver resolver;
  tcp::socket socket;
  http::ClientRequest request;
  std::string wire;

  Mutex mutex;
  Condition done;
  std::optional<Result<http::Response>> result PLUMBLINE_GUARDED_BY(mutex);

  void finish(Result<http::Response> outcome) {
    Lock lock(mutex);
    if (result) return;
    result.emplace(std::move(outcome));
    done.notify_all();
  }
};

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

// The request as bytes; refuses what would break its framing.
Result<std::string> write_request(const http::ClientRequest& request, const std::string& user_agent) {
  const http::Url& url = request.url;
  if (request.method.empty() || has_control(request.method) || request.method.find(' ') != std::string::npos)
    return fail(Code::invalid_input, "the method is not a token");
  if (!url.target.starts_with('/') || has_control(url.target) || url.target.find(' ') != std::string::npos)
    return fail(Code::invalid_input, "the URL's path has a blank or a control character");
  if (url.host.empty() || has_control(url.host)) return fail(Code::invalid_input, "the URL has no host");
  const bool v6 = url.host.find(':') != std::string::npos;
  const bool usual_port = url.port == (url.scheme == "https" ? "443" : "80");
  std::string out = request.method + " " + url.target + " HTTP/1.1\r\nHost: ";
  out += v6 ? "[" + url.host + "]" : url.host;
  if (!usual_port) out += ":" + url.port;
  out += "\r\nConnection: close\r\n";
  bool has_agent = false, has_accept = false;
  for (const auto& [name, value] : request.headers) {
    const std::string lower = to_lower(name);
    if (name.empty() || has_control(name) || name.find_first_of(" :") != std::string::npos || has_control(value))
      return fail(Code::invalid_input, "the header " + json_quote(name) + " has a control character");
    // The framing is the client's own.
    if (lower == "host" || lower == "connection" || lower == "content-length" || lower == "transfer-encoding") continue;
    has_agent = has_agent || lower == "user-agent";
    has_accept = has_accept || lower == "accept";
    out += name + ": " + value + "\r\n";
  }
  if (!has_agent) out += "User-Agent: " + user_agent + "\r\n";
  if (!has_accept) out += "Accept: */*\r\n";
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD"))
    out += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  out += "\r\n";
  return out + request.body;
}

Error io_error(std::string_view doing, const boost::system::error_code& error) {
  return Error{Code::io, std::string(doing) + ": " + error.message()};
}

template <class Stream>
asio::awaitable<Result<http::Response>> talk(Stream& stream, Exchange& exchange) {
  std::size_t sent = 0;
  boost::system::error_code write_error;
  while (sent < exchange.wire.size() && !write_error) {
    const auto rest = asio::buffer(exchange.wire.data() + sent, exchange.wire.size() - sent);
    const auto [error, n] = co_await stream.async_write_some(rest, as_result);
    write_error = error;
    sent += n;
  }
  // A server that refuses early answers and closes while we still write: its answer says more than our broken pipe.
  beast::flat_buffer buffer;
  while (true) {
    beast::http::response_parser<beast::http::string_body> parser;
    parser.header_limit(head_bytes_max);
    parser.body_limit(exchange.request.response_bytes_max);
    if (exchange.request.method == "HEAD") parser.skip(true);
    const auto [error, n] = co_await beast::http::async_read(stream, buffer, parser, as_result);
    (void)n;
    if (error == beast::http::error::body_limit)
      co_return fail(Code::too_large, "the answer is larger than " +
                                          std::to_string(exchange.request.response_bytes_max) + " bytes");
    // A TLS peer that closes without close_notify after a complete, length-delimited answer is common and harmless.
    if (error && !parser.is_done()) {
      if (write_error) co_return fail(io_error("sending failed", write_error));
      co_return fail(io_error("no answer", error));
    }
    const auto& message = parser.get();
    if (message.result_int() >= 100 && message.result_int() < 200) continue;
    http::Response response;
    response.status = static_cast<int>(message.result_int());
    for (const auto& field : message.base())
      response.headers.emplace_back(to_lower({field.name_string().data(), field.name_string().size()}),
                                    std::string(field.value().data(), field.value().size()));
    response.body = std::move(parser.get().body());
    co_return response;
  }
}

asio::awaitable<Result<http::Response>> run_exchange(Exchange& exchange, asio::ssl::context& tls, bool verify) {
  const http::Url& url = exchange.request.url;
  boost::system::error_code not_numeric;
  const auto address = asio::ip::make_address(url.host, not_numeric);
  boost::system::error_code connect_error;
  if (!not_numeric) {
    const std::optional<std::int64_t> port = parse_int(url.port);
    const tcp::endpoint endpoint(address, static_cast<std::uint16_t>(port.value_or(0)));
    const auto [error] = co_await exchange.socket.async_connect(endpoint, as_result);
    connect_error = error;
  } else {
    const auto [error, found] = co_await exchange.resolver.async_resolve(url.host, url.port, as_result);
    if (error) co_return fail(io_error("cannot resolve " + url.host, error));
    connect_error = asio::error::host_not_found;
    for (const auto& entry : found) {
      boost::system::error_code ignored;
      exchange.socket.close(ignored);
      const tcp::endpoint endpoint = entry.endpoint();
      const auto [tried] = co_await exchange.socket.async_connect(endpoint, as_result);
      connect_error = tried;
      if (!tried) break;
    }
  }
  if (connect_error) co_return fail(io_error("cannot connect to " + url.host + ":" + url.port, connect_error));
  boost::system::error_code ignored;
  exchange.socket.set_option(tcp::no_delay(true), ignored);
  if (url.scheme != "https") {
    auto plain = co_await talk(exchange.socket, exchange);
    co_return plain;
  }
  asio::ssl::stream<tcp::socket&> stream(exchange.socket, tls);
  if (not_numeric) ::SSL_set_tlsext_host_name(stream.native_handle(), url.host.c_str());
  stream.set_verify_mode(verify ? asio::ssl::verify_peer : asio::ssl::verify_none, ignored);
  if (verify) {
    asio::ssl::host_name_verification check(url.host);
    stream.set_verify_callback(check, ignored);
  }
  const auto [error] = co_await stream.async_handshake(asio::ssl::stream_base::client, as_result);
  if (error) co_return fail(io_error("TLS with " + url.host + " failed", error));
  auto secured = co_await talk(stream, exchange);
  co_return secured;
}

}  // namespace

struct HttpClient::Impl {
  explicit Impl(ClientOptions options_in)
      : options(std::move(options_in)), tls(asio::ssl::context::tls_client), work(asio::make_work_guard(io)) {}

  Status prepare() {
    boost::system::error_code error;
    tls.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                        asio::ssl::context::no_tlsv1_1, error);
    if (options.ca_file.empty()) {
      tls.set_default_verify_paths(error);
      if (error) return fail(io_error("the system's certificates cannot be read", error));
    } else {
      tls.load_verify_file(options.ca_file, error);
      if (error) return fail(io_error(options.ca_file + " cannot be read", error));
    }
    return {};
  }

  const ClientOptions options;
  asio::ssl::context tls;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::vector<std::shared_ptr<Exchange>> running;  // loop only
  bool stopping = false;                           // loop only
  std::thread loop;

  // Calls of send() that have not returned: what they hold (an Exchange's socket) must not outlive `io`.
  Mutex mutex;
  Condition sender_left;
  int senders PLUMBLINE_GUARDED_BY(mutex) = 0;
};

namespace {

// Counts a call of send() while it lasts.
template <class Impl>
class Sender {
 public:
  explicit Sender(Impl& impl) : impl_(impl) {
    Lock lock(impl_.mutex);
    ++impl_.senders;
  }
  ~Sender() {
    Lock lock(impl_.mutex);
    --impl_.senders;
    impl_.sender_left.notify_all();
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

 private:
  Impl& impl_;
};

}  // namespace

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<HttpClient>> HttpClient::make(ClientOptions options) {
  try {
    auto impl = std::make_unique<Impl>(std::move(options));
    PLUMBLINE_CHECK_OK(impl->prepare());
    impl->loop = std::thread([raw = impl.get()] {
      ::pthread_setname_np(::pthread_self(), "http-client");
      raw->io.run();
    });
    return std::unique_ptr<HttpClient>(new HttpClient(std::move(impl)));
  } catch (const std::exception& e) {
    return fail(Code::io, std::string("cannot start the HTTP client: ") + e.what());
  }
}

HttpClient::~HttpClient() {
  asio::post(impl_->io, [impl = impl_.get()] {
    impl->stopping = true;
    for (const std::shared_ptr<Exchange>& exchange : impl->running) {
      exchange->finish(fail(Code::cancelled, "the client is going down"));
      exchange->cut();
    }
  });
  {
    // The loop still runs: it refuses the exchanges that arrive late.
    Lock lock(impl_->mutex);
    while (impl_->senders > 0) impl_->sender_left.wait(impl_->mutex);
  }
  impl_->work.reset();
  impl_->loop.join();
}

Result<http::Response> HttpClient::send(const http::ClientRequest& request) {
  if (request.url.scheme != "http" && request.url.scheme != "https")
    return fail(Code::invalid_input, "the URL's scheme is not http or https");
  PLUMBLINE_TRY(std::string wire, write_request(request, impl_->options.user_agent));
  const Sender sender(*impl_);  // before the exchange, so that it goes last
  auto exchange = std::make_shared<Exchange>(impl_->io);
  exchange->request = request;
  exchange->request.body.clear();  // it stands in `wire`
  exchange->wire = std::move(wire);
  const Steady deadline = std::chrono::steady_clock::now() + request.timeout;
  asio::post(impl_->io, [impl = impl_.get(), exchange] {
    if (impl->stopping) {
      exchange->finish(fail(Code::cancelled, "the client is going down"));
      return;
    }
    impl->running.push_back(exchange);
    auto coroutine = run_exchange(*exchange, impl->tls, !impl->options.insecure_skip_verify);
    asio::co_spawn(impl->io, std::move(coroutine),
                   [impl, exchange](const std::exception_ptr& failure, Result<http::Response> outcome) {
                     std::erase(impl->running, exchange);
                     if (failure) outcome = fail(Code::io, "the exchange failed inside");
                     exchange->finish(std::move(outcome));
                   });
  });
  {
    Lock lock(exchange->mutex);
    while (!exchange->result)
      if (exchange->done.wait_until(exchange->mutex, deadline) == std::cv_status::timeout) break;
    if (exchange->result) return std::move(*exchange->result);
    exchange->result.emplace(fail(Code::timeout, "no answer within " + format_duration_ms(request.timeout.count())));
  }
  // The loop lets go of it when the operation under way has noticed; a name lookup can take its time with that.
  asio::post(impl_->io, [exchange] { exchange->cut(); });
  Lock lock(exchange->mutex);
  return std::move(*exchange->result);
}

}  // namespace plumbline::runtime
