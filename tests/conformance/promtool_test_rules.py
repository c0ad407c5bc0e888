#!/usr/bin/env python3
"""`plumbline test rules` and `promtool test rules` must agree on the files of rule_tests/.

Usage: promtool_test_rules.py PLUMBLINE PROMTOOL [SEED]

good/     both succeed, and print the same
failing/  both fail, and print the same, line by line; ours may say more behind one of theirs (": " and the details)
bad/      both refuse the file; ours with file:line:col and the words in its first line (`# plumbline: words`)
newer/    keys that promtool 2.42 does not know and refuses; ours prints the words in the first line

Then files made at random, whose tests expect nothing: both print all that they got. Windows and gaps in them are such that the
left edge of a range, which Prometheus 3 leaves out, meets no sample. Not asked: what 3 computes otherwise (rate, increase,
avg_over_time), ties of topk, and templates of labels that come out empty, which promtool shows unexpanded in ALERTS.
"""
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent / "rule_tests"


class Run:
    def __init__(self, program, *arguments):
        done = subprocess.run([program, "test", "rules", *map(str, arguments)], capture_output=True, text=True, timeout=300)
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr


def same_lines(ours, theirs):
    ours, theirs = ours.split("\n"), theirs.split("\n")
    return len(ours) == len(theirs) and all(a == b or a.startswith(b + ": ") for a, b in zip(ours, theirs))


def problem_of(kind, file, ours, theirs):
    """What is wrong, or None."""
    succeeds = kind == "good"
    if (theirs.status == 0) != succeeds:
        return f"promtool answers {theirs.status}, which the folder does not expect"
    words = file.read_text().split("\n")[0].removeprefix("# plumbline: ")
    if kind == "newer":
        wanted = 0 if words == "SUCCESS" else 1
        if ours.status != wanted or words not in ours.out + ours.err:
            return f"plumbline answers {ours.status}; expected {wanted} and '{words}'"
        return None
    if (ours.status == 0) != succeeds or ours.status not in (0, 1):
        return f"plumbline answers {ours.status}, promtool {theirs.status}"
    if kind == "bad":
        if not re.search(r"^\S+:\d+:\d+: ", ours.err, re.M) or words not in ours.err:
            return f"the message has no place or not the words '{words}'"
        return None
    if ours.out != theirs.out or not same_lines(ours.err, theirs.err):
        return "what they print differs"
    return None


EXPRESSIONS = ["up", "up == 0", "sum by (job) (up)", "irate(c[217s])", "sum without (i) (delta(c[7m13s]))", "up * on (job, i) c", "-c",
               "min_over_time(up[131s])", "absent(up{job='a'})", "c < 30", "c offset 2m", "count(up == 1)", "c > bool 50",
               "label_replace(up, 'x', '$1-', 'i', '(.*)')", "up or c", "up unless c > 40", "time() - timestamp(up)", "vector(time())",
               "max_over_time(rec[3m7s:])", "rec", "rec2 / 3", "ALERTS", "ALERTS_FOR_STATE", "quantile(0.3, c)", "changes(up[319s])"]


def random_values(rng):
    items = []
    while len(items) < 12:
        item = rng.choice([f"{rng.randint(0, 3)}x{rng.randint(0, 9)}", f"{rng.randint(0, 90)}+{rng.randint(0, 9)}x{rng.randint(1, 9)}",
                           f"{rng.choice(['0.5', '1e2', '-7'])}-{rng.choice(['1.5', '.25'])}x{rng.randint(1, 9)}", "_x2", "stale", "1", "0"])
        # Two gaps in a row would be as long as the five minutes of the lookback.
        if item != "_x2" or items[-1:] != ["_x2"]:
            items.append(item)
    return " ".join(items + ["1x60"])


def random_file(rng, folder, number):
    rules = [{"record": rng.choice(["rec", "rec2"]), "expr": rng.choice(EXPRESSIONS[:12]), "labels": {"n": str(n)}} for n in range(2)]
    for n in range(3):
        rules.append({"alert": f"A{n}", "expr": rng.choice(EXPRESSIONS), "for": rng.choice(["0s", "1m", "3m"]),
                      "keep_firing_for": rng.choice(["0s", "2m"]), "labels": {"s": "{{ $labels.job }}."},
                      "annotations": {"v": rng.choice(["{{ $value }}", "{{ $value | humanize }} of {{ $labels.i }}", "{{ $externalLabels.e }}"])}})
    rng.shuffle(rules)
    (folder / f"rules{number}.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    minutes = lambda: f"{rng.randint(0, 40) * 15}s"
    test = {"name": f"random {number}", "interval": rng.choice(["1m", "30s"]), "external_labels": {"e": "x"},
            "input_series": [{"series": f'{name}{{job="{job}",i="{i}"}}', "values": random_values(rng)}
                             for name in ("up", "c") for job in "ab" for i in range(2)],
            "alert_rule_test": [{"eval_time": minutes(), "alertname": f"A{rng.randint(0, 2)}", "exp_alerts": [{}]} for _ in range(6)],
            "promql_expr_test": [{"expr": rng.choice(EXPRESSIONS), "eval_time": minutes(), "exp_samples": [{"value": 9.5}]} for _ in range(8)]}
    file = folder / f"test{number}.yml"
    file.write_text(json.dumps({"rule_files": [f"rules{number}.yml"], "evaluation_interval": rng.choice(["1m", "30s", "15s"]), "tests": [test]}, indent=1))
    return file


def main(plumbline, promtool, seed):
    problems, total = [], 0
    for kind in ("good", "failing", "bad", "newer"):
        files = sorted((HERE / kind).glob("*.yml"))
        if not files:
            problems.append(f"{kind}/: no files")
        for file in files:
            total += 1
            ours, theirs = Run(plumbline, file), Run(promtool, file)
            wrong = problem_of(kind, file, ours, theirs)
            if wrong:
                problems.append(f"{kind}/{file.name}: {wrong}\n--- ours\n{ours.out}{ours.err}--- theirs\n{theirs.out}{theirs.err}")
    # Several files in one call: the status is that of the worst.
    several = [HERE / "good/empty.yml", HERE / "failing/limit.yml"]
    total += 1
    ours, theirs = Run(plumbline, *several), Run(promtool, *several)
    if (ours.status, ours.out) != (theirs.status, theirs.out):
        problems.append(f"several files: ours {ours.status} {ours.out!r}, theirs {theirs.status} {theirs.out!r}")
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(60):
            total += 1
            file = random_file(rng, pathlib.Path(folder), number)
            ours, theirs = Run(plumbline, file), Run(promtool, file)
            if ours.status != theirs.status or ours.out != theirs.out or not same_lines(ours.err, theirs.err):
                problems.append(f"random {number} (seed {seed}): {file.read_text()}{(file.parent / f'rules{number}.yml').read_text()}\n"
                                f"--- ours\n{ours.err}--- theirs\n{theirs.err}")
    for p in problems:
        print(p)
    print(f"agree {total - len(problems)} of {total} (seed {seed})")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1))
