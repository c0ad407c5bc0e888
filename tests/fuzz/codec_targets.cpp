// Codecs of numbers and columns: what they encode comes back bit for bit, and any bytes are answered.
#include <bit>
#include <cstring>

#include "storage/codec/block16.hpp"
#include "storage/codec/column.hpp"
#include "storage/codec/column_filter.hpp"
#include "storage/codec/column_floats.hpp"
#include "storage/codec/column_ints.hpp"
#include "storage/codec/column_strings.hpp"
#include "storage/codec/gorilla.hpp"
#include "storage/codec/histogram_column.hpp"
#include "storage/codec/histogram_row.hpp"
#include "storage/codec/tans.hpp"
#include "storage/codec/times.hpp"
#include "storage/codec/value_group.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace plumbline::fuzz {
namespace {

using namespace storage::codec;

// Eight bytes each.
template <class T>
std::vector<T> numbers(std::string_view bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size() * sizeof(T));
  return out;
}
template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}
bool same(std::span<const double> a, std::span<const double> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}
std::vector<std::vector<double>> read_group(std::string_view bytes) {
  std::vector<std::vector<double>> out;
  auto group = ValueGroupDecoder::open(bytes);
  if (!group) return out;
  for (std::size_t c = 0; c < group->columns() && c < 64; ++c) {
    std::vector<double> values(group->length(c));
    if (group->read(c, values)) out.push_back(std::move(values));
  }
  return out;
}
std::string write_group(const std::vector<std::vector<double>>& columns) {
  ValueGroupEncoder encoder;
  for (const auto& column : columns) encoder.add(column);
  return encoder.finish();
}

void value_group(std::string_view bytes) {
  const auto columns = read_group(bytes);
  PLUMBLINE_CHECK(std::ranges::equal(read_group(write_group(columns)), columns, [](auto& a, auto& b) { return same(a, b); }),
                  "what was read is written and read again");
}
void value_group_encode(std::string_view bytes) {
  Input in(bytes);
  std::vector<std::vector<double>> columns;
  while (!in.done() && columns.size() < 32) columns.push_back(numbers<double>(in.take(1 + in.byte() * std::size_t{8})));
  PLUMBLINE_CHECK(std::ranges::equal(read_group(write_group(columns)), columns, [](auto& a, auto& b) { return same(a, b); }),
                  "every double comes back");
}

void block16(std::string_view bytes) {
  std::uint8_t hint = bytes.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(bytes[0]);
  const auto values = numbers<double>(bytes.substr(0, 128));
  const auto times = numbers<std::int64_t>(bytes.substr(0, 128));
  if (values.empty()) return;
  std::array<std::uint8_t, block_bytes_max + block_slack> room{};
  std::vector<double> back(values.size());
  const std::size_t n = encode_block(values, room.data(), hint);
  PLUMBLINE_CHECK(n <= block_bytes_max && decode_block(room.data(), back) == n && same(values, back), "a block comes back");
  std::vector<std::int64_t> times_back(times.size());
  const std::size_t m = encode_times_block(times, room.data());
  PLUMBLINE_CHECK(m <= block_bytes_max && decode_times_block(room.data(), times_back) == m && times == times_back, "a block of times comes back");
}

void tans(std::string_view bytes) {
  Input in(bytes);
  const std::size_t count = 1 + in.below(2000);
  BitReader bits(in.piece());
  Model model;
  if (!read_model(bits, model)) return;
  const TansDecoder decoder(model);
  std::vector<std::uint64_t> values(count);
  std::string padded;
  std::vector<std::uint8_t> tokens;
  if (!decoder.decode(in.rest(), values, padded, tokens)) return;
  tokens.clear();
  for (const std::uint64_t v : values) tokens.push_back(token_of(v));
  std::string again;
  TansEncoder(model).encode(tokens, values, again);
  std::vector<std::uint64_t> back(count);
  PLUMBLINE_CHECK(decoder.decode(again, back, padded, tokens) && back == values, "what was decoded is encoded and decoded again");
}

void times(std::string_view bytes) {
  Input in(bytes);
  std::vector<std::int64_t> out(in.below(2000));
  const std::string_view rest = in.rest();
  (void)storage::codec::decode_times(rest, std::span<std::int64_t>(out));
  const auto values = numbers<std::int64_t>(rest);
  if (values.empty()) return;
  std::string encoded;
  storage::codec::encode_times(values, encoded);
  std::vector<std::int64_t> back(values.size());
  PLUMBLINE_CHECK(storage::codec::decode_times(encoded, std::span<std::int64_t>(back)) && back == values, "times come back");
}

void gorilla(std::string_view bytes) {
  Input in(bytes);
  const auto count = static_cast<std::uint32_t>(in.below(0xffff));
  std::vector<model::Sample> samples;
  if (!gorilla_decode(in.rest(), count, samples)) return;
  std::vector<model::Sample> back;
  PLUMBLINE_CHECK(gorilla_decode(gorilla_encode(samples), count, back) && back == samples, "what was decoded is encoded and decoded again");
}

