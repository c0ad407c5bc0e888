// The HTTP exchange of one scrape: the request a target gets, and its answer made readable.
#pragma once

#include "ingest/scrape/target.hpp"
#include "ingest/scrape/target_samples.hpp"

namespace plumbline::ingest {

// Credentials are read from their files now, so that a rotated secret counts from the next scrape on; they
// are in the request only, never in an error or a log line. Fails: io, naming the file.
Result<http::ClientRequest> scrape_request(const Target& target);

// Fails: io for a status other than 200, too_large over body_bytes_max, invalid_input for a broken encoding.
Result<Scraped> read_answer(const Target& target, Result<http::Response> answer);

}  // namespace plumbline::ingest
