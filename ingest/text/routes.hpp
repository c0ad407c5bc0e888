// The doors that speak text or JSON: exposition import, Loki push, inference records and late labels.
#pragma once

#include "daemon/base/clock.hpp"
#include "ingest/ingest.hpp"
#include "proto/http.hpp"

namespace plumbline::ingest {

// POST /api/v1/import/prometheus. 204, or 400 with the refused lines while the good ones are stored.
// Query: timestamp=<ms> for lines without one, extra_label=<name>=<value> (repeatable; replaces a label of
// that name).
http::Routes import_routes(Sink& sink, const Clock& clock, Limits limits);

// POST /loki/api/v1/push and /api/prom/push. 204, or 400 with the refused entries while the good ones are
// stored.
http::Routes loki_routes(Sink& sink, const Clock& clock, Limits limits);

// POST /api/v1/inferences and /api/v1/inferences/labels. 200 or 400 with
// {"accepted":N,"refused":M,"errors":[{"row":3,"reason":"wrong_type","message":"..."}]}.
http::Routes inference_routes(Sink& sink, const Clock& clock, Limits limits);

// All of the above.
http::Routes text_routes(Sink& sink, const Clock& clock, Limits limits);

}  // namespace plumbline::ingest
