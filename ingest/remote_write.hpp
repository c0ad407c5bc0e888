// Prometheus remote write: POST /api/v1/write, a snappy block of prometheus.WriteRequest (1.0) or of
// io.prometheus.write.v2.Request (2.0, told apart by the proto parameter of Content-Type).
#pragma once

#include <string_view>

#include "ingest/ingest.hpp"

namespace plumbline::ingest {

// Walks an inflated WriteRequest. A bad series is refused with its reason and its place in the request, a malformed
// native histogram alone (bad_histogram).
// Fails: invalid_input when the bytes are not a WriteRequest (nothing of it is trusted then).
Result<Decoded> decode_remote_write(std::string_view message);

// The same for 2.0. A series that refers to symbols that are not there is refused alone, as bad_symbol. Metadata is that of
// the first series of a metric family. Start timestamps are not kept.
// Fails: invalid_input (not a Request, or symbols[0] is not empty), too_large (more symbols than a request may become).
Result<Decoded> decode_remote_write_v2(std::string_view message);

// Answers 204; 400 with what was refused when something was (senders do not repeat a 400, and the rest is stored);
// 415 for another content type, message or encoding; 503 with Retry-After when the store cannot write now. Answers to 2.0
// carry X-Prometheus-Remote-Write-{Samples,Histograms,Exemplars}-Written.
http::Routes remote_write_routes(Sink& sink, Limits limits);

}  // namespace plumbline::ingest
