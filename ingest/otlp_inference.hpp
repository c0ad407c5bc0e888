// An OTLP log record whose event name is ml.inference, as an inference record. Its attributes (or the keys of a map body)
// are the JSON keys of a record; features, segment and score are maps, or flat keys: features.age, segment.country.
#pragma once

#include <cstdint>

#include "daemon/base/error.hpp"
#include "ingest/text/inference.hpp"
#include "opentelemetry/proto/logs/v1/logs.pb.h"

namespace plumbline::ingest {

bool is_inference(const opentelemetry::proto::logs::v1::LogRecord& record);

// Fails: invalid_input, as "<reason>: <text>" (see add_inference): wrong_type, invalid_id, invalid_time. What only the whole
// record shows (no model, no features) is for add_inference to say.
Result<InferenceInput> inference_of(const opentelemetry::proto::logs::v1::LogRecord& record);

}  // namespace plumbline::ingest
