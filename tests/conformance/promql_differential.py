#!/usr/bin/env python3
"""Starts Plumbline and Debian's Prometheus side by side and runs promql_vs_prometheus.py against both.

Usage: promql_differential.py PLUMBLINE PROMETHEUS [arguments of promql_vs_prometheus.py...]
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from harness import Daemon, Process, Scratch, call, free_port, wait_for


def main(plumbline, prometheus, arguments):
    with Scratch("promql") as folder:
        (folder / "prometheus.yml").write_text("global: { scrape_interval: 1h }\n")
        port = free_port()
        theirs = Process([prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/prometheus",
                          "--storage.tsdb.retention.time=20y", "--web.enable-remote-write-receiver",
                          "--enable-feature=promql-at-modifier,promql-negative-offset",
                          f"--web.listen-address=127.0.0.1:{port}"], folder / "prometheus.log")
        ours = Daemon(plumbline, folder / "plumbline", "storage: { retention: 20y }\n").start()
        try:
            wait_for("Prometheus is ready", lambda: call("GET", f"http://127.0.0.1:{port}/-/ready")[0] == 200)
            done = subprocess.run([sys.executable, os.path.join(HERE, "promql_vs_prometheus.py"),
                                   f"http://127.0.0.1:{port}", ours.http, *arguments])
        finally:
            ours.process.kill()
            theirs.kill()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
