#include <cmath>
#include <optional>

#include "storage/series/segment_file.hpp"

namespace plumbline::storage::series {

namespace {

constexpr std::size_t problems_max = 1000;

bool same(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }
bool close(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b || std::fabs(a - b) <= 1e-12 * std::fmax(std::fabs(a), std::fabs(b));
}

const char* difference(const ChunkSummary& a, const ChunkSummary& b) {
  if (a.count != b.count) return "count";
  if (a.has_stale != b.has_stale) return "has_stale";
  if (a.count == 0) return nullptr;
  if (!same(a.first, b.first)) return "first";
  if (!same(a.last, b.last)) return "last";
  if (!same(a.min, b.min) && !(std::isnan(a.min) && std::isnan(b.min))) return "min";
  if (!same(a.max, b.max) && !(std::isnan(a.max) && std::isnan(b.max))) return "max";
  if (!close(a.sum, b.sum)) return "sum";
  if (!close(a.reset_correction, b.reset_correction)) return "reset_correction";
  return nullptr;
}

class Verifier {
 public:
  explicit Verifier(const SegmentFile& file) : file_(file), walk_(file) {}

  std::vector<std::string> run() {
    if (const Status status = file_.table().verify(); !status) tell("blocks: " + status.error().message);
    for (std::size_t g = 0; g < file_.index().groups.size(); ++g)
      if (const Status status = group(g); !status) problems_.push_back(status.error().message);
    const SegmentInfo& info = file_.info();
    if (problems_.empty()) {  // else series are missing for a reason that was told
      if (!(seen_ == file_.ids())) tell("the series found are not those of the info record");
      if (samples_ != info.samples)
        tell("info record counts " + std::to_string(info.samples) + " samples, there are " + std::to_string(samples_));
      if (min_t_ != info.min_t || max_t_ != info.max_t) tell("the info record's times are not those of the samples");
    }
    if (problems_.size() > problems_max) problems_.resize(problems_max);
    return std::move(problems_);
  }

 private:
  void tell(const std::string& what) { problems_.push_back("segment " + file_.info().name + ": " + what); }

  Status group(std::size_t g) {
    PLUMBLINE_TRY(DirectoryDecoder decoder, walk_.directory(g));
    PLUMBLINE_TRY(const Directory directory, walk_.finish(g, std::move(decoder)));
    PLUMBLINE_CHECK_OK(walk_.open_payload(g, directory.summaries.size()));
    const std::string where = "directory record " + std::to_string(file_.index().groups[g].number) + ": series ";
    for (std::size_t s = 0; s < directory.series.size(); ++s) {
      const SeriesRef ref = directory.series[s];
      const std::string series = where + std::to_string(ref.id) + ": ";
      const bool again = last_ && *last_ == ref;  // goes on from the group before
      if (!again && !seen_.addChecked(ref.id)) tell(series + "stands twice");
      if (!again) previous_t_.reset();
      last_ = ref;
      for (std::size_t c = directory.first_chunk[s]; c < directory.first_chunk[s + 1]; ++c)
        if (const Status status = chunk(g, directory, s, c, series); !status)
          tell(series + "chunk " + std::to_string(c) + ": " + status.error().message);
      if (problems_.size() > problems_max) return {};
    }
    return {};
  }

  Status chunk(std::size_t g, const Directory& directory, std::size_t s, std::size_t c, const std::string& series) {
    const ChunkInfo info = directory.chunk(s, c);
    PLUMBLINE_TRY(const auto times, walk_.times(directory.times[directory.times_of[c]]));
    PLUMBLINE_TRY(const auto values, walk_.values(g, c, info.count));
    if (previous_t_ && *previous_t_ >= times.front()) tell(series + "chunks overlap");
    previous_t_ = times.back();
    if (day_of(times.front()) != file_.info().day || day_of(times.back()) != file_.info().day)
      tell(series + "samples of another day");
    if (const char* what = difference(info.summary, summarize(values)))
      tell(series + "chunk " + std::to_string(c) + ": the summary's " + what + " is not that of the samples");
    if (samples_ == 0 || times.front() < min_t_) min_t_ = times.front();
    if (samples_ == 0 || times.back() > max_t_) max_t_ = times.back();
    samples_ += times.size();
    return {};
  }

  const SegmentFile& file_;
  SegmentWalk walk_;
  std::vector<std::string> problems_;
  Roaring seen_;
  std::optional<SeriesRef> last_;
  std::optional<std::int64_t> previous_t_;  // of the series
  std::uint64_t samples_ = 0;
  std::int64_t min_t_ = 0;
  std::int64_t max_t_ = 0;
};

}  // namespace

std::vector<std::string> SegmentFile::verify() const { return Verifier(*this).run(); }

}  // namespace plumbline::storage::series
