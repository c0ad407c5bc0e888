// The labels of one series in the index's arena: a header word, then the numbers of its pairs in label order.
#pragma once

#include <cstdint>

namespace plumbline::storage::series {

// A view; Word is std::uint32_t or const.
template <class Word>
class LabelList {
 public:
  explicit LabelList(Word* words) : words_(words) {}
  std::uint32_t size() const { return words_[0] & 0xffff; }
  std::uint8_t vshard() const { return static_cast<std::uint8_t>(words_[0] >> 16); }
  // The form that find() compares first is not the canonical one, which then has an entry of its own.
  bool other_form_first() const { return (words_[0] >> 24 & 1) != 0; }
  std::uint32_t more_forms() const { return words_[0] >> 25 & 3; }  // entries in the alias table
  Word* begin() const { return words_ + 1; }
  Word* end() const { return words_ + 1 + size(); }

  void start(std::uint32_t size, std::uint8_t vshard) const { words_[0] = size | std::uint32_t{vshard} << 16; }
  void set_other_form_first(bool on) const { words_[0] = (words_[0] & ~(1u << 24)) | (on ? 1u << 24 : 0); }
  void set_more_forms(std::uint32_t n) const { words_[0] = (words_[0] & ~(3u << 25)) | n << 25; }

  static constexpr std::uint32_t size_max = 0xffff;
  static std::size_t bytes(std::uint32_t size) { return (size + std::size_t{1}) * sizeof(std::uint32_t); }

 private:
  Word* words_;
};

}  // namespace plumbline::storage::series
