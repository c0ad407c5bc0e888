#!/usr/bin/python3
"""Asks Prometheus and Plumbline the same questions about the same data and counts how often they agree.

Both servers must accept remote write 1.0 (Prometheus: --web.enable-remote-write-receiver) and be empty before.
    promql_vs_prometheus.py REFERENCE_URL CANDIDATE_URL [--queries N] [--seed N] [--verbose]
Prints "agree N of M"; exit status 0 when all agree but for the differences of EXPLAINED.

With stats=all (Prometheus: --enable-feature=promql-per-step-stats) the samples that each step looks at must agree, too, and their
sum; peakSamples is each server's own.

The reference may be older than 3.0, whose range windows also hold the sample on their left edge. So samples stand at odd
milliseconds, and evaluation times and ranges are whole seconds: no sample ever lies on an edge.
"""
import argparse
import collections
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

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def encode_series(labels, samples):
    out = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))
    for t, v in samples:
        bits = b"\x02\x00\x00\x00\x00\x00\xf0\x7f" if v is STALE else struct.pack("<d", v)
        out += field(2, b"\x09" + bits + b"\x10" + varint(t))
    return field(1, out)


def push(url, series):
    remote_write(url, b"".join(encode_series(l, s) for l, s in series))


def make_data(rng, start_ms, steps):
    """Counters with resets and gaps, gauges with NaN and infinities, classic histograms, a vanishing series."""
    series = []
    times = [start_ms + i * 15000 + rng.choice([137, 251, 389]) for i in range(steps)]

    def walk(labels, make):
        samples = []
        for t in times:
            v = make()
            if v is not None:
                samples.append((t, v))
        series.append((labels, samples))

    for job in ("api", "db"):
        for instance in ("1", "2", "3"):
            base = {"job": job, "instance": instance}
            # Counters stay far from zero: 2.42 clamps the extrapolation to zero before the half-interval rule, 3.x after it.
            # tests/scripts/promql holds hand-computed cases of that edge.
            state = {"c": 5000.0, "g": 50.0}

            def counter():
                if rng.random() < 0.03:
                    return None
                state["c"] = 2000.0 if rng.random() < 0.02 else state["c"] + rng.randint(0, 40)
                return state["c"]

            def gauge():
                state["g"] += rng.uniform(-5, 5)
                return {0: math.nan, 1: math.inf, 2: -math.inf}.get(rng.randint(0, 150), round(state["g"], 3))

            walk({"__name__": "req_total", **base}, counter)
            walk({"__name__": "temp", **base}, gauge)
            walk({"__name__": "flat", **base}, lambda: 7.0)
            counts = [1000, 1000, 1000, 1000]
            samples = {le: [] for le in ("0.1", "0.5", "1", "+Inf")}
            for t in times:
                total = 0
                for i, le in enumerate(samples):
                    counts[i] += rng.randint(0, 9)
                    total += counts[i]
                    samples[le].append((t, float(total)))
            for le, s in samples.items():
                series.append(({"__name__": "lat_bucket", "le": le, **base}, s))
    series.append(({"__name__": "gone", "job": "api"}, [(t, 1.0) for t in times[:steps // 2]] + [(times[steps // 2], STALE)]))
    return series


SELECTORS = ["req_total", "temp", "flat", "lat_bucket", "gone", "missing", 'req_total{job="api"}',
             'temp{instance=~"1|2"}', 'temp{instance!="3"}', 'flat{job!~"d.*"}', '{__name__="temp",job="db"}']
RANGES = ["1m", "2m", "5m", "10m", "47s"]
RANGE_FUNCTIONS = ["rate", "increase", "delta", "irate", "idelta", "deriv", "changes", "resets", "sum_over_time",
                   "avg_over_time", "min_over_time", "max_over_time", "count_over_time", "last_over_time",
                   "present_over_time", "stddev_over_time", "stdvar_over_time", "absent_over_time"]
# Not tan, exp, sinh, cosh and %, except in the corpus: they blow up the last bit, in which Go's math library and C's differ.
FUNCTIONS = ["abs", "ceil", "floor", "round", "sgn", "sqrt", "ln", "log2", "log10", "sin", "cos", "atan", "tanh", "asinh", "deg", "rad", "absent", "timestamp", "minute", "hour", "day_of_week"]
AGGREGATIONS = ["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"]
GROUPINGS = ["", " by (job)", " by (job, instance)", " without (instance)", " by (le)", " without (job, le)"]
OPERATORS = ["+", "-", "*", "/", "==", "!=", "<", ">", "<=", ">=", "== bool", "> bool", "atan2"]

CORPUS = [
    'sum by (job) (rate(req_total[5m]))', 'histogram_quantile(0.9, sum by (le, job) (rate(lat_bucket[5m])))',
    'histogram_quantile(0.5, rate(lat_bucket[2m]))', 'topk(2, req_total)', 'bottomk by (job) (1, flat + temp)',
    'quantile by (job) (0.7, temp)', 'quantile_over_time(0.3, temp[5m])', 'predict_linear(temp[5m], 600)',
    'count_values("v", flat)', 'req_total / ignoring(instance) group_left sum without (instance) (req_total)',
    'temp * on(job, instance) group_left flat', 'max_over_time(rate(req_total[1m])[5m:30s] offset 500ms)', 'req_total % 7', 'tan(flat)', 'exp(flat)', 'sinh(flat)', 'cosh(flat)',
    'avg_over_time(temp[10m] offset 1m)', 'temp and on(instance) req_total > 100', 'flat or vector(1)',
    'temp unless on(job) gone', 'label_replace(flat, "x", "$1-$2", "instance", "(.)(.*)")',
    'label_join(flat, "x", "/", "job", "instance")', 'clamp(temp, 40, 60)', 'clamp_min(temp, 50)', 'time() - timestamp(temp)',
    'scalar(sum(flat)) * 2', 'vector(time())', '-temp', '2 ^ 3 ^ 2', 'sum(temp) by (job) > bool 100',
    'absent(missing{job="x"})', 'absent_over_time(gone[1m])', 'rate(req_total[5m] @ end())', 'flat offset -1m',
    'sum(flat) + on() group_left vector(1)', 'holt(1)', 'sum(', 'flat + on(job) temp', 'temp + on() temp',
]


def expression(rng, depth):
    if depth == 0:
        return rng.choice(SELECTORS) + rng.choice(["", "", "", " offset 1m", " offset 37s"])
    kind = rng.randint(0, 7)
    if kind <= 1:
        return f"{rng.choice(AGGREGATIONS)}{rng.choice(GROUPINGS)} ({expression(rng, depth - 1)})"
    if kind <= 3:
        return f"{rng.choice(RANGE_FUNCTIONS)}({rng.choice(SELECTORS)}[{rng.choice(RANGES)}])"
    if kind == 4:
        return f"{rng.choice(FUNCTIONS)}({expression(rng, depth - 1)})"
    if kind == 5:
        return f"({expression(rng, depth - 1)} {rng.choice(OPERATORS)} {expression(rng, depth - 1)})"
    if kind == 6:
        return f"({expression(rng, depth - 1)} {rng.choice(['and', 'or', 'unless'])} on(job) {expression(rng, depth - 1)})"
    return f"({expression(rng, depth - 1)} {rng.choice(OPERATORS[:4])} {rng.choice(['2', '0.5', '-1'])})"


# Where 3.x answers otherwise than 2.42 on purpose. Each: what the query holds, what the difference says, why.
EXPLAINED = [
    (r"std(dev|var).*(exp|ln|log|sin|cos|tan|atan)", r"e-\d\d against .*e-\d\d$", "a deviation made of the last bits of Go's and C's math library"),
    ("atan2", r"series differ: .*__name__", "2.42 keeps the metric name after atan2; 3.x drops it as after any arithmetic"),
    (r"minute|hour|day_of_week", r" against NaN$|series differ", "calendar functions of NaN and infinities: Go's conversion is arbitrary, NaN here"),
    (r"std(dev|var)", r": [01] against NaN$", "the deviation of one infinity is NaN in 3.x, 0 in 2.42"),
]


def explanation(text, difference):
    for query, words, reason in EXPLAINED:
        if re.search(query, text) and re.search(words, difference):
            return reason
    return None


def close(a, b):
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    return x == y or abs(x - y) <= 1e-12 * max(abs(x), abs(y))


def same(left, right):
    if left["status"] != right["status"]:
        return f'{left["status"]} ({left.get("error", "")}) against {right["status"]} ({right.get("error", "")})'
    if left["status"] == "error":
        return "" if left["errorType"] == right["errorType"] else f'{left["errorType"]} against {right["errorType"]}'
    a, b = left["data"], right["data"]
    if a["resultType"] != b["resultType"]:
        return f'{a["resultType"]} against {b["resultType"]}'
    if a["resultType"] in ("scalar", "string"):
        return "" if a["result"][0] == b["result"][0] and close(a["result"][1], b["result"][1]) else "values differ"
    key = lambda s: json.dumps(s["metric"], sort_keys=True)
    one, two = {key(s): s for s in a["result"]}, {key(s): s for s in b["result"]}
    if one.keys() != two.keys():
        return f"series differ: {sorted(one.keys() ^ two.keys())[:3]}"
    for k, s in one.items():
        p = s.get("values") or [s["value"]]
        q = two[k].get("values") or [two[k]["value"]]
        if [t for t, _ in p] != [t for t, _ in q]:
            return f"times of {k} differ"
        for (t, x), (_, y) in zip(p, q):
            if not close(x, y):
                return f"{k} at {t}: {x} against {y}"
    return ""


def samples_of(answer):
    """{time: samples} and their sum as the server gives it."""
    samples = answer["data"]["stats"]["samples"]
    return {float(t): n for t, n in samples["totalQueryableSamplesPerStep"]}, samples["totalQueryableSamples"]


def same_stats(left, right):
    (theirs, their_total), (ours, our_total) = samples_of(left), samples_of(right)
    if theirs == ours and their_total == our_total:
        return ""
    steps = [(t, theirs.get(t), ours.get(t)) for t in sorted(theirs.keys() | ours.keys()) if theirs.get(t) != ours.get(t)]
    return f"samples {their_total} against {our_total}; (time, theirs, ours) at {len(steps)} steps: {steps[:3]}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("reference")
    arguments.add_argument("candidate")
    arguments.add_argument("--queries", type=int, default=400)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--verbose", action="store_true")
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    print(f"seed {options.seed}")

    steps = 160
    end = int(time.time()) // 60 * 60 - 60
    start = end - steps * 15
    data = make_data(rng, start * 1000, steps)
    urls = [options.reference.rstrip("/"), options.candidate.rstrip("/")]
    for url in urls:
        push(url, data)

    queries = CORPUS + [expression(rng, rng.randint(1, 3)) for _ in range(options.queries)]
    agree = total = samples = 0
    explained = collections.Counter()
    for text in queries:
        at = rng.randint(start + 300, end)
        for path, parameters in (("/api/v1/query", {"query": text, "time": at}),
                                 ("/api/v1/query_range", {"query": text, "start": start + 60, "end": end, "step": 23})):
            total += 1
            left, right = (ask(url, path, parameters) for url in urls)
            if left["status"] == right["status"] == "success":
                total += 1
                counted = [ask(url, path, {**parameters, "stats": "all"}) for url in urls]
                samples += samples_of(counted[0])[1]
                difference = same_stats(*counted)
                if not difference:
                    agree += 1
                elif options.verbose or total - agree <= 20:
                    print(f"{path} {text!r}: {difference}")
            difference = same(left, right)
            reason = difference and explanation(text, difference)
            if not difference:
                agree += 1
            elif reason:
                explained[reason] += 1
            elif options.verbose or total - agree <= 20:
                print(f"{path} {text!r}: {difference}")
    for reason, count in explained.items():
        print(f"explained {count}: {reason}")
    print(f"agree {agree} of {total}, {sum(explained.values())} differences explained; {samples} samples in the stats")
    return 0 if samples and agree + sum(explained.values()) == total else 1


if __name__ == "__main__":
    sys.exit(main())
