"""The servers that are compared: how each is started, loaded, brought to rest, measured and stopped.

A server's cost is what the kernel charged its process (all threads), less what it costs when idle.
"""
import json
import os
import pathlib
import shutil
import signal
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))
from harness import Process, call, free_port, wait_for  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
SETTLE = 6  # seconds: VictoriaMetrics writes what it acknowledged within 5 s


def disk_bytes(folder):
    """Bytes of the files below a folder; hard links count once, preallocated tails do not."""
    seen, total = set(), 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                s = os.lstat(os.path.join(path, name))
            except FileNotFoundError:
                continue
            if (s.st_dev, s.st_ino) not in seen:
                seen.add((s.st_dev, s.st_ino))
                total += min(s.st_size, s.st_blocks * 512)
    return total


class Server:
    name = ""
    exact = True  # every bit of a value comes back
    ready_path = "/-/ready"
    write_path = "/api/v1/write"

    def __init__(self, binary, folder, keep_disorder=False):
        self.binary, self.folder, self.keep_disorder = str(binary), pathlib.Path(folder), keep_disorder
        self.folder.mkdir(parents=True)
        self.data = self.folder / "data"
        self.process, self.cpu_before = None, 0.0

    def start(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = Process(self.command(), self.folder / "log")

        def ready():
            assert self.process.alive(), f"{self.name} ended:\n{self.process.text()[-3000:]}"
            return call("GET", self.url + self.ready_path)[0] == 200

        wait_for(f"{self.name} is ready", ready, 120)
        return self

    def cpu(self):
        """CPU seconds of all runs of this server so far."""
        with open(f"/proc/{self.process.handle.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return self.cpu_before + (int(fields[11]) + int(fields[12])) / TICKS

    def thread_cpu(self):
        """CPU seconds of the threads that run now, to the nanosecond."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.handle.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                pass  # it has just ended
        return total / 1e9

    def memory(self):
        """(VmRSS, VmHWM) in bytes."""
        with open(f"/proc/{self.process.handle.pid}/status") as f:
            fields = dict(line.split(":", 1) for line in f)
        return tuple(int(fields[k].split()[0]) * 1024 for k in ("VmRSS", "VmHWM"))

    def get(self, path, **params):
        status, _, body = call("GET", self.url + path + "?" + urllib.parse.urlencode(params, doseq=True), timeout=900)
        if status != 200:
            raise AssertionError(f"{self.name}: {path} {params} answered {status}: {body[:400].decode(errors='replace')}")
        return json.loads(body)["data"]

    def post(self, path):
        return call("POST", self.url + path, b"", timeout=900)

    def visible(self):
        """Until what was acknowledged can be queried."""

    def rest(self):
        """Brings the data into their final form; returns (bytes on disk, a note)."""
        raise NotImplementedError

    def unsealed(self):
        """Samples that a start would replay; None when the server does not say."""
        return None

    def killed(self):
        """kill -9 and a start: what was to replay, seconds and CPU seconds until it is ready again."""
        samples = self.unsealed()
        assert self.process.alive(), f"{self.name} ended by itself:\n{self.process.text()[-3000:]}"
        self.stop(signal.SIGKILL)
        before, begun = self.cpu_before, time.monotonic()
        self.start()
        return {"unsealed": samples, "ready_s": time.monotonic() - begun, "ready_cpu_s": self.cpu() - before}

    def stop(self, how=signal.SIGTERM):
        """Ends the process and remembers its CPU seconds."""
        if self.process is None or not self.process.alive():
            return
        pid = self.process.handle.pid
        self.process.handle.send_signal(how)
        deadline = time.monotonic() + 300
        while True:
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() > deadline:
                self.process.handle.kill()
            time.sleep(0.02)
        self.process.handle.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_before += usage.ru_utime + usage.ru_stime

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Victoria(Server):
    name = "victoria"
    exact = False
    ready_path = "/health"

    def command(self):
        return [self.binary, f"-storageDataPath={self.data}", f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y",
                "-search.latencyOffset=0s", "-search.maxUniqueTimeseries=10000000", "-search.maxQueryDuration=10m",
                "-search.maxSamplesPerQuery=4000000000", "-loggerLevel=WARN"]

    def get(self, path, **params):
        return super().get(path, nocache=1, **params)

    def visible(self):
        assert call("GET", self.url + "/internal/force_flush", timeout=900)[0] == 200

    def rest(self):
        time.sleep(SETTLE)
        self.visible()
        assert call("GET", self.url + "/internal/force_merge", timeout=900)[0] == 200
        quiet = [0]

        def merged():  # it merges in the background, and asks for no more when it has begun
            text = call("GET", self.url + "/metrics")[2].decode()
            active = [line for line in text.splitlines()
                      if line.startswith(("vm_active_force_merges", "vm_active_merges")) and not line.endswith(" 0")]
            quiet[0] = 0 if active else quiet[0] + 1
            return quiet[0] >= 20

        wait_for("VictoriaMetrics has merged", merged, 600)
        return disk_bytes(self.data), ""


class Prometheus(Server):
    name = "prometheus"

    def command(self):
        config = self.folder / "prometheus.yml"
        config.write_text("global: {}\n" + ("storage: {tsdb: {out_of_order_time_window: 13h}}\n" if self.keep_disorder else ""))
        return [self.binary, f"--config.file={config}", f"--storage.tsdb.path={self.data}",
                f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver", "--web.enable-admin-api",
                "--storage.tsdb.retention.time=2y", "--query.max-samples=4000000000", "--query.timeout=10m", "--log.level=error"]

    def rest(self):
        time.sleep(SETTLE)
        before = disk_bytes(self.data)
        status, _, body = self.post("/api/v1/admin/tsdb/snapshot")
        assert status == 200, body
        snapshot = self.data / "snapshots" / json.loads(body)["data"]["name"]
        return disk_bytes(snapshot), f"its head and WAL uncompacted: {before / 1e6:.1f} MB"


class Plumbline(Server):
    name = "plumbline"

    def command(self):
        sets = ["storage.retention=40d", "query.timeout=10m", "query.samples_max=4000000000", "query.series_max=10000000",
                "log.level=warn"]
        return [self.binary, "serve", "--data-dir", self.data, "--http-listen", f"127.0.0.1:{self.port}", "--grpc-listen",
                f"127.0.0.1:{free_port()}"] + [x for s in sets for x in ("--set", s)]

    def unsealed(self):
        text = call("GET", self.url + "/metrics")[2].decode()
        return float(next(x.split()[1] for x in text.splitlines() if x.startswith("plumbline_store_head_samples ")))

    def rest(self):
        time.sleep(SETTLE)
        if self.post("/-/seal")[0] // 100 == 2:
            return disk_bytes(self.data), ""
        self.stop()  # it seals when it stops
        size = disk_bytes(self.data)
        self.start()
        return size, "sealed by a restart"


ALL = {c.name: c for c in (Plumbline, Victoria, Prometheus)}
