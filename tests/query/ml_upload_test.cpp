#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "query/ml/filter.hpp"
#include "query/ml/reference_store.hpp"
#include "query/ml/upload.hpp"
#include "tests/support/support.hpp"

using namespace plumbline;
using namespace plumbline::query::ml;

TEST_CASE("CSV: quotes, line ends, missing cells and types") {
  const auto upload = parse_csv(
      "id,age,\"city, name\",ok,y_pred\r\n1,30,\"New \"\"York\"\"\",True,1\r\n2,NaN,Rome,False,0\r\n3,,\"two\nlines\",True,1\r\n", {});
  REQUIRE(upload);
  CHECK(upload->rows == 3);
  REQUIRE(upload->features.size() == 3);
  CHECK(upload->features[0].name == "age");
  CHECK(upload->features[0].missing == 2);
  CHECK(upload->features[0].sample == std::vector<double>{30});
  CHECK(upload->features[1].name == "city, name");
  CHECK(upload->features[1].type == FeatureType::category);
  CHECK(upload->features[1].categories.size() == 3);
  CHECK(upload->features[1].categories[0].first == "New \"York\"");
  CHECK(upload->features[2].categories == CategoryCounts{{"true", 2}, {"false", 1}});
}

TEST_CASE("CSV: mistakes are named by row and column") {
  const auto message = [](std::string_view body, UploadOptions options = {}) {
    const auto result = parse_csv(body, options);
    return result ? std::string("accepted") : result.error().message;
  };
  CHECK(message("a,b\n1\n") == "row 2: 1 cells, the header has 2");
  CHECK(message("a,a\n1,2\n") == "row 1: column 'a' appears twice");
  CHECK(message("a\n\"x\n") == "row 2: cell 1: a quoted cell has no closing quote");
  CHECK(message("a,b\n1,\"x\"y\n") == "row 2: cell 2: text after the closing quote");
  CHECK(message("a\n1\n2\nthree\n") ==
        "row 4, column 'a': \"three\" is no number, and 2 of 3 values are (a category? then categorical=a)");
  UploadOptions options;
  options.categorical = {"a"};
  CHECK(message("a\n1\n2\nthree\n", options) == "accepted");
  CHECK(message("") == "the CSV is empty: a header row is needed");
  CHECK(message("a\n") == "the CSV has a header and no rows");
  CHECK(message("id,label\n1,2\n").starts_with("row 1: no column is a feature"));
  CHECK(message("a\n\xff\n") == "the CSV is not valid UTF-8");
}

TEST_CASE("numbers that are categories read the same from CSV and from records") {
  UploadOptions options;
  options.categorical = {"season"};
  const auto upload = parse_csv("season\n1\n1.0\n2\n", options);
  REQUIRE(upload);
  CHECK(upload->features[0].categories == CategoryCounts{{"1", 2}, {"2", 1}});
}

TEST_CASE("NDJSON: flat objects and inference records") {
  const auto flat = parse_ndjson("{\"age\":30,\"plan\":\"a\",\"label\":1}\n\n{\"age\":null,\"ok\":true,\"e\":[1,2]}\n", {});
  REQUIRE(flat);
  CHECK(flat->rows == 2);
  REQUIRE(flat->features.size() == 3);
  CHECK(flat->features[0].name == "age");
  CHECK(flat->features[0].missing == 1);
  CHECK(flat->features[1].name == "ok");
  CHECK(flat->features[2].categories == CategoryCounts{{"a", 1}});
  const auto records = parse_ndjson("{\"model\":\"m\",\"features\":{\"label\":3}}\n", {});
  REQUIRE(records);
  CHECK(records->features[0].name == "label");  // inside `features` every key counts
  CHECK(parse_ndjson("{\"a\":1}\n{oops\n", {}).error().message.starts_with("line 2: "));
  CHECK(parse_ndjson("{\"a\":{\"b\":1}}", {}).error().message.starts_with("line 1, key 'a': an object"));
  CHECK(parse_ndjson("[1]", {}).error().message == "line 1: not a JSON object");
}