void column(std::string_view bytes) {
  Input in(bytes);
  const TypeSet types = in.byte();
  const std::size_t rows = in.below(3000);
  const std::size_t first = in.below(3000);
  const std::string_view rest = in.rest();
  std::vector<model::Value> part;
  if (first <= rows) (void)decode_column(rest, types, rows, first, rows, part);
  std::vector<model::Value> values;
  if (!decode_column(rest, types, rows, 0, rows, values)) return;
  PLUMBLINE_CHECK(values.size() == rows, "as many values as rows");
  const EncodedColumn encoded = encode_column(values);
  std::vector<model::Value> back;
  PLUMBLINE_CHECK(decode_column(encoded.bytes, encoded.types, rows, 0, rows, back) && encode_column(back).bytes == encoded.bytes,
                  "what was decoded is encoded and decoded again");
}

// The parts of a column alone, which are hard to reach behind its checksum and compression.
void column_parts(std::string_view bytes) {
  Input in(bytes);
  const std::size_t count = in.below(3000);
  const std::string_view rest = in.rest();
  std::vector<std::int64_t> ints;
  std::vector<double> floats;
  std::vector<std::string> strings;
  ByteReader a(rest), b(rest), c(rest);
  if (decode_ints(a, count, ints)) PLUMBLINE_CHECK(ints.size() == count, "as many as asked for");
  if (decode_floats(b, count, floats)) PLUMBLINE_CHECK(floats.size() == count, "as many as asked for");
  if (decode_strings(c, count, 1 << 20, strings)) PLUMBLINE_CHECK(strings.size() == count, "as many as asked for");
  const auto values = numbers<std::int64_t>(rest);
  ByteWriter out;
  encode_ints(out, values);
  encode_floats(out, numbers<double>(rest));
  ByteReader back(out.str());
  ints.clear();
  floats.clear();
  PLUMBLINE_CHECK(decode_ints(back, values.size(), ints) && ints == values, "integers come back");
  PLUMBLINE_CHECK(decode_floats(back, values.size(), floats) && same(floats, numbers<double>(rest)), "floats come back");
  std::vector<std::int64_t> t;
  if (!values.empty())
    PLUMBLINE_CHECK(storage::codec::decode_times(storage::codec::encode_times(values), values.size(), t) && t == values,
                    "times come back");
  (void)storage::codec::decode_times(rest, count, t);
}

void column_filter(std::string_view bytes) {
  Input in(bytes);
  const std::string_view filter = in.piece();
  const std::string_view text = in.rest();
  (void)may_contain(filter, text);
  std::vector<std::uint64_t> hashes;
  collect_words(text, hashes);
  const std::string made = make_filter(hashes);
  for_each_word(text, [&](std::string_view word) { PLUMBLINE_CHECK(may_contain(made, word), "a word that was added is found"); });
  (void)inner_words(text);
}

