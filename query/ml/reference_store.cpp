#include "query/ml/reference_store.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "daemon/base/bytes.hpp"
#include "daemon/base/compression.hpp"
#include "daemon/base/text.hpp"

namespace plumbline::query::ml {
namespace {

constexpr std::string_view prefix = "ml/ref/";
constexpr std::string_view magic = "PLRF";
constexpr std::uint8_t format = 1;
constexpr std::size_t features_bytes_max = 1ull << 30;  // inflated; 5,000 features of 100,000 values would be four times that
constexpr std::size_t head_bytes = 4 + 1 + 4 + 4;

// Model names are free text: '/' and '%' are escaped so that keys stay three words long.
std::string key_word(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                       c == '.' || c == ':';
    if (plain) out.push_back(c);
    else out += "%" + hex(std::string_view(&c, 1));
  }
  return out;
}

std::string plain_word(std::string_view word) {
  std::string out;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const auto byte = word[i] == '%' && i + 2 < word.size() ? from_hex(word.substr(i + 1, 2)) : std::nullopt;
    if (byte) i += 2;
    out += byte ? *byte : std::string(1, word[i]);
  }
  return out;
}

std::string digits(std::uint64_t value, int width) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*llu", width, static_cast<unsigned long long>(value));
  return text;
}

std::string key_of(std::string_view model, std::string_view name, std::uint32_t version) {
  return std::string(prefix) + key_word(model) + "/" + key_word(name) + "/" + digits(version, 10);
}

Status check_name(std::string_view name) {
  const bool good = !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
  if (good) return {};
  return fail(Code::invalid_input, "reference name " + json_quote(name) + ": 1 to 128 letters, digits, '-', '_' or '.'");
}

std::string encode_header(const Reference& r) {
  ByteWriter out;
  out.sized(r.name);
  out.varint(r.version);
  out.zigzag(r.created_ns);
  out.sized(r.source);
  out.sized(r.hash);
  out.varint(r.rows);
  out.varint(r.features.size());
  return out.take();
}

struct Head {
  std::uint32_t parts = 0;
  std::uint32_t crc = 0;
  ReferenceStore::Listed listed;
  std::size_t features_at = 0;
};

Result<Head> decode_head(std::string_view model, std::string_view key, std::string_view value) {
  const auto damaged = [&] { return fail(Code::corrupt, "reference " + std::string(key) + ": its header does not verify"); };
  ByteReader in(value);
  Head head;
  if (in.raw(4) != magic) return damaged();
  if (const int found = in.u8(); found != format)
    return fail(Code::unsupported, "reference " + std::string(key) + ": format " + std::to_string(found) +
                                       ", this version reads up to " + std::to_string(format));
  head.parts = in.le32();
  head.crc = in.le32();
  ByteReader meta(in.sized());
  Reference& r = head.listed.header;
  r.model = std::string(model);
  r.name = std::string(meta.sized());
  r.version = static_cast<std::uint32_t>(meta.varint());
  r.created_ns = meta.zigzag();
  r.source = std::string(meta.sized());
  r.hash = std::string(meta.sized());
  r.rows = meta.varint();
  head.listed.features = meta.varint();
  if (!in.ok() || !meta.ok() || head.parts == 0) return damaged();
  head.features_at = value.size() - in.left();
  return head;
}

}  // namespace

Result<std::shared_ptr<const Reference>> ReferenceStore::add(Reference reference) {
  PLUMBLINE_CHECK_OK(check_name(reference.name));
  if (reference.model.empty()) return fail(Code::invalid_input, "a model needs a name");
  const std::string content = encode_features(reference.features);
  reference.hash = hash128_hex(content);
  const std::string packed = zstd(content);
  if (content.size() > features_bytes_max || packed.size() > reference_bytes_max)
    return fail(Code::too_large, "the reference takes " + std::to_string(packed.size()) + " bytes compressed (" +
                                     std::to_string(content.size()) + " plain), the limits are " +
                                     std::to_string(reference_bytes_max) + " and " + std::to_string(features_bytes_max));
  Lock lock(mutex_);
  PLUMBLINE_CHECK_OK(load());
  reference.version = 1;
  for (const Listed& l : known_)
    if (l.header.model == reference.model && l.header.name == reference.name) reference.version = std::max(reference.version, l.header.version + 1);

  ByteWriter body;
  body.sized(encode_header(reference));
  body.raw(packed);
  const std::string bytes = body.take();
  const std::size_t first_room = part_bytes_max - head_bytes;
  const std::size_t rest = bytes.size() > first_room ? bytes.size() - first_room : 0;
  const auto parts = static_cast<std::uint32_t>(1 + (rest + part_bytes_max - 1) / part_bytes_max);
  ByteWriter first;
  first.raw(magic);
  first.u8(format);
  first.le32(parts);
  first.le32(crc32c(bytes));
  first.raw(std::string_view(bytes).substr(0, first_room));
  const std::string key = key_of(reference.model, reference.name, reference.version);
  std::vector<storage::StatePut> puts;
  puts.push_back({key, first.take()});
  for (std::uint32_t k = 1; k < parts; ++k)
    puts.push_back({key + "/" + digits(k, 5),
                    bytes.substr(first_room + (k - 1) * part_bytes_max, part_bytes_max)});
  PLUMBLINE_CHECK_OK(state_.put(std::move(puts)));
  Listed header{reference, reference.features.size()};
  header.header.features.clear();
  const auto after = std::find_if(known_.begin(), known_.end(), [&](const Listed& l) {
    return key_of(l.header.model, l.header.name, l.header.version) > key;
  });
  known_.insert(after, std::move(header));
  return std::make_shared<const Reference>(std::move(reference));
}

