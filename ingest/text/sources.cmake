# Included by ingest/CMakeLists.txt; paths are relative to ingest/.
list(APPEND INGEST_SOURCES
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
list(APPEND INGEST_LIBRARIES OpenSSL::Crypto PkgConfig::RE2)