std::vector<double> decimals() {
  std::vector<double> out;
  for (int i = 0; i < 40; ++i) out.push_back(12.25 + i % 7 * 0.5);
  out[9] = 1e300;
  return out;
}
std::vector<std::int64_t> grid() {
  std::vector<std::int64_t> out;
  for (int i = 0; i < 40; ++i) out.push_back(1'700'000'000'000 + i * 15'000 + (i % 5 == 3 ? 1 : 0));
  return out;
}
std::vector<std::string> column_seeds() {
  std::vector<std::string> out;
  std::vector<model::Value> values;
  const auto add = [&] {
    const EncodedColumn c = encode_column(values);
    out.push_back(std::string{static_cast<char>(c.types), static_cast<char>(values.size()), 0, 0, 0} + c.bytes);
  };
  for (const double v : decimals()) values.emplace_back(v);
  add();
  for (const std::int64_t v : grid()) values.emplace_back(v);
  for (int i = 0; i < 40; ++i) values.emplace_back("0123456789abcdef" + std::to_string(i % 3));
  add();
  values = {std::monostate{}, true, false, std::string("x"), model::List{1, 2.5}, std::int64_t{7}, 1.5};
  add();
  return out;
}
std::vector<std::string> column_part_seeds() {
  ByteWriter ints, floats, strings;
  encode_ints(ints, grid());
  encode_floats(floats, decimals());
  const std::string_view words[] = {"abc", "abd", "abc", "00ff"};
  encode_strings(strings, words);
  return {std::string{40, 0} + ints.str(), std::string{40, 0} + floats.str(), std::string{4, 0} + strings.str(),
          std::string{40, 0} + bytes_of(grid()), std::string{40, 0} + bytes_of(decimals())};
}
std::vector<std::string> tans_seeds() {
  std::array<std::uint32_t, token_count> counts{};
  std::vector<std::uint64_t> values;
  for (std::uint64_t i = 0; i < 100; ++i) values.push_back(i * i % 37);
  std::vector<std::uint8_t> tokens;
  for (const std::uint64_t v : values) tokens.push_back(token_of(v));
  for (const std::uint8_t t : tokens) ++counts[t];
  const Model model = make_model(counts);
  BitWriter bits;
  write_model(bits, model);
  std::string stream;
  TansEncoder(model).encode(tokens, values, stream);
  return {std::string{99, 0} + piece(bits.str()) + stream};
}
std::vector<std::string> gorilla_seeds() {
  std::vector<model::Sample> samples;
  for (std::size_t i = 0; i < 40; ++i) samples.push_back({grid()[i], decimals()[i]});
  return {std::string{40, 0} + gorilla_encode(samples)};
}
std::vector<std::string> times_seeds() {
  std::string encoded;
  storage::codec::encode_times(grid(), encoded);
  return {std::string{40, 0} + encoded, std::string{0, 0} + bytes_of(grid())};
}

void histogram_block(std::string_view bytes) {
  std::vector<model::HistogramSample> samples, again;
  if (!decode_histograms(bytes, samples) || samples.empty()) return;
  std::string encoded;
  PLUMBLINE_CHECK(encode_histograms(samples, encoded) == samples.size(), "what one block held fits into one");
  PLUMBLINE_CHECK(decode_histograms(encoded, again) && again.size() == samples.size(), "it is read again");
  for (std::size_t i = 0; i < samples.size(); ++i)
    PLUMBLINE_CHECK(again[i].t == samples[i].t && same_bits(again[i].h, samples[i].h), "with the same bits");
}
std::vector<std::string> histogram_seeds() {
  model::Histogram h;
  h.layout = {3, 0.001, {{-2, 2}, {1, 1}}, {{0, 1}}, {}};
  h.positive = {1, 2, 3};
  h.negative = {4};
  std::vector<model::HistogramSample> samples(5, {1'700'000'000'000, h});
  samples[3].h.layout = {model::histogram_schema_custom, 0, {{0, 3}}, {}, {0.1, 1, 10}};
  samples[3].h.negative.clear();
  samples[4].h.sum = model::stale_nan;
  std::string encoded;
  encode_histograms(samples, encoded);
  return {encoded};
}

std::string rows_of(const std::vector<model::Histogram>& histograms) {
  plumbline::ByteWriter out;
  const model::HistogramLayout* before = nullptr;
  for (const model::Histogram& h : histograms) {
    put_histogram(out, h, before);
    before = &h.layout;
  }
  return out.take();
}
std::vector<model::Histogram> read_rows(std::string_view bytes) {
  std::vector<model::Histogram> out;
  plumbline::ByteReader in(bytes);
  for (model::Histogram h; get_histogram(in, h, out.empty() ? nullptr : &out.back().layout);) out.push_back(h);
  return out;
}
void histogram_rows(std::string_view bytes) {
  const std::vector<model::Histogram> histograms = read_rows(bytes);
  const std::vector<model::Histogram> again = read_rows(rows_of(histograms));
  PLUMBLINE_CHECK(again.size() == histograms.size(), "rows read again");
  for (std::size_t i = 0; i < again.size(); ++i) PLUMBLINE_CHECK(same_bits(again[i], histograms[i]), "with the same bits");
}
std::vector<std::string> row_seeds() {
  std::vector<model::HistogramSample> samples;
  PLUMBLINE_CHECK(decode_histograms(histogram_seeds().front(), samples), "the seed reads");
  std::vector<model::Histogram> out;
  for (const model::HistogramSample& s : samples) out.push_back(s.h);
  return {rows_of(out)};
}

}  // namespace

Targets codec_targets() {
  return {
      {"value_group", value_group, [] {
         std::vector<double> floats = decimals();
         for (double& v : floats) v /= 3;
         return std::vector<std::string>{write_group({decimals(), decimals(), floats, std::vector<double>(20, 7.5), {}})};
       }},
      {"value_group_encode", value_group_encode, [] { return std::vector<std::string>{"\x28" + bytes_of(decimals())}; }},
      {"block16", block16, [] { return std::vector<std::string>{bytes_of(decimals()), bytes_of(grid())}; }},
      {"tans", tans, tans_seeds},
      {"times", times, times_seeds},
      {"gorilla", gorilla, gorilla_seeds},
      {"histogram_block", histogram_block, histogram_seeds},
      {"histogram_rows", histogram_rows, row_seeds},
      {"event_column", column, column_seeds},
      {"event_column_parts", column_parts, column_part_seeds},
      {"word_filter", column_filter, [] {
         std::vector<std::uint64_t> hashes;
         collect_words("error in line", hashes);
         return std::vector<std::string>{piece(make_filter(hashes)) + "error in line"};
       }},
  };
}

}  // namespace plumbline::fuzz
