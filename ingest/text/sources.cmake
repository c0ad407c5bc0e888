# Included by ingest/CMakeLists.txt; paths are relative to ingest/.
list(APPEND INGEST_SOURCES
  text/inference.cpp)
list(APPEND INGEST_LIBRARIES simdjson::simdjson OpenSSL::Crypto PkgConfig::RE2)
