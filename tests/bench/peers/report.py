"""Prints the table: the median of the repeats, and Plumbline's ratio to each peer."""
import statistics

import answers

ROWS = [  # key, label, scale, digits, is more better
    ("samples_per_cpu_s", "M samples per CPU s, acknowledged", 1e-6, 3, True),
    ("samples_per_cpu_s_all", "M samples per CPU s, brought to rest", 1e-6, 3, True),
    ("cpu_load", "CPU s, acknowledged", 1, 2, False),
    ("wall", "wall clock s (for orientation)", 1, 1, False),
    ("rss_per_series", "B RAM per series (less idle)", 1, 0, False),
    ("peak_mb", "MB peak RSS", 1, 0, False),
    ("disk_per_sample", "B disk per sample, all in", 1, 3, False),
    ("unsealed", "M samples to replay after kill -9", 1e-6, 2, False),
    ("ready_s", "s until ready after it, wall clock", 1, 2, False),
    ("ready_cpu_s", "CPU s of it", 1, 2, False),
    ("replayed_per_s", "M samples replayed per s", 1e-6, 1, True),
]


def line(label, values, names, digits):
    cells = ["-" if values.get(n) is None else f"{values[n]:.{digits}f}" for n in names]
    ratios = []
    ours = values.get("plumbline")
    for n in names:
        if n != "plumbline":
            theirs = values.get(n)
            ratios.append("-" if ours is None or not theirs else f"{ours / theirs:.2f}x")
    print(f"  {label:<38}" + "".join(f"{c:>13}" for c in cells) + "".join(f"{r:>14}" for r in ratios))


def print_all(runs, names, seed):
    """Returns the number of queries in which Plumbline and Prometheus disagree."""
    disagreements = 0
    for run in runs:
        e = run["expected"]
        print(f"\n{run['workload']}: {e['series']} series, {e['samples']} samples sent ({e['distinct']} distinct), "
              f"{e['requests']} requests, {e['bytes'] / e['samples']:.1f} B/sample on the wire, seed {seed}")
        print(" " * 40 + "".join(f"{n:>13}" for n in names) +
              "".join(f"{'to ' + n:>14}" for n in names if n != "plumbline"))
        by_name = {n: [r for r in run["results"] if r["server"] == n] for n in names}
        for key, label, scale, digits, _ in ROWS:
            found = {n: [r[key] for r in rs if r.get(key) is not None] for n, rs in by_name.items()}
            if any(found.values()):
                line(label, {n: statistics.median(v) * scale for n, v in found.items() if v}, names, digits)
        for n, rs in by_name.items():
            refused = max(r["sent"]["refused"] for r in rs)
            if refused:
                print(f"  {n} refused {refused} samples: {rs[0]['sent']['first_refusal']}")
            if rs[0]["note"]:
                print(f"  {n}: {rs[0]['note']}")
        for n, lines in run["wrong"].items():
            print(f"  {n} ANSWERED WRONGLY ({len(lines)}):")
            for text in lines[:6]:
                print(f"    {text}")
        disagreements += print_queries(run["workload"], by_name, names)
    return disagreements


def print_queries(workload, by_name, names):
    queries = [q[0] for q in answers.MIX.get(workload, []) if any(q[0] in r["queries"] for rs in by_name.values() for r in rs)]
    disagreements, not_promql = 0, []
    for query in queries:
        found = {n: [r["queries"][query] for r in rs] for n, rs in by_name.items()}
        times = {n: [q["ms"] for q in qs if "ms" in q] for n, qs in found.items()}
        line("ms " + query, {n: min(ms) for n, ms in times.items() if ms}, names, 2)
        cpu = {n: [q["cpu_ms"] for q in qs if "cpu_ms" in q] for n, qs in found.items()}
        line("  CPU ms of it", {n: min(ms) for n, ms in cpu.items() if ms}, names, 2)
        for n, qs in found.items():
            error = next((q["error"] for q in qs if "error" in q), None)
            if error:
                print(f"    {n} failed: {error}")
        reference = found.get("prometheus", [{}])[0].get("answer")
        for n in names:
            answer = found[n][0].get("answer")
            if n == "prometheus" or answer is None or reference is None:
                continue
            differs = answers.difference(answer, reference)
            if differs and n == "victoria":
                not_promql.append(query)
            elif differs:
                print(f"    {n} and prometheus DIFFER: {differs}")
                disagreements += n == "plumbline"
    if not_promql:
        print(f"  victoria's answer is not PromQL's: {'; '.join(not_promql)}")
    return disagreements
