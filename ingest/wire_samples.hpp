// The hot half of remote write: a TimeSeries message of labels and float samples becomes label bytes and samples, without
// looking into the labels. The store knows most series by those bytes; only what it does not know is parsed and checked.
#pragma once

#include <string_view>

#include "storage/storage.hpp"

namespace plumbline::ingest {

// Appends one message to `out`; its label bytes are a view of `message`. False, and nothing appended: the message has
// anything else (histograms, exemplars, unknown fields, labels after samples, damage) and goes to the full decoder.
bool read_wire_series(std::string_view message, storage::WireSamples& out);

}  // namespace plumbline::ingest