TEST_CASE("category bins: top hundred, other, unseen") {
  FeatureBuilder builder;
  for (int c = 0; c < 150; ++c)
    for (int k = 0; k < 200 - c; ++k) REQUIRE(builder.add(std::string_view("c" + std::to_string(c))));
  const FeatureReference f = builder.finish("x", 100'000, false);
  const CategoryBins bins(f);
  CHECK(bins.size() == 102);
  CHECK(bins.bin("c0") == 0);
  CHECK(bins.bin("c99") == 99);
  CHECK(bins.bin("c100") == 100);
  CHECK(bins.bin("nobody") == 101);
  CHECK(bins.reference_counts()[101] == 0);
  CHECK(bins.reference_counts()[0] == 200);
}

TEST_CASE("samples are capped by a seeded reservoir, counts are not") {
  FeatureBuilder a, b;
  for (int i = 0; i < 150'000; ++i) {
    REQUIRE(a.add(static_cast<double>(i)));
    REQUIRE(b.add(static_cast<double>(i)));
  }
  const FeatureReference one = a.finish("x", 150'000, false), two = b.finish("x", 150'000, false);
  CHECK(one == two);
  CHECK(one.sample.size() == sample_values_max);
  CHECK(std::is_sorted(one.sample.begin(), one.sample.end()));
  CHECK(one.bins == Counts(10, 15'000));
}

TEST_CASE("references: versions, hashes, parts of a mebibyte, damage found") {
  test::MemoryStore store;
  ReferenceStore references(store);
  const auto reference = [](const std::string& name, int size) {
    Reference r;
    r.model = "fraud/eu 1";
    r.name = name;
    FeatureBuilder builder;
    for (int i = 0; i < size; ++i) (void)builder.add(std::sin(i) * 1e3);  // noise: does not compress
    r.features.push_back(builder.finish("x", static_cast<std::uint64_t>(size), false));
    for (int k = 0; k < 2; ++k) {
      FeatureBuilder more;
      for (int i = 0; i < size; ++i) (void)more.add(std::cos(i + k * 1000) * 1e3);
      r.features.push_back(more.finish("y" + std::to_string(k), static_cast<std::uint64_t>(size), false));
    }
    r.rows = static_cast<std::uint64_t>(size);
    return r;
  };
  const auto first = references.add(reference("train", 100'000));
  REQUIRE(first);
  CHECK((*first)->id() == "train@1");
  const auto second = references.add(reference("train", 100'000));
  CHECK((*second)->id() == "train@2");
  CHECK((*second)->hash == (*first)->hash);
  REQUIRE(references.add(reference("other", 10)));

  ReferenceStore reopened(store);
  const auto found = reopened.find("fraud/eu 1", "train@1");
  REQUIRE(found);
  CHECK((*found)->features == (*first)->features);
  CHECK((*reopened.find("fraud/eu 1", "train"))->version == 2);
  CHECK(reopened.find("fraud/eu 1", "nope").error().code == Code::not_found);
  CHECK(reopened.find("fraud/eu 1", "nope").error().message ==
        "no reference \"nope\" of model \"fraud/eu 1\"; known are other@1, train@1, train@2");
  CHECK(reopened.find("fraud/eu 1", "").error().code == Code::invalid_input);
  CHECK(reopened.list("fraud/eu 1")->size() == 3);
  CHECK(reopened.list("other model")->empty());

  std::size_t parts = 0;
  std::string last_key, last_value;
  REQUIRE(store.list("ml/ref/fraud%2feu%201/train/0000000001", [&](std::string_view key, std::string_view value) {
    CHECK(value.size() <= part_bytes_max);
    last_key = std::string(key);
    last_value = std::string(value);
    ++parts;
    return true;
  }));
  CHECK(parts > 1);
  last_value[last_value.size() / 2] ^= 1;
  REQUIRE(store.put({{last_key, last_value}}));
  CHECK(ReferenceStore(store).find("fraud/eu 1", "train@1").error().code == Code::corrupt);
  CHECK_FALSE(references.add([&] { Reference r = reference("a/b", 3); return r; }()));
}

namespace {
bool passes(std::string_view where, const std::vector<std::pair<std::string, model::Value>>& fields,
            const model::Labels& stream = model::Labels::of({{"model", "m"}, {"version", "2"}})) {
  const auto filter = Filter::parse(where);
  INFO(where << ": " << (filter ? "" : filter.error().message));
  REQUIRE(filter);
  std::vector<storage::Column> columns;
  for (const auto& [name, value] : fields) columns.push_back({name, {value}});
  const std::int64_t time = 1;
  const storage::RowBlock block{model::EventKind::inference, &stream, {&time, 1}, columns};
  return Filter::Bound(*filter, block).passes(0);
}
}  // namespace

TEST_CASE("where: comparisons, words and parentheses") {
  const std::vector<std::pair<std::string, model::Value>> row{
      {"feature.age", 30.0}, {"segment.country", std::string("de")}, {"status", std::string("ok")}, {"feature.vip", true}};
  CHECK(passes("", row));
  CHECK(passes("age = 30 and segment.country=\"de\"", row));
  CHECK(passes("age >= 30 and not age > 30", row));
  CHECK(passes("feature.age < 31", row));
  CHECK_FALSE(passes("age != 30.0", row));
  CHECK(passes("age=1 or (status='ok' and vip=true)", row));
  CHECK(passes("segment.country =~ \"d.|fr\"", row));
  CHECK_FALSE(passes("segment.country =~ \"d\"", row));  // anchored
  CHECK(passes("segment.country !~ \"f.*\"", row));
  CHECK(passes("version=\"2\" and model=\"m\"", row));
  CHECK_FALSE(passes("version=\"3\"", row));
  CHECK_FALSE(passes("height < 5", row));  // absent
  CHECK(passes("height != 5", row));
  CHECK(passes("AGE != 30", row));  // names keep their case
  CHECK(passes("`age` = \"30\"", row));
  CHECK(Filter::parse("version=\"2\" and age>3")->version() == "2");
  CHECK_FALSE(Filter::parse("version=\"2\" or age>3")->version().has_value());
}

TEST_CASE("where: errors say where") {
  const auto message = [](std::string_view where) { return Filter::parse(where).error().message; };
  CHECK(message("age >") == "where: 1:6: expected a value (a number, \"text\", true or false), found the end");
  CHECK(message("age 5") == "where: 1:5: expected a comparison (= != < <= > >= =~ !~), found \"5\"");
  CHECK(message("age = 5 vip = 1") == "where: 1:9: expected 'and', 'or' or the end, found \"v\"");
  CHECK(message("(age = 5") == "where: 1:9: expected ')', found the end");
  CHECK(message("age =~ 5") == "where: 1:8: expected a quoted regex, found \"5\"");
  CHECK(message("a =~ \"(\"").starts_with("where: 1:6: "));
  CHECK(Filter::parse(std::string(1000, '(') + "a=1").error().message.find("nested deeper") != std::string::npos);
}
