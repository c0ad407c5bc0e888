// The methods behind the gRPC listener, without gRPC: bytes in, bytes out. Tests drive them without a socket.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ingest/ingest.hpp"

namespace plumbline::ingest {

// One call: fed with its messages in order, then asked for its one reply.
//
// Threads: one at a time. Blocks: message() on the journal.
class GrpcCall {
 public:
  virtual ~GrpcCall() = default;
  virtual bool client_streaming() const = 0;
  // Fails: as the sink, or invalid_input for bytes that are not the method's request; the call is over then.
  virtual Status message(std::string_view bytes) = 0;
  virtual std::string reply() = 0;
};

// Borrows: sink, clock.
class GrpcServices {
 public:
  GrpcServices(Sink& sink, const Clock& clock, Limits limits, OtlpOptions otlp);
  // "/opentelemetry.proto.collector.logs.v1.LogsService/Export"; nullptr for a method we do not have.
  std::unique_ptr<GrpcCall> open(std::string_view method) const;

 private:
  Sink& sink_;
  const Clock& clock_;
  const Limits limits_;
  const OtlpOptions otlp_;
};

// A message as gRPC hands it over, decompressed under our own limit: gRPC 1.51 inflates without one. No message of ours
// begins with the first byte of a gzip stream (0x1f is no protobuf tag) or of a zlib stream (0x78 is field 15, which none has).
Result<std::string> inflate_message(std::string bytes, std::size_t bytes_max);

}  // namespace plumbline::ingest
