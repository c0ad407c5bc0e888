#!/usr/bin/python3
"""smoke.py [PLUMBLINE [PEERS_LOAD]]: the harness on a hundredth of the fleet, without peers; fails when an answer is wrong."""
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def main():
    plumbline = sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release/plumbline"
    load = sys.argv[2] if len(sys.argv) > 2 else ROOT / "build/peers_load/peers_load"
    with tempfile.TemporaryDirectory() as folder:
        numbers = pathlib.Path(folder) / "numbers.json"
        subprocess.run([sys.executable, str(HERE / "run.py"), "--workload", "fleet", "--scale", "0.01", "--peers", "plumbline",
                        "--queries", "--query-runs", "1", "--plumbline", str(plumbline), "--load", str(load), "--json", str(numbers)],
                       check=True, timeout=120)
        run = json.loads(numbers.read_text())["runs"][0]
    result = run["results"][0]
    assert run["expected"]["series"] == 2 * 77 and run["expected"]["distinct"] == 2 * 77 * 1440, run["expected"]
    assert result["sent"]["samples"] == run["expected"]["samples"], result["sent"]
    assert result["cpu_load"] > 0 and result["disk"] > 0 and result["rss"] > result["rss_idle"] / 2, result
    assert not any("error" in q for q in result["queries"].values()), result["queries"]
    print("ok")


if __name__ == "__main__":
    main()
