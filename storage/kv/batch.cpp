#include "storage/kv/batch_impl.hpp"

namespace plumbline::storage::kv {

std::string key_prefix(std::uint16_t vshard, std::uint32_t tenant) {
  ByteWriter out;
  out.u8(key_format);
  out.be32(tenant);
  out.be16(vshard);
  return out.take();
}

Batch::Batch() : impl_(std::make_unique<Impl>()) {}
Batch::~Batch() = default;
Batch::Batch(Batch&&) noexcept = default;
Batch& Batch::operator=(Batch&&) noexcept = default;

void Batch::put(Family family, std::string_view key, std::string_view value) {
  impl_->add(BatchOp::put, family, key, value);
}
void Batch::remove(Family family, std::string_view key) { impl_->add(BatchOp::remove, family, key, {}); }
void Batch::remove_range(Family family, std::string_view from, std::string_view to) {
  impl_->add(BatchOp::remove_range, family, from, to);
}
std::size_t Batch::bytes() const { return impl_ ? impl_->ops.size() : 0; }

Status Kv::checkpoint(const std::string&) { return fail(Code::unsupported, "this database takes no checkpoints"); }

Status Kv::ingest(Family family, const std::function<Status(const Put&)>& fill) {
  Batch batch;
  PLUMBLINE_CHECK_OK(fill([&](std::string_view key, std::string_view value) -> Status {
    batch.put(family, key, value);
    return {};
  }));
  return write(std::move(batch), Sync::yes);
}

}  // namespace plumbline::storage::kv
