#include "ingest/ingest.hpp"
#include "ingest/otlp.hpp"
#include "ingest/remote_write.hpp"
#include "ingest/text/routes.hpp"

namespace plumbline::ingest {

http::Routes routes(Sink& sink, const Clock& clock, Limits limits, OtlpOptions otlp) {
  http::Routes all = remote_write_routes(sink, limits);
  for (http::Route& r : otlp_routes(sink, clock, limits, std::move(otlp))) all.push_back(std::move(r));
  for (http::Route& r : text_routes(sink, clock, limits)) all.push_back(std::move(r));
  return all;
}

}  // namespace plumbline::ingest
