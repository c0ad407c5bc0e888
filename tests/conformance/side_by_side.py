"""Starts Plumbline and Debian's Prometheus beside each other, both empty, and runs a comparison against the two."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
from harness import Daemon, Process, Scratch, call, free_port, wait_for


def compare(plumbline, prometheus, features, script, arguments):
    """`script` gets the URLs of Prometheus and of Plumbline before `arguments`; its exit status is the answer."""
    with Scratch(script.removesuffix(".py")) as folder:
        (folder / "prometheus.yml").write_text("global: { scrape_interval: 1h }\n")
        port = free_port()
        theirs = Process([prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/prometheus",
                          "--storage.tsdb.retention.time=20y", "--web.enable-remote-write-receiver",
                          f"--enable-feature={features}", f"--web.listen-address=127.0.0.1:{port}"], folder / "prometheus.log")
        ours = Daemon(plumbline, folder / "plumbline", "storage: { retention: 20y }\n").start()
        try:
            wait_for("Prometheus is ready", lambda: call("GET", f"http://127.0.0.1:{port}/-/ready")[0] == 200)
            done = subprocess.run([sys.executable, os.path.join(HERE, script), f"http://127.0.0.1:{port}", ours.http, *arguments])
        finally:
            ours.process.kill()
            theirs.kill()
    return done.returncode
