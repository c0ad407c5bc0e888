// plumbline.v1's requests -> what the sink takes. Pure.
#pragma once

#include <cstdint>

#include "ingest/ingest.hpp"

namespace plumbline::v1 {
class PushMetricsRequest;
class PushLogsRequest;
class PushInferencesRequest;
class PushLabelsRequest;
}  // namespace plumbline::v1

namespace plumbline::ingest {

Decoded translate_push(const v1::PushMetricsRequest& request, std::int64_t now_ns);
Decoded translate_push(const v1::PushLogsRequest& request, std::int64_t now_ns);
Decoded translate_push(const v1::PushInferencesRequest& request, std::int64_t now_ns);
Decoded translate_push(const v1::PushLabelsRequest& request, std::int64_t now_ns);

}  // namespace plumbline::ingest
