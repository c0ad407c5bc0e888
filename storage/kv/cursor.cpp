#include <utility>
#include <vector>

#include "storage/kv/kv.hpp"

namespace plumbline::storage::kv {

namespace {

class PagedCursor final : public Cursor {
 public:
  PagedCursor(const Kv& kv, Family family) : kv_(kv), family_(family) {}
  void seek(std::string_view key) override {
    page_.clear();
    at_ = 0;
    status_ = kv_.scan(family_, key, "", [this](std::string_view k, std::string_view v) {
      page_.emplace_back(k, v);
      return page_.size() < page_size;
    });
  }
  void next() override {
    if (++at_ < page_.size() || page_.size() < page_size) return;
    const std::string after = page_.back().first + '\0';  // the smallest key that is larger
    seek(after);
  }
  bool valid() const override { return status_.has_value() && at_ < page_.size(); }
  std::string_view key() const override { return page_[at_].first; }
  std::string_view value() const override { return page_[at_].second; }
  Status status() const override { return status_; }

 private:
  static constexpr std::size_t page_size = 64;
  const Kv& kv_;
  const Family family_;
  std::vector<std::pair<std::string, std::string>> page_;
  std::size_t at_ = 0;
  Status status_;
};

}  // namespace

std::unique_ptr<Cursor> Kv::cursor(Family family) const { return std::make_unique<PagedCursor>(*this, family); }

}  // namespace plumbline::storage::kv
