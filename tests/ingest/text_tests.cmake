# Included by tests/ingest/CMakeLists.txt: the text and JSON doors, and the scraper.
plumbline_test(ingest_text
  SOURCES inference_json_test.cpp loki_test.cpp relabel_test.cpp scrape_test.cpp text_exposition_test.cpp text_fuzz_test.cpp
          text_routes_test.cpp
  LINK plumbline_ingest)
