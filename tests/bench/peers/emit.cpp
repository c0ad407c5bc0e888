#include <algorithm>

#include "tests/bench/peers/traffic.hpp"

namespace plumbline::bench {
namespace {

constexpr std::int64_t hour_ms = 3'600'000;

// Time of the first scrape round, before offset and jitter.
std::int64_t start_of(const Workload& w, std::int64_t end_ms) {
  const std::int64_t last = end_ms - (end_ms % 15'000) - 15'000;
  return last - (w.scrapes - 1) * w.interval_ms;
}

std::int64_t jitter(Random& random) { return static_cast<std::int64_t>(random.below(5)); }

// Seven series, spread over the targets.
void watch_some(const Workload& w, Random& random, Ledger& ledger) {
  for (int i = 0; i < 7; ++i) {
    const std::size_t t = random.below(w.targets.size());
    const std::size_t s = random.below(w.targets[t].raw.size());
    ledger.watch(selector(w.targets[t].labels[s]), t, s);
  }
}

std::vector<std::size_t> by_offset(const Workload& w) {
  std::vector<std::size_t> order(w.targets.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t x, std::size_t y) {
    return std::pair(w.targets[x].offset_ms, x) < std::pair(w.targets[y].offset_ms, y);
  });
  return order;
}

}  // namespace

void emit_in_order(Workload& w, std::uint64_t seed, std::int64_t end_ms, RequestWriter& writer, Ledger& ledger) {
  Random random(seed + 1);
  watch_some(w, random, ledger);
  const std::int64_t start = start_of(w, end_ms);
  const auto order = by_offset(w);
  std::vector<double> values;
  for (std::int64_t scrape = 0; scrape < w.scrapes; ++scrape) {
    for (const std::size_t t : order) {
      Target& target = w.targets[t];
      const std::int64_t time = start + scrape * w.interval_ms + target.offset_ms + jitter(random);
      target.scrape(random, values);
      for (std::size_t s = 0; s < values.size(); ++s) {
        writer.add(t, target.raw[s], time, values[s]);
        ledger.wrote(t, s, time, values[s]);
      }
    }
  }
}

void emit_disorder(Workload& w, std::uint64_t seed, std::int64_t end_ms, RequestWriter& writer, Ledger& ledger) {
  Random random(seed + 1);
  watch_some(w, random, ledger);
  const std::int64_t start = start_of(w, end_ms);
  struct Arrival {
    std::int64_t at;      // when it is sent; ties in the order they were made
    std::uint32_t order;
    std::uint32_t scrape;  // of `scrapes`
    std::int32_t series;   // only this one; -1: all but those that are sent wrong at first
  };
  struct Scrape {
    std::size_t target;
    std::int64_t time;
    std::vector<double> values;
    std::vector<std::uint32_t> wrong;  // series whose first value is off by one
  };
  std::vector<Scrape> scrapes;
  std::vector<Arrival> arrivals;
  std::uint64_t distinct = 0;
  for (std::int64_t n = 0; n < w.scrapes; ++n) {
    for (std::size_t t = 0; t < w.targets.size(); ++t) {
      Scrape scrape{t, start + n * w.interval_ms + w.targets[t].offset_ms + jitter(random), {}, {}};
      w.targets[t].scrape(random, scrape.values);
      distinct += scrape.values.size();
      const auto index = static_cast<std::uint32_t>(scrapes.size());
      const auto late = [&] { return static_cast<std::int64_t>(random.below(12 * hour_ms)); };
      const std::int64_t at = scrape.time + late();
      arrivals.push_back({at, static_cast<std::uint32_t>(arrivals.size()), index, -1});
      for (std::uint32_t s = 0; s < scrape.values.size(); ++s) {
        const std::uint64_t dice = random.below(100);
        if (dice > 1) continue;
        if (dice == 1) scrape.wrong.push_back(s);
        arrivals.push_back({at + late() / 12, static_cast<std::uint32_t>(arrivals.size()), index, static_cast<std::int32_t>(s)});
      }
      scrapes.push_back(std::move(scrape));
    }
  }
  std::sort(arrivals.begin(), arrivals.end(),
            [](const Arrival& x, const Arrival& y) { return std::pair(x.at, x.order) < std::pair(y.at, y.order); });
  for (const Arrival& a : arrivals) {
    const Scrape& scrape = scrapes[a.scrape];
    const Target& target = w.targets[scrape.target];
    const auto send = [&](std::size_t s, double value) {
      writer.add(scrape.target, target.raw[s], scrape.time, value);
      ledger.wrote(scrape.target, s, scrape.time, value);
    };
    if (a.series >= 0) {
      send(static_cast<std::size_t>(a.series), scrape.values[static_cast<std::size_t>(a.series)]);
      continue;
    }
    auto wrong = scrape.wrong.begin();
    for (std::size_t s = 0; s < scrape.values.size(); ++s) {
      const bool off = wrong != scrape.wrong.end() && *wrong == s;
      if (off) ++wrong;
      send(s, scrape.values[s] + (off ? 1.0 : 0.0));
    }
  }
  ledger.distinct(distinct);
}

void emit_blocks(Workload& w, std::uint64_t seed, std::int64_t end_ms, RequestWriter& writer, Ledger& ledger) {
  Random random(seed + 1);
  watch_some(w, random, ledger);
  constexpr std::int64_t block = 50;
  const std::int64_t start = start_of(w, end_ms);
  std::vector<double> values;
  std::vector<std::int64_t> times;
  std::vector<std::vector<double>> columns;
  for (std::int64_t from = 0; from < w.scrapes; from += block) {
    const std::int64_t until = std::min(w.scrapes, from + block);
    for (std::size_t t = 0; t < w.targets.size(); ++t) {
      Target& target = w.targets[t];
      times.clear();
      columns.assign(target.raw.size(), {});
      for (std::int64_t n = from; n < until; ++n) {
        times.push_back(start + n * w.interval_ms + target.offset_ms + jitter(random));
        target.scrape(random, values);
        for (std::size_t s = 0; s < values.size(); ++s) {
          columns[s].push_back(values[s]);
          ledger.wrote(t, s, times.back(), values[s]);
        }
      }
      for (std::size_t s = 0; s < columns.size(); ++s) writer.add(t, target.raw[s], times.data(), columns[s].data(), times.size());
    }
  }
}

}  // namespace plumbline::bench
