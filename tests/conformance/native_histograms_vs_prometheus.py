#!/usr/bin/python3
"""Writes the same native histograms to Prometheus and to Plumbline by remote write, and asks both the same questions.

    native_histograms_vs_prometheus.py REFERENCE_URL CANDIDATE_URL [--seed N]
Prometheus needs --enable-feature=native-histograms --web.enable-remote-write-receiver; both must be empty before. Prints
"agree N of M, E differences explained"; exit status 0 when all others are explained.

Debian's 2.42 is the reference: what later versions define otherwise is not asked (quantiles and fractions inside a bucket, windows
with a sample on their left edge, averages, operators with scalars). Bounds and counts are compared within 1e-9, the rest exactly.
Three differences that are wanted are asked, and held against what explains them (explanation()).
"""
import argparse
import json
import math
import os
import random
import re
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from prometheus_api import ask, remote_write
from wire import field, varint

STALE = b"\x02\x00\x00\x00\x00\x00\xf0\x7f"


def zigzag(v):
    return varint((v << 1) ^ (v >> 63) if v >= 0 else ((-v) << 1) - 1)


def tag(number, wire):
    return varint(number << 3 | wire)


def double(number, v):
    return tag(number, 1) + (STALE if v is None else struct.pack("<d", v))


def spans_of(buckets):
    """[(offset, length)] and the counts, of {index: count}."""
    spans, counts, reached = [], [], 0
    for index in sorted(buckets):
        if not spans or index != reached:
            spans.append([index - reached, 0])
        spans[-1][1] += 1
        counts.append(buckets[index])
        reached = index + 1
    return spans, counts


def side(spans_tag, deltas_tag, buckets):
    spans, counts = spans_of(buckets)
    out = b"".join(field(spans_tag, tag(1, 0) + zigzag(o) + tag(2, 0) + varint(n)) for o, n in spans)
    deltas, before = b"", 0
    for c in counts:
        deltas += zigzag(c - before)
        before = c
    return out + (field(deltas_tag, deltas) if counts else b"")


def encode_histogram(t, h):
    if h is None:
        return double(3, None) + tag(15, 0) + varint(t)
    out = tag(1, 0) + varint(h["zero"] + sum(h["positive"].values()) + sum(h["negative"].values()))
    out += double(3, h["sum"]) + tag(4, 0) + zigzag(h["schema"]) + double(5, h["threshold"]) + tag(6, 0) + varint(h["zero"])
    out += side(8, 9, h["negative"]) + side(11, 12, h["positive"])
    return out + tag(15, 0) + varint(t)


def push(url, series, encode=encode_histogram):
    body = b""
    for labels, samples in series:
        message = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))
        message += b"".join(field(4, encode(t, h)) for t, h in samples)
        body += field(1, message)
    remote_write(url, body)


def make_data(rng, start_ms, steps):
    series = []
    for number in range(8):
        schema = rng.choice([-1, 0, 1, 3, 8])
        state = {"schema": schema, "threshold": rng.choice([0.0, 1e-128, 0.001]), "zero": 0, "sum": 0.0,
                 "positive": {}, "negative": {}}
        samples = []
        for i in range(steps):
            t = start_ms + i * 15000 + 137
            if rng.random() < 0.03:
                state = dict(state, zero=0, sum=0.0, positive={}, negative={})
            if rng.random() < 0.03:
                continue
            if i == steps // 2 and number == 7:
                samples.append((t, None))
                break
            state = dict(state, positive=dict(state["positive"]), negative=dict(state["negative"]))
            for _ in range(rng.randint(0, 6)):
                at = rng.choice(["positive", "positive", "negative"])
                index = rng.randint(-4, 12)
                state[at][index] = state[at].get(index, 0) + rng.randint(1, 20)
            state["zero"] += rng.randint(0, 2)
            state["sum"] = round(state["sum"] + rng.uniform(0, 100), 3)
            samples.append((t, state))
        series.append(({"__name__": "lat", "i": str(number), "job": "ab"[number % 2]}, samples))
    return series


QUERIES = ["lat", 'lat{job="a"}', 'lat{i="7"}', "rate(lat[2m])", "increase(lat[5m])", "rate(lat[47s])", "sum(lat)",
           "sum by (job) (lat)", "sum without (i) (rate(lat[5m]))", "histogram_count(lat)", "histogram_sum(lat)",
           "histogram_count(rate(lat[5m]))", "histogram_sum(sum by (job) (rate(lat[5m])))", "count(lat)", "group by (job) (lat)",
           "lat offset 1m", "count_over_time(lat[5m])", "histogram_quantile(1, lat)", "histogram_quantile(0, lat)",
           "histogram_fraction(-Inf, +Inf, lat)", "histogram_fraction(0, 4, sum(lat))"]


def close(a, b):
    if isinstance(a, str) and isinstance(b, str):
        try:
            x, y = float(a), float(b)
        except ValueError:
            return a == b
        return x == y or (math.isnan(x) and math.isnan(y)) or abs(x - y) <= 1e-9 * max(abs(x), abs(y))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    return a == b


def result(answer):
    if answer.get("status") != "success":
        return answer.get("errorType")
    data = answer["data"]["result"]
    return sorted(data, key=lambda s: json.dumps(s["metric"], sort_keys=True)) if isinstance(data, list) else data


