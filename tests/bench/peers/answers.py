"""Asks the servers: does each hold what was sent, how fast are its reads, and do two agree?"""
import json
import math
import time
import urllib.parse

from harness import call

JOBS = {"fleet": "model-server", "disorder": "model-server", "node": "node", "explosion": "kubelet", "history": "history",
        "real": "node_exporter|plumbline"}
PHASE_MS = 6_500  # of query times in a quarter minute: no sample lies near it


def query_time(expected):
    return (expected["end_ms"] + PHASE_MS) / 1000


def one_value(server, query, at):
    result = server.get("/api/v1/query", query=query, time=at)["result"]
    return float(result[0]["value"][1]) if len(result) == 1 else math.nan


def samples_in_all(server, jobs, window, at):
    """Name by name, since count_over_time drops the name and equal label sets are an error."""
    total = 0.0
    names = server.get("/api/v1/label/__name__/values", **{"match[]": jobs, "start": at - 12 * 3600, "end": at})
    for name in names:
        total += one_value(server, "sum(count_over_time({__name__=\"%s\",%s[%s]))" % (name, jobs[1:], window), at)
    return total


def check(server, workload, expected):
    """What is wrong with its answers, as a list of lines."""
    at = query_time(expected)
    window = "31d" if workload == "history" else "12h"
    jobs = '{job=~"%s"}' % JOBS[workload]
    wrong = []

    def want(what, query, value, tolerance):
        try:
            got = one_value(server, query, at)
        except (AssertionError, OSError) as e:
            wrong.append(f"{what}: {str(e)[:300]}")
            return
        if not abs(got - value) <= tolerance * abs(value):
            wrong.append(f"{what}: {got:.17g} instead of {value:.17g}: {query}")

    want("series", f"count({jobs})", expected["series_live"], 0)
    if expected["distinct"] <= 30e6:
        try:
            got = samples_in_all(server, jobs, window, at)
            if got != expected["distinct"]:
                wrong.append(f"samples in all: {got:.0f} instead of {expected['distinct']}")
        except (AssertionError, OSError) as e:
            wrong.append(f"samples in all: {str(e)[:300]}")
    for w in expected["watched"]:
        selector = w["selector"]
        want("samples of a series", f"count_over_time({selector}[{window}])", w["count"], 0)
        want("sum", f"sum_over_time({selector}[{window}])", w["sum"], 1e-11 if server.exact else 1e-9)
        want("last value", f"last_over_time({selector}[{window}])", w["last"], 0 if server.exact else 1e-11)
    return wrong


# (name, kind, expression or selector, hours); kind: instant, range (15 s steps over that many hours), values, series.
RATE = 'rate(inference_requests_total[5m])'
MIX = {
    "fleet": [
        ("instant selector", "instant", 'inference_requests_total{code="200"}', 0),
        ("sum by (model)(rate) instant", "instant", f"sum by (model)({RATE})", 0),
        ("sum by (model)(rate) 6h", "range", f"sum by (model)({RATE})", 6),
        ("error ratio 6h", "range", 'sum by (model)(rate(inference_requests_total{code=~"5.."}[5m])) / '
         f"sum by (model)({RATE})", 6),
        ("p99 by (le, model) 6h", "range",
         "histogram_quantile(0.99, sum by (le, model)(rate(inference_duration_seconds_bucket[5m])))", 6),
        ("topk of rates 6h", "range", f"topk(5, {RATE})", 6),
        ("avg_over_time[1h] 6h", "range", "avg_over_time(gpu_utilization_ratio[1h])", 6),
        ("quantile_over_time[30m] 6h", "range", "quantile_over_time(0.9, gpu_power_watts[30m])", 6),
        ("increase[6h] instant", "instant", "increase(inference_requests_total[6h])", 0),
        ("count of everything", "instant", 'count({__name__=~".+"})', 0),
        ("join, group_left 6h", "range", "sum by (framework)(sum by (instance)(" + RATE + ") * on (instance) "
         "group_left (framework) model_info)", 6),
        ("subquery 1h:1m instant", "instant", f"max_over_time({RATE}[1h:1m])", 0),
        ("label values", "values", "model", 0),
        ("series", "series", "model_info", 0),
    ],
    "node": [
        ("instant selector", "instant", 'node_cpu_seconds_total{mode="idle"}', 0),
        ("sum by (mode)(rate) instant", "instant", "sum by (mode)(rate(node_cpu_seconds_total[5m]))", 0),
        ("sum by (instance)(rate) 1h", "range", "sum by (instance)(rate(node_cpu_seconds_total[5m]))", 1),
        ("topk of rates 1h", "range", "topk(5, rate(node_interrupts_total[5m]))", 1),
        ("avg_over_time[1h] instant", "instant", "avg_over_time(node_hwmon_temp_celsius[1h])", 0),
        ("count of everything", "instant", 'count({__name__=~".+"})', 0),
        ("count by name", "instant", 'count by (__name__)({__name__=~".+"})', 0),
        ("label values", "values", "__name__", 0),
        ("series", "series", 'node_cpu_seconds_total{mode="idle"}', 0),
    ],
    "history": [
        ("increase[30d]", "instant", "increase(http_requests_total[30d])", 0),
        ("avg_over_time[30d]", "instant", "avg_over_time(http_requests_total[30d])", 0),
        ("count_over_time[30d]", "instant", "count_over_time(http_requests_total[30d])", 0),
        ("sum(rate[5m]) 24h, 1m", "range", "sum(rate(http_requests_total[5m]))", 24),
    ],
}
ALWAYS = {"increase[30d]", "avg_over_time[30d]", "count_over_time[30d]"}  # also without --queries


