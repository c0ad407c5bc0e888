#include "daemon/base/error.hpp"

namespace plumbline {

int http_status(Code code) {
  switch (code) {
    case Code::invalid_input: return 400;
    case Code::unauthorized: return 401;
    case Code::not_found: return 404;
    case Code::conflict: return 409;
    case Code::too_large: return 413;
    case Code::unsupported: return 415;
    case Code::over_limit: return 429;
    case Code::cancelled: return 499;
    case Code::timeout: return 503;
    case Code::unavailable: return 503;
    case Code::corrupt: return 500;
    case Code::io: return 500;
    case Code::execution: return 422;
  }
  return 500;
}

int grpc_status(Code code) {
  switch (code) {
    case Code::invalid_input: return 3;   // INVALID_ARGUMENT
    case Code::unauthorized: return 16;   // UNAUTHENTICATED
    case Code::not_found: return 5;       // NOT_FOUND
    case Code::conflict: return 6;        // ALREADY_EXISTS
    case Code::too_large: return 8;       // RESOURCE_EXHAUSTED, without RetryInfo: not retried
    case Code::unsupported: return 12;    // UNIMPLEMENTED
    case Code::over_limit: return 8;      // RESOURCE_EXHAUSTED
    case Code::cancelled: return 1;       // CANCELLED
    case Code::timeout: return 4;         // DEADLINE_EXCEEDED
    case Code::unavailable: return 14;    // UNAVAILABLE: retried by every OTLP client
    case Code::corrupt: return 15;        // DATA_LOSS
    case Code::io: return 13;             // INTERNAL
    case Code::execution: return 9;       // FAILED_PRECONDITION
  }
  return 2;
}

std::string_view name_of(Code code) {
  switch (code) {
    case Code::invalid_input: return "invalid_input";
    case Code::unauthorized: return "unauthorized";
    case Code::not_found: return "not_found";
    case Code::conflict: return "conflict";
    case Code::too_large: return "too_large";
    case Code::unsupported: return "unsupported";
    case Code::over_limit: return "over_limit";
    case Code::cancelled: return "cancelled";
    case Code::timeout: return "timeout";
    case Code::unavailable: return "unavailable";
    case Code::corrupt: return "corrupt";
    case Code::io: return "io";
    case Code::execution: return "execution";
  }
  return "unknown";
}

}  // namespace plumbline
