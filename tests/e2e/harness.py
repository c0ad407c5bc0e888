"""Starts real processes for the tests, asks them over HTTP, and waits on conditions (never on time alone).

Only processes that were started here are ever signalled, by their own handle.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    """For peers that cannot report a port they picked themselves."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, condition, seconds=60):
    """Polls until condition() is truthy and returns it; an AssertionError inside counts as not yet."""
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
        except (AssertionError, OSError, KeyError, IndexError) as e:
            last = e
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s" + (f": {last}" if last else ""))
        time.sleep(0.05)


def call(method, url, body=None, headers=None, timeout=60):
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as e:
        return e.code, dict(e.headers), e.read()


class Process:
    """A child process with its output in a file."""

    def __init__(self, command, log, **kwargs):
        self.log = pathlib.Path(log)
        self.handle = subprocess.Popen([str(c) for c in command], stdout=open(log, "ab"), stderr=subprocess.STDOUT, **kwargs)

    def alive(self):
        return self.handle.poll() is None

    def stop(self, timeout=40):
        if self.alive():
            self.handle.send_signal(signal.SIGTERM)
        return self.handle.wait(timeout=timeout)

    def kill(self):
        if self.alive():
            self.handle.kill()
        self.handle.wait()

    def text(self):
        return self.log.read_text(errors="replace")


class Daemon:
    """One plumbline process on ports that it picks itself; restart() keeps the data directory."""

    def __init__(self, binary, folder, config="", env=None):
        self.binary, self.folder = str(binary), pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config_file = self.folder / "plumbline.yaml"
        self.config_file.write_text(config)
        self.env = env
        self.runs = 0
        self.process = None

    def start(self, http="127.0.0.1:0", otlp="127.0.0.1:0", grpc="127.0.0.1:0", wait=True):
        self.runs += 1
        self.process = Process(
            [self.binary, "serve", "--config", self.config_file, "--data-dir", self.folder / "data", "--http-listen", http,
             "--http-listen", otlp, "--grpc-listen", grpc], self.folder / f"log.{self.runs}", env=self.env)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ports():
            text = self.process.text()
            assert self.process.alive(), f"the daemon ended:\n{text}"
            found = re.findall(r'msg=listening protocol=(\w+) address=\S+ port=(\d+)', text)
            return found if len(found) >= 3 else None

        found = wait_for("the daemon listens", ports, 90)
        self.http, self.otlp = [f"http://127.0.0.1:{p}" for kind, p in found if kind == "http"][:2]
        self.grpc = next(f"127.0.0.1:{p}" for kind, p in found if kind == "grpc")
        wait_for("the daemon is ready", lambda: call("GET", self.http + "/-/ready")[0] == 200, 30)

    def restart(self):
        assert self.process.stop() == 0, self.process.text()
        return self.start()

    def reload(self):
        return call("POST", self.http + "/-/reload", b"")

    def post(self, path, body, content_type="application/json", **headers):
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        return call("POST", self.http + path, body, {"Content-Type": content_type, **{k.replace("_", "-"): v for k, v in headers.items()}})

    def get(self, path, **params):
        status, _, body = call("GET", self.http + path + ("?" + urllib.parse.urlencode(params, doseq=True) if params else ""))
        assert status == 200, f"GET {path} {params} answered {status}: {body.decode(errors='replace')[:1000]}"
        return json.loads(body)

    def query(self, expression, **params):
        return self.get("/api/v1/query", query=expression, **params)["data"]["result"]

    def value(self, expression, **params):
        result = self.query(expression, **params)
        assert len(result) == 1, f"{expression} gave {len(result)} series: {result}"
        return float(result[0]["value"][1])

    def lines(self, selector, start_ns, end_ns):
        result = self.get("/loki/api/v1/query_range", query=selector, start=start_ns, end=end_ns, limit=1000)["data"]["result"]
        return [(stream["stream"], int(t), line) for stream in result for t, line, *_ in stream["values"]]


class Scratch:
    """A folder that goes when the block ends well, and stays (and is named) when it does not."""

    def __init__(self, name):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"plumbline-{name}-"))

    def __enter__(self):
        return self.path

    def __exit__(self, kind, value, trace):
        if kind is None and not os.environ.get("PLUMBLINE_KEEP"):
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            print(f"kept for a look: {self.path}")


def peer(name):
    path = pathlib.Path(os.environ.get("PLUMBLINE_PEERS", ROOT / "build/peers/root")) / "usr/bin" / name
    assert path.is_file(), f"{path} is missing: deploy/test-peers build/peers"
    return path


def shared_data():
    path = pathlib.Path(os.environ.get("PLUMBLINE_SHARED", ROOT / "../shared")) / "data"
    assert path.is_dir(), f"{path} is missing; set PLUMBLINE_SHARED"
    return path
