list(APPEND QUERY_SOURCES
  promql/aggregation.cpp
  promql/binary.cpp
  promql/calls.cpp
  promql/check.cpp
  promql/check_promql.cpp
  promql/engine.cpp
  promql/evaluator.cpp
  promql/functions.cpp
  promql/histogram.cpp
  promql/label_functions.cpp
  promql/lexer.cpp
  promql/parser.cpp
  promql/parser_literal.cpp
  promql/parser_selector.cpp
  promql/prepare.cpp
  promql/printer.cpp
  promql/range_functions.cpp)