def points(answer):
    """{(labels, time): value or histogram} of an instant or a range result."""
    out = {}
    for series in answer if isinstance(answer, list) else []:
        labels = tuple(sorted(series["metric"].items()))
        pairs = [series[k] for k in ("value", "histogram") if k in series] + series.get("values", []) + series.get("histograms", [])
        out.update({(labels, t): value for t, value in pairs})
    return out


def numbers(value):
    """Count, sum and the buckets' counts of a histogram, or the value alone; bounds are no counts."""
    if isinstance(value, str):
        return [float(value)]
    return [float(value["count"]), float(value["sum"])] + [float(b[3]) for b in value.get("buckets", [])]


def total_of(h):
    return h["zero"] + sum(h["positive"].values()) + sum(h["negative"].values())


def was_reset(before, now):
    return any(now[side].get(i, 0) < n for side in ("positive", "negative") for i, n in before[side].items()) or now["zero"] < before["zero"]


def stretch_ratio(samples, t_ms, range_ms):
    """How much less than 2.42, Prometheus 3 extrapolates a window: it stops where the count would be zero. None: no rate."""
    window = [(t, h) for t, h in samples if t_ms - range_ms < t <= t_ms and h is not None]
    if len(window) < 2:
        return None
    increase = total_of(window[-1][1]) - total_of(window[0][1])
    for (_, before), (_, now) in zip(window, window[1:]):
        if was_reset(before, now):
            increase += total_of(before)
    sampled = window[-1][0] - window[0][0]
    average = sampled / (len(window) - 1)
    to_start, to_end = window[0][0] - (t_ms - range_ms), t_ms - window[-1][0]
    to_start, to_end = (d if d < 1.1 * average else average / 2 for d in (to_start, to_end))
    to_zero = sampled * total_of(window[0][1]) / increase if increase > 0 else to_start
    return (sampled + min(to_start, to_zero) + to_end) / (sampled + to_start + to_end)


def explanation(query, data, left, right):
    """Why the two may differ here, when every number of the difference is as the reason says; else None."""
    theirs, ours = points(left), points(right)
    if not ours or theirs.keys() != ours.keys():
        return None
    different = [key for key in theirs if not close(theirs[key], ours[key])]
    if query.startswith("histogram_quantile(0,"):
        # 2.42 answers NaN for the quantile 0 of a histogram; later versions the lowest bound.
        nan = all(theirs[key] == "NaN" and math.isfinite(float(ours[key])) for key in different)
        return "the quantile 0 is NaN in 2.42" if nan else None
    if query == "histogram_quantile(1, lat)":
        # A zero bucket with negative observations alone beside it ends at 0; Prometheus' chunk may hold positive buckets for later
        # samples, empty as yet, and then it ends at its threshold.
        for labels, t in different:
            h = [h for names, samples in data if tuple(sorted(names.items())) == tuple(sorted({"__name__": "lat", **dict(labels)}.items()))
                 for at, h in samples if at <= t * 1000 and h][-1]
            if sum(h["positive"].values()) > 0 or sum(h["negative"].values()) == 0:
                return None
            if float(theirs[labels, t]) != h["threshold"] or float(ours[labels, t]) != 0:
                return None
        return "an empty bucket of the reference's chunk widens the zero bucket"
    rate = re.search(r"(?:rate|increase)\(lat\[(\d+)(s|m)\]\)", query)
    if not rate:
        return None
    range_ms = int(rate[1]) * {"s": 1, "m": 60}[rate[2]] * 1000
    for key in different:
        labels, t = key
        ratios = [stretch_ratio(samples, t * 1000, range_ms) for names, samples in data
                  if all(names.get(k) == v for k, v in labels)]
        ratios = [r for r in ratios if r is not None]
        a, b = numbers(theirs[key]), numbers(ours[key])
        if not ratios or min(ratios) > 1 - 1e-9 or len(a) != len(b):
            return None
        if not all(min(ratios) * x * (1 - 1e-9) <= y <= max(ratios) * x * (1 + 1e-9) for x, y in zip(a, b)):
            return None
    return "rates of histograms stop at zero since 3.0"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("reference")
    parser.add_argument("candidate")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 30)
    rng = random.Random(seed)
    steps = 60
    start = int(time.time() - steps * 15 - 60) // 60 * 60 * 1000
    data = make_data(rng, start, steps)
    for url in (options.reference, options.candidate):
        push(url, data)
    agree = total = 0
    explained = {}
    end = start // 1000 + steps * 15
    for query in QUERIES:
        for path, parameters in (
                [("/api/v1/query", {"query": query, "time": start // 1000 + rng.randint(60, steps * 15)}) for _ in range(10)]
                + [("/api/v1/query_range", {"query": query, "start": start // 1000, "end": end, "step": step}) for step in (15, 60)]):
            left = result(ask(options.reference, path, parameters))
            right = result(ask(options.candidate, path, parameters))
            total += 1
            if close(left, right):
                agree += 1
                continue
            reason = explanation(query, data, left, right)
            if reason:
                explained[reason] = explained.get(reason, 0) + 1
            else:
                print(f"--- {path} {parameters}\n  reference {json.dumps(left)[:600]}\n  candidate {json.dumps(right)[:600]}")
    for reason, count in sorted(explained.items()):
        print(f"explained {count}: {reason}")
    print(f"agree {agree} of {total}, {sum(explained.values())} differences explained (seed {seed})")
    return 0 if agree + sum(explained.values()) == total else 1


if __name__ == "__main__":
    sys.exit(main())
