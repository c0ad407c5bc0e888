// A Bloom filter over the words of a string column: "this block has no row with that word" without decoding the column.
//
// A word is a maximal run of ASCII letters, digits, `_` and bytes above 127 (so that UTF-8 letters stay together). Ten bits
// and six probes per distinct word: one false positive in about a hundred.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace plumbline::storage::codec {

void for_each_word(std::string_view text, const std::function<void(std::string_view)>& visit);
// The words of `text` that also stand whole in any string that contains `text`: not those that touch its ends, because the
// string may go on there ("error" is found in "terrors").
std::vector<std::string_view> inner_words(std::string_view text);

// Hashes of words, to be made into a filter; repeated hashes are fine.
std::string make_filter(std::vector<std::uint64_t> word_hashes);
void collect_words(std::string_view text, std::vector<std::uint64_t>& hashes);
// False: the word was never added. An empty filter (a column without words) has none.
bool may_contain(std::string_view filter, std::string_view word);

}  // namespace plumbline::storage::codec
