list(APPEND QUERY_SOURCES
  promql/check.cpp
  promql/check_promql.cpp
  promql/functions.cpp
  promql/lexer.cpp
  promql/parser.cpp
  promql/parser_literal.cpp
  promql/parser_selector.cpp
  promql/printer.cpp)