def ask(server, kind, text, hours, at):
    """(seconds, decoded answer): the clock stops when the last byte is there."""
    if kind == "instant":
        path, params = "/api/v1/query", {"query": text, "time": at}
    elif kind == "range":
        step = 15 if hours <= 6 else 60
        # Six minutes after the first samples: where a window begins before its counter does, and the counter began near zero,
        # Prometheus 2.42 extrapolates by more than 3.x (it clamps at zero before it limits the gap, not after).
        start = at - hours * 3600 + 360
        path, params = "/api/v1/query_range", {"query": text, "start": start, "end": at, "step": step}
    elif kind == "values":
        path, params = f"/api/v1/label/{text}/values", {"start": at - 6 * 3600, "end": at}
    else:
        path, params = "/api/v1/series", {"match[]": text, "start": at - 6 * 3600, "end": at}
    if server.name != "prometheus":  # which has no cache to pass by
        params["nocache"] = 1
    url = server.url + path + "?" + urllib.parse.urlencode(params)
    begin = time.perf_counter()
    status, _, body = call("GET", url, timeout=900)
    seconds = time.perf_counter() - begin
    if status != 200:
        raise AssertionError(f"{status}: {body[:300].decode(errors='replace')}")
    return seconds, body


def decode(body, kind):
    """{series: {time: value}}, or the sorted answer of values and series."""
    data = json.loads(body)["data"]
    key = lambda metric: tuple(sorted(metric.items()))  # noqa: E731
    if kind == "values":
        return sorted(data)
    if kind == "series":
        return sorted(key(m) for m in data)
    if kind == "instant":
        return {key(r["metric"]): {r["value"][0]: float(r["value"][1])} for r in data["result"]}
    return {key(r["metric"]): {t: float(v) for t, v in r["values"]} for r in data["result"]}


def difference(ours, theirs, tolerance=1e-9):
    """None when they agree, else the first disagreement."""
    if isinstance(ours, list) or isinstance(theirs, list):
        return None if ours == theirs else f"{len(ours)} entries and {len(theirs)}, not the same"
    if ours.keys() != theirs.keys():
        odd = next(iter(ours.keys() ^ theirs.keys()))
        return f"{len(ours)} series and {len(theirs)}; only one has {dict(odd)}"
    for series, points in ours.items():
        other = theirs[series]
        if points.keys() != other.keys():
            return f"{dict(series)}: {len(points)} points and {len(other)}"
        for t, v in points.items():
            o = other[t]
            if v != o and not (math.isnan(v) and math.isnan(o)) and not abs(v - o) <= tolerance * max(abs(v), abs(o)):
                return f"{dict(series)} at {t}: {v:.17g} and {o:.17g}"
    return None


def time_queries(server, workload, expected, runs, all_queries):
    """{name: {"ms": fastest, "cpu_ms": on average, "answer": decoded, "error": text}} for the mix of this workload."""
    at, out = query_time(expected), {}
    for name, kind, text, hours in MIX.get(workload, []):
        if not all_queries and name not in ALWAYS:
            continue
        try:
            fastest, body = ask(server, kind, text, hours, at)
            repeats, cpu = runs - 1 if fastest < 30 else 0, server.thread_cpu()
            for _ in range(repeats):
                fastest = min(fastest, ask(server, kind, text, hours, at)[0])
            out[name] = {"ms": fastest * 1000, "answer": decode(body, kind)}
            if repeats:
                out[name]["cpu_ms"] = (server.thread_cpu() - cpu) / repeats * 1000
        except (AssertionError, OSError) as e:
            out[name] = {"error": str(e)[:300]}
    return out
