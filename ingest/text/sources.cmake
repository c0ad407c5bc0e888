# Included by ingest/CMakeLists.txt: the files of text/ and scrape/. Paths are relative to ingest/.
list(APPEND INGEST_SOURCES
  scrape/discovery.cpp
  scrape/relabel.cpp
  scrape/scrape_loop.cpp
  scrape/scrape_request.cpp
  scrape/scraper.cpp
  scrape/target.cpp
  scrape/target_routes.cpp
  scrape/target_samples.cpp
  text/exposition.cpp
  text/import_route.cpp
  text/inference.cpp
  text/inference_json.cpp
  text/inference_routes.cpp
  text/json_tree.cpp
  text/label_text.cpp
  text/log_level.cpp
  text/loki.cpp
  text/loki_json.cpp
  text/loki_protobuf.cpp
  text/loki_route.cpp
  text/refusals.cpp)
list(APPEND INGEST_LIBRARIES Boost::json OpenSSL::Crypto PkgConfig::RE2)
