#!/usr/bin/env python3
"""`plumbline check` and `promtool check rules` must agree on rule files: good ones, bad ones, and the public rules.

Usage: promtool_check.py PLUMBLINE PROMTOOL
A bad file must also be refused by plumbline with file:line:col and the words in its first line (`# plumbline: words`).
"""
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


def main(plumbline, promtool):
    agree = total = 0
    problems = []
    for kind in ("good", "bad"):
        for f in sorted((HERE / "rules" / kind).glob("*.yml")):
            total += 1
            ours, our_text = run(plumbline, "check", f)
            theirs, their_text = run(promtool, "check", "rules", f)
            if ours != theirs or ours != (kind == "good"):
                problems.append(f"{f.name}: plumbline {'accepts' if ours else 'refuses'}, promtool "
                                f"{'accepts' if theirs else 'refuses'}, expected {kind}\n  ours: {our_text}  theirs: {their_text}")
                continue
            if kind == "bad":
                words = f.read_text().split("\n")[0].removeprefix("# plumbline: ")
                if not re.search(re.escape(str(f)) + r":\d+:\d+: ", our_text) or words not in our_text:
                    problems.append(f"{f.name}: the message has no place or not the words '{words}': {our_text}")
                    continue
            agree += 1
    shared = pathlib.Path(os.environ.get("PLUMBLINE_SHARED", HERE / "../../../shared")) / "data/rules"
    for f in sorted(shared.rglob("*.yml")):
        total += 1
        ours, our_text = run(plumbline, "check", f)
        theirs, their_text = run(promtool, "check", "rules", f)
        if ours == theirs:
            agree += 1
        else:
            problems.append(f"{f}: plumbline {'accepts' if ours else 'refuses'}, promtool {'accepts' if theirs else 'refuses'}\n  {our_text}{their_text}")
    for p in problems:
        print(p)
    print(f"agree {agree} of {total}")
    return 1 if problems or total < 100 and shared.is_dir() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
