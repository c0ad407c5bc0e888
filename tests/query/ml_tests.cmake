# Tests of query/ml, query/logql and query/traces (included by tests/query/CMakeLists.txt).
plumbline_test(ml
  SOURCES ml_statistics_test.cpp ml_upload_test.cpp ml_models_test.cpp ml_routes_test.cpp logql_test.cpp traces_test.cpp stop_test.cpp
  LINK plumbline_query Boost::json)

# Reads columns from stdin and prints the statistics as JSON: the C++ side of tests/conformance/scipy_oracle.py.
add_executable(ml_oracle ml_oracle_main.cpp)
target_link_libraries(ml_oracle PRIVATE plumbline_options plumbline_query)
