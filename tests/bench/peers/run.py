#!/usr/bin/python3
"""Plays the same traffic into Plumbline and its peers, checks what they hold, and prints what it cost. See README.md."""
import argparse
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(ROOT / "tests/e2e")]
import answers  # noqa: E402
import record  # noqa: E402
import report  # noqa: E402
import servers  # noqa: E402

WORKLOADS = ["fleet", "node", "explosion", "disorder", "real", "history"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def make_traffic(args, workload, scale, path):
    end_ms = int(time.time()) // 15 * 15_000 - 15_000
    command = [args.load, "make", workload, path, end_ms, args.seed, scale]
    if workload == "real":
        command.append(args.recording)
    return json.loads(subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE).stdout)


def send(args, workload, server, path, before_go):
    """Loads the server; before_go() is called when the sender stands ready. The sender's own report."""
    lead_ms = 10**15 if workload == "disorder" else 900_000
    command = [args.load, "send", path, server.port, server.write_path, lead_ms, "go-on"]
    with subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender:
        try:
            assert sender.stdout.readline() == "ready\n"
            before_go()
            sender.stdin.write("\n")
            sender.stdin.flush()
            sent = json.loads(sender.stdout.readline())
        finally:
            if sender.poll() is None and sys.exc_info()[0] is not None:
                sender.kill()
    if sent["error"]:
        raise AssertionError(f"{server.name} refused the traffic: {sent['error']}\n{server.process.text()[-2000:]}")
    return sent


def binary_of(args, name):
    if name == "plumbline":
        return args.plumbline
    return args.peers_root / "usr/bin" / {"victoria": "victoria-metrics", "prometheus": "prometheus"}[name]


def measure(args, name, workload, path, expected, scratch, timed=True):
    """One server, one workload: a dict of numbers, its wrong answers and its query times."""
    server = servers.ALL[name](binary_of(args, name), scratch / name, keep_disorder=workload == "disorder")
    out = {"server": name, "workload": workload}
    try:
        server.start()
        if not timed:
            send(args, workload, server, path, lambda: None)
            server.visible()
            return {"wrong": answers.check(server, workload, expected)}
        time.sleep(2)
        idle_from, cpu = time.monotonic(), server.cpu()
        time.sleep(2)
        idle_rate = (server.cpu() - cpu) / (time.monotonic() - idle_from)
        idle_rss = server.memory()[0]
        begin = {}

        def go():
            begin.update(cpu=server.cpu(), wall=time.monotonic())

        def cost():
            return server.cpu() - begin["cpu"] - idle_rate * (time.monotonic() - begin["wall"])

        sent = send(args, workload, server, path, go)
        out["cpu_load"] = cost()
        out["rss"], out["peak"] = server.memory()
        out["rss_idle"] = idle_rss
        out["sent"] = sent
        out["samples_per_cpu_s"] = sent["samples"] / max(out["cpu_load"], 0.01)
        out["rss_per_series"] = (out["rss"] - idle_rss) / expected["series"]
        out["peak_mb"] = out["peak"] / 1e6
        out["wall"] = sent["seconds"]
        server.visible()
        checking = server.cpu()
        out["wrong"] = answers.check(server, workload, expected)
        checking = server.cpu() - checking
        if args.recovery:
            out.update(server.killed(), note="", queries={})
            out["replayed_per_s"] = out["unsealed"] and out["unsealed"] / out["ready_s"]
            server.visible()
            out["wrong"] += ["after kill -9: " + x for x in answers.check(server, workload, expected)]
            return out
        out["disk"], out["note"] = server.rest()
        out["cpu_all"] = cost() - checking
        out["queries"] = answers.time_queries(server, workload, expected, args.query_runs, args.queries)
        out["samples_per_cpu_s_all"] = sent["samples"] / max(out["cpu_all"], 0.01)
        out["disk_per_sample"] = out["disk"] / expected["distinct"]
        return out
    finally:
        server.remove()


