# The sources of ml, logql, traces and their routes, for the query library (included by query/CMakeLists.txt).
list(APPEND QUERY_SOURCES
  ml/csv.cpp
  ml/drift.cpp
  ml/filter.cpp
  ml/ks.cpp
  ml/models.cpp
  ml/ndjson.cpp
  ml/performance.cpp
  ml/records.cpp
  ml/reference.cpp
  ml/reference_store.cpp
  ml/statistics.cpp
  logql/parser.cpp
  logql/evaluate.cpp
  traces/traces.cpp
  api/jaeger_routes.cpp
  api/loki_routes.cpp
  api/ml_routes.cpp
  stopping_reader.cpp)
