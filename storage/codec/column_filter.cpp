#include "storage/codec/column_filter.hpp"

#include <algorithm>

#include "daemon/base/bytes.hpp"

namespace plumbline::storage::codec {
namespace {

constexpr std::size_t bits_per_word = 10;
constexpr int probes = 6;

bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<std::uint8_t>(c) >= 128;
}

// Probe i of a hash: double hashing over the two halves; the step is odd, so that probes differ.
std::uint64_t probe(std::uint64_t hash, int i, std::uint64_t bits) {
  return (hash + static_cast<std::uint64_t>(i) * (hash >> 32 | 1)) % bits;
}

}  // namespace

void for_each_word(std::string_view text, const std::function<void(std::string_view)>& visit) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (!is_word_byte(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && is_word_byte(text[end])) ++end;
    visit(text.substr(at, end - at));
    at = end;
  }
}

std::vector<std::string_view> inner_words(std::string_view text) {
  std::vector<std::string_view> words;
  for_each_word(text, [&](std::string_view word) {
    const bool at_start = word.data() == text.data();
    const bool at_end = word.data() + word.size() == text.data() + text.size();
    if (!at_start && !at_end) words.push_back(word);
  });
  return words;
}

void collect_words(std::string_view text, std::vector<std::uint64_t>& hashes) {
  for_each_word(text, [&](std::string_view word) { hashes.push_back(hash64(word)); });
}

std::string make_filter(std::vector<std::uint64_t> word_hashes) {
  std::sort(word_hashes.begin(), word_hashes.end());
  word_hashes.erase(std::unique(word_hashes.begin(), word_hashes.end()), word_hashes.end());
  std::string filter((word_hashes.size() * bits_per_word + 7) / 8, '\0');
  const std::uint64_t bits = filter.size() * 8;
  for (const std::uint64_t hash : word_hashes)
    for (int i = 0; i < probes; ++i) {
      const std::uint64_t bit = probe(hash, i, bits);
      filter[bit / 8] = static_cast<char>(static_cast<std::uint8_t>(filter[bit / 8]) | 1u << bit % 8);
    }
  return filter;
}

bool may_contain(std::string_view filter, std::string_view word) {
  const std::uint64_t bits = filter.size() * 8;
  if (bits == 0) return false;
  const std::uint64_t hash = hash64(word);
  for (int i = 0; i < probes; ++i) {
    const std::uint64_t bit = probe(hash, i, bits);
    if ((static_cast<std::uint8_t>(filter[bit / 8]) >> bit % 8 & 1) == 0) return false;
  }
  return true;
}

}  // namespace plumbline::storage::codec
