#include <algorithm>
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
    for (std::size_t p = 0; p < file_.index().histograms.size(); ++p)
      if (const Status status = histograms(p); !status) problems_.push_back(status.error().message);
    const SegmentInfo& info = file_.info();
    if (problems_.empty()) {  // else series are missing for a reason that was told
      if (!((seen_ | seen_histograms_) == file_.ids())) tell("the series found are not those of the info record");
      if (!(seen_histograms_ == file_.histogram_ids()))
        tell("the series found with histograms are not those of the info record");
      if (histograms_ != info.histograms)
        tell("info record counts " + std::to_string(info.histograms) + " histograms, there are " + std::to_string(histograms_));
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
    PLUMBLINE_TRY(const SharedTimes shared, walk_.times(directory.times[directory.times_of[c]]));
    const std::vector<std::int64_t>& times = *shared;
    PLUMBLINE_TRY(const auto values, walk_.values(g, c, directory.summaries.size(), info.count));
    if (previous_t_ && *previous_t_ >= times.front()) tell(series + "chunks overlap");
    previous_t_ = times.back();
    if (day_of(times.front()) != file_.info().day || day_of(times.back()) != file_.info().day)
      tell(series + "samples of another day");
    if (const char* what = difference(info.summary, summarize(values)))
      tell(series + "chunk " + std::to_string(c) + ": the summary's " + what + " is not that of the samples");
    count(times.size(), times.front(), times.back());
    return {};
  }

  void count(std::size_t samples, std::int64_t min_t, std::int64_t max_t) {
    if (samples_ == 0 || min_t < min_t_) min_t_ = min_t;
    if (samples_ == 0 || max_t > max_t_) max_t_ = max_t;
    samples_ += samples;
  }

  // Blocks of one series stand together, in the order of time, and share no time with its floats.
  Status histograms(std::size_t p) {
    PLUMBLINE_TRY(const HistogramRecord record, walk_.histograms(p));
    const std::string where = "histograms record " + std::to_string(file_.index().histograms[p].number) + ": series ";
    for (const HistogramRecord::Block& block : record.blocks()) {
      const std::string series = where + std::to_string(block.series.id) + ": ";
      const bool again = last_histogram_ && *last_histogram_ == block.series;
      if (!again && !seen_histograms_.addChecked(block.series.id)) tell(series + "stands twice");
      if (again && block.min_t <= previous_histogram_t_) tell(series + "blocks overlap");
      last_histogram_ = block.series;
      previous_histogram_t_ = block.max_t;
      std::vector<model::HistogramSample> samples;
      if (const Status status = record.read(block, samples); !status) {
        tell(where + status.error().message);
        continue;
      }
      for (const model::HistogramSample& s : samples)
        if (const Status sound = model::check_histogram(s.h); !sound) {
          tell(series + sound.error().message);
          break;
        }
      if (day_of(block.min_t) != file_.info().day || day_of(block.max_t) != file_.info().day) tell(series + "samples of another day");
      const SeriesRef ref = block.series;
      bool shared = false;
      PLUMBLINE_CHECK_OK(file_.read({&ref, 1}, {block.min_t, block.max_t}, [&](const SegmentChunk& chunk) -> Status {
        PLUMBLINE_TRY(const auto times, chunk.times());
        for (const model::HistogramSample& s : samples) shared |= std::ranges::binary_search(times, s.t);
        return {};
      }));
      if (shared) tell(series + "a float and a histogram at one time");
      count(samples.size(), block.min_t, block.max_t);
      histograms_ += samples.size();
      if (problems_.size() > problems_max) return {};
    }
    return {};
  }

  const SegmentFile& file_;
  SegmentWalk walk_;
  std::vector<std::string> problems_;
  Roaring seen_;
  std::optional<SeriesRef> last_;
  std::optional<std::int64_t> previous_t_;  // of the series
  Roaring seen_histograms_;
  std::optional<SeriesRef> last_histogram_;
  std::int64_t previous_histogram_t_ = 0;
  std::uint64_t histograms_ = 0;
  std::uint64_t samples_ = 0;
  std::int64_t min_t_ = 0;
  std::int64_t max_t_ = 0;
};

}  // namespace

std::vector<std::string> SegmentFile::verify() const { return Verifier(*this).run(); }

}  // namespace plumbline::storage::series