def run_workload(args, workload, scratch):
    names = args.peers
    wrong = {}
    if workload not in ("history", "real") and args.scale > 0.05:
        say(f"{workload}: answers first, on a small scale")
        path = scratch / "small.requests"
        expected = make_traffic(args, workload, 0.02, path)
        for name in names:
            for line in measure(args, name, workload, path, expected, scratch, timed=False)["wrong"]:
                wrong.setdefault(name, []).append("small scale: " + line)
        path.unlink()
    say(f"{workload}: making the traffic")
    path = scratch / "requests"
    expected = make_traffic(args, workload, args.scale, path)
    results = []
    for repeat in range(args.repeat):
        for name in names if repeat % 2 == 0 else names[::-1]:
            say(f"{workload}: {name}, run {repeat + 1} of {args.repeat}")
            result = measure(args, name, workload, path, expected, scratch)
            results.append(result)
            for line in result["wrong"]:
                if line not in wrong.setdefault(name, []):
                    wrong[name].append(line)
            say(f"  {result['samples_per_cpu_s'] / 1e6:.3f} M samples/CPU-s, {result['rss_per_series']:.0f} B/series, " +
                (f"ready in {result['ready_s']:.2f} s" if args.recovery else f"{result['disk_per_sample']:.3f} B/sample"))
    path.unlink()
    return {"workload": workload, "expected": {k: v for k, v in expected.items() if k != "watched"}, "results": results,
            "wrong": {k: v for k, v in wrong.items() if v}}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    listed = lambda allowed: lambda text: [x if x in allowed else parser.error(f"{x} is none of {allowed}")  # noqa: E731
                                           for x in text.split(",")]
    parser.add_argument("--workload", type=listed(WORKLOADS), default=["fleet", "node"], help=",".join(WORKLOADS))
    parser.add_argument("--peers", type=listed(list(servers.ALL)), default=list(servers.ALL), help=",".join(servers.ALL))
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0, help="shrinks a workload: fewer targets, the same time")
    parser.add_argument("--seed", type=int, default=0, help="default: from the clock; printed")
    parser.add_argument("--queries", action="store_true", help="also time the query mix, and compare the answers")
    parser.add_argument("--recovery", action="store_true", help="kill -9 after the load, time the start, and check again, instead of what is measured at rest")
    parser.add_argument("--query-runs", type=int, default=6)
    parser.add_argument("--json", type=pathlib.Path, help="all numbers into this file")
    parser.add_argument("--plumbline", type=pathlib.Path, default=ROOT / "build/release/plumbline")
    parser.add_argument("--load", type=pathlib.Path, default=ROOT / "build/peers_load/peers_load")
    parser.add_argument("--peers-root", type=pathlib.Path, default=ROOT / "build/peers/root")
    parser.add_argument("--recording", type=pathlib.Path, default=ROOT / "build/peers/recording.txt", help="for `real`")
    parser.add_argument("--record", type=int, metavar="SECONDS", help="only make the recording: both exporters, every 5 s")
    args = parser.parse_args()
    args.seed = args.seed or int(time.time())
    for path in [args.load] + [binary_of(args, name) for name in args.peers]:
        if not path.is_file():
            parser.error(f"{path} is missing; tests/bench/peers/run fetches and builds everything")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started here ends, and the folder goes
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="plumbline-peers-"))
    try:
        if args.record:
            record.run(args.record, args.recording, args.peers_root / "usr/bin/prometheus-node-exporter", args.plumbline, scratch)
            return 0
        say(f"seed {args.seed}")
        runs = [run_workload(args, workload, scratch) for workload in args.workload]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    disagreements = report.print_all(runs, args.peers, args.seed)
    if args.json:
        for run in runs:
            for result in run["results"]:
                for query in result["queries"].values():
                    query.pop("answer", None)
        args.json.write_text(json.dumps({"seed": args.seed, "scale": args.scale, "runs": runs}, indent=1) + "\n")
    bad = any("plumbline" in run["wrong"] for run in runs) or disagreements
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
