// Prometheus remote write 1.0: POST /api/v1/write, a snappy block of prometheus.WriteRequest.
#pragma once

#include <string_view>

#include "ingest/ingest.hpp"

namespace plumbline::ingest {

// Walks an inflated WriteRequest. A bad series is refused with its reason and its place in the request; native histograms
// and exemplars are refused as unsupported_histogram and unsupported_exemplar.
// Fails: invalid_input when the bytes are not a WriteRequest (nothing of it is trusted then).
Result<Decoded> decode_remote_write(std::string_view message);

// Answers 204; 400 with what was refused when something was (senders do not repeat a 400, and the rest is stored);
// 415 for another content type, encoding or version 2.0; 503 with Retry-After when the store cannot write now.
http::Routes remote_write_routes(Sink& sink, Limits limits);

}  // namespace plumbline::ingest
