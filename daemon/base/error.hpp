// What the world can cause is a value: Error, Result<T>, Status. What only our own bug can cause is a check (check.hpp).
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace plumbline {

// Each code maps one to one to an HTTP status and a gRPC status (http_status(), grpc_status()).
enum class Code {
  invalid_input,  // 400: the caller must change the request
  unauthorized,   // 401
  not_found,      // 404
  conflict,       // 409: for example a name that is taken by something else
  too_large,      // 413: a named limit on size; the message says which and its value
  unsupported,    // 415/501: known, and not there yet
  over_limit,     // 429: try later or ask for less
  cancelled,      // 499
  timeout,        // 503: a query ran out of its time
  unavailable,    // 503: our trouble, not the caller's; try later
  corrupt,        // 500: stored bytes do not verify
  io,             // 500: disk or network failed
  execution,      // 422: a valid query that cannot be evaluated on this data
};

struct [[nodiscard]] Error {
  Code code = Code::invalid_input;
  std::string message;  // lowercase, one clause, says what is wrong, where, and what would be right

  // Adds context on the way up, most general first: "config.yaml: rule 'x': 1:4: unexpected ')'".
  Error in(std::string_view context) const { return {code, std::string(context) + ": " + message}; }
  bool operator==(const Error&) const = default;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(Code code, std::string message) {
  return std::unexpected<Error>(Error{code, std::move(message)});
}
inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(std::move(error)); }

int http_status(Code code);
int grpc_status(Code code);  // the number of grpc::StatusCode
std::string_view name_of(Code code);

}  // namespace plumbline

#define PLUMBLINE_CONCAT_(a, b) a##b
#define PLUMBLINE_CONCAT(a, b) PLUMBLINE_CONCAT_(a, b)

// PLUMBLINE_TRY(const Bytes raw, fetch(ref)); declares raw, or returns the error from the enclosing function.
// Not for coroutines: it would have to say co_return.
#define PLUMBLINE_TRY(declaration, expression) \
  PLUMBLINE_TRY_(PLUMBLINE_CONCAT(try_result_, __LINE__), declaration, expression)
#define PLUMBLINE_TRY_(temporary, declaration, expression)                               \
  auto temporary = (expression);                                                         \
  if (!temporary) return std::unexpected<::plumbline::Error>(std::move(temporary).error()); \
  declaration = std::move(*temporary)

// PLUMBLINE_CHECK_OK(store.write(batch)); returns the error of a Status.
#define PLUMBLINE_CHECK_OK(expression)                                                       \
  do {                                                                                       \
    if (auto try_status = (expression); !try_status)                                         \
      return std::unexpected<::plumbline::Error>(std::move(try_status).error());             \
  } while (false)