Status ReferenceStore::load() const {
  std::vector<Listed> out;
  Status broken;
  PLUMBLINE_CHECK_OK(state_.list(prefix, [&](std::string_view key, std::string_view value) {
    const std::string_view rest = key.substr(prefix.size());
    if (std::count(rest.begin(), rest.end(), '/') != 2) return true;  // a continuation
    auto head = decode_head(plain_word(rest.substr(0, rest.find('/'))), key, value);
    if (!head) {
      broken = fail(head.error());
      return false;
    }
    out.push_back(std::move(head->listed));
    return true;
  }));
  if (!broken) return broken;
  known_ = std::move(out);
  loaded_ = true;
  return {};
}

std::vector<ReferenceStore::Listed> ReferenceStore::of_model(const std::string& model) const {
  std::vector<Listed> out;
  for (const Listed& l : known_)
    if (model.empty() || l.header.model == model) out.push_back(l);
  return out;
}

Result<std::vector<ReferenceStore::Listed>> ReferenceStore::list(const std::string& model) const {
  Lock lock(mutex_);
  if (!loaded_) PLUMBLINE_CHECK_OK(load());
  return of_model(model);
}

Result<std::shared_ptr<const Reference>> ReferenceStore::find(const std::string& model, const std::string& id) const {
  std::string name = id;
  std::uint32_t version = 0;
  if (const std::size_t at = id.rfind('@'); at != std::string::npos) {
    name = id.substr(0, at);
    const auto number = parse_int(id.substr(at + 1));
    if (!number || *number < 1 || *number > 0xffffffffll)
      return fail(Code::invalid_input, "reference " + json_quote(id) + ": after '@' a version number is expected");
    version = static_cast<std::uint32_t>(*number);
  }
  std::string key;
  {
    Lock lock(mutex_);
    std::string have;
    for (int attempt = 0; key.empty() && attempt < 2; ++attempt) {
      if (attempt > 0 || !loaded_) PLUMBLINE_CHECK_OK(load());
      have.clear();
      for (const Listed& l : of_model(model)) {
        have += (have.empty() ? "" : ", ") + l.header.id();
        if (id.empty() && name.empty()) name = l.header.name;
        if (id.empty() && l.header.name != name)
          return fail(Code::invalid_input, "model " + json_quote(model) + " has several references: name one of them");
        if (l.header.name == name && (version == 0 || l.header.version == version))
          key = key_of(model, name, l.header.version);  // in version order: the last is the newest
      }
    }
    if (key.empty())
      return fail(Code::not_found,
                  (id.empty() ? std::string("no reference") : "no reference " + json_quote(id)) + " of model " +
                      json_quote(model) + "; " +
                      (have.empty() ? "none is stored for it (POST /api/v1/models/<model>/references)"
                                    : "known are " + have));
    const auto cached = std::find_if(cache_.begin(), cache_.end(), [&](const auto& c) { return c.first == key; });
    if (cached != cache_.end()) {
      std::rotate(cache_.begin(), cached, cached + 1);
      return cache_.front().second;
    }
  }
  std::string bytes;
  Head head;
  for (std::uint32_t k = 0; k == 0 || k < head.parts; ++k) {
    PLUMBLINE_TRY(const std::optional<std::string> part, state_.get(k == 0 ? key : key + "/" + digits(k, 5)));
    if (!part) return fail(Code::corrupt, "reference " + key + ": part " + std::to_string(k) + " is missing");
    if (k == 0) {
      PLUMBLINE_TRY(head, decode_head(model, key, *part));
      bytes = part->substr(head_bytes);
    } else {
      bytes += *part;
    }
  }
  if (crc32c(bytes) != head.crc) return fail(Code::corrupt, "reference " + key + ": its checksum does not verify");
  PLUMBLINE_TRY(const std::string content,
                unzstd(std::string_view(bytes).substr(head.features_at - head_bytes), features_bytes_max));
  auto loaded = std::make_shared<Reference>(std::move(head.listed.header));
  auto features = decode_features(content);
  if (!features) return fail(features.error().in("reference " + key));
  loaded->features = std::move(*features);
  Lock lock(mutex_);
  cache_.insert(cache_.begin(), {key, loaded});
  if (cache_.size() > references_cached_max) cache_.pop_back();
  return loaded;
}

}  // namespace plumbline::query::ml
