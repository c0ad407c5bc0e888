#!/usr/bin/env python3
"""Drives every ingest door with a real client and reads the same data back, value for value.

Usage: run.py PLUMBLINE_BINARY [NAME...]   (names select cases; the default is all)
"""
import csv
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import traceback
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import query_api
import remote_read
from harness import ROOT, Daemon, Process, Scratch, call, free_port, peer, shared_data, wait_for

CASES = []
CONFIG = """
storage: {{ retention: 20y, retention_events: 20y }}
server: {{ cors_origin: "https://grafana[.]example" }}
receivers: [{{ name: hook, webhook_configs: [{{ url: "http://127.0.0.1:1/T0KEN", headers: {{ X-Key: "T0KEN" }} }}] }}]
route: {{ receiver: hook }}
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}
scrape_configs:
  - job_name: node
    static_configs: [{{ targets: ["127.0.0.1:{node}"] }}]
  - job_name: prom-client
    file_sd_configs: [{{ files: ["{folder}/targets/*.json"], refresh_interval: 1s }}]
    relabel_configs:
      - {{ source_labels: [__address__], regex: ".*:(.*)", target_label: port, replacement: "p$1" }}
    metric_relabel_configs:
      - {{ source_labels: [__name__], regex: odd_.*, target_label: odd, replacement: "yes" }}
"""


def case(function):
    CASES.append(function)
    return function


class Context:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.node_port = free_port()
        (folder / "targets").mkdir()
        self.node_exporter = Process([peer("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{self.node_port}"],
                                     folder / "node_exporter.log")
        self.daemon = Daemon(binary, folder / "daemon", CONFIG.format(node=self.node_port, folder=folder)).start()
        self.node_modules = self.install_node_clients()

    def install_node_clients(self):
        """The clients run from a copy, so that node_modules never stands in the source tree."""
        target = ROOT / "build/e2e-node"
        target.mkdir(parents=True, exist_ok=True)
        for f in (ROOT / "tests/e2e/node").iterdir():
            shutil.copy(f, target)
        stamp = target / "installed.json"
        wanted = (target / "package.json").read_text()
        if not stamp.exists() or stamp.read_text() != wanted:
            subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"], cwd=target, check=True)
            stamp.write_text(wanted)
        return target

    def node(self, script, *arguments):
        done = subprocess.run(["node", script, *map(str, arguments)], cwd=self.node_modules, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{script} {arguments} failed:\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout.strip().splitlines()[-1])

    def close(self):
        self.node_exporter.stop()
        self.daemon.process.kill()


def now_ns():
    return time.time_ns()


def otel(c, protocol, endpoint):
    d, service = c.daemon, f"svc-{protocol}"
    begin = now_ns() - 1_000_000_000
    sent = c.node("otel.mjs", protocol, endpoint, service)
    job = f'job="{service}",instance="model-1"'
    # Metrics, under the names that Prometheus gives them.
    assert d.value(f'predict_requests_total{{{job},route="/predict"}}') == 42
    assert d.value(f"predict_duration_seconds_count{{{job}}}") == 4
    assert d.value(f"predict_duration_seconds_sum{{{job}}}") == 0.05 + 0.2 + 0.3 + 2
    buckets = {r["metric"]["le"]: r["value"][1] for r in d.query(f"predict_duration_seconds_bucket{{{job}}}")}
    assert buckets == {"0.1": "1", "0.5": "3", "1": "3", "+Inf": "4"}, buckets
    assert d.value(f"model_temperature_celsius{{{job}}}") == 36.625
    info = d.query(f"target_info{{{job}}}")
    assert len(info) == 1 and info[0]["metric"]["deployment_environment"] == "test", info
    metadata = d.get("/api/v1/metadata", metric="predict_requests_total")["data"]["predict_requests_total"][0]
    assert metadata["type"] == "counter" and metadata["help"] == "Predictions served", metadata
    # Logs.
    lines = d.lines(f'{{service_name="{service}"}} |= "failed over {protocol}"', begin, now_ns() + 10**9)
    assert len(lines) == 1 and lines[0][2] == f"prediction failed over {protocol}", lines
    assert lines[0][0]["trace_id"] == sent["traceId"] and lines[0][0]["model_version"] == "3", lines
    # Spans.
    trace = d.get(f"/jaeger/api/traces/{sent['traceId']}")["data"][0]
    spans = {s["spanID"]: s for s in trace["spans"]}
    assert set(spans) == {sent["parentId"], sent["childId"]}, spans.keys()
    parent, child = spans[sent["parentId"]], spans[sent["childId"]]
    assert parent["operationName"] == "POST /predict" and child["operationName"] == "feature lookup"
    assert child["references"] == [{"refType": "CHILD_OF", "traceID": sent["traceId"], "spanID": sent["parentId"]}], child
    tags = {t["key"]: (t["type"], t["value"]) for t in child["tags"]}
    assert tags["rows"] == ("int64", 3) and tags["ratio"] == ("float64", 0.5) and tags["cached"] == ("bool", False), tags
    assert tags["error"] == ("bool", True) and tags["otel.status_description"][1] == "feature store timed out", tags
    assert any(f["value"] == "retry" for log in child["logs"] for f in log["fields"]), child["logs"]
    assert trace["processes"][child["processID"]]["serviceName"] == service
    # The inference record that came as a log event.
    models = {m["model"]: m for m in d.get("/api/v1/models")["data"]}
    model = models[f"otel-{protocol}"]
    features = {f["name"]: f["type"] for f in model["versions"][0]["features"]}
    assert features == {"age": "number", "premium": "category", "region": "category"}, model


@case
def otlp_grpc(c):
    otel(c, "grpc", f"http://{c.daemon.grpc}")


@case
def otlp_http_protobuf(c):
    otel(c, "proto", c.daemon.otlp)


@case
def otlp_http_json(c):
    otel(c, "json", c.daemon.otlp)


@case
def loki_push_by_winston(c):
    for form in ("json", "protobuf"):
        begin = now_ns() - 5 * 10**9
        sent = c.node("winston.mjs", form, c.daemon.http)["lines"]
        lines = wait_for(f"winston's {form} lines", lambda: (found := c.daemon.lines(
            f'{{app="winston-{form}"}}', begin, now_ns() + 10**9)) and len(found) == 2 and found)
        for line in sent:
            assert any(line in got for _, _, got in lines), (line, lines)
        assert any(stream.get("model") == "credit" for stream, _, _ in lines), lines
    values = c.daemon.get("/loki/api/v1/label/app/values")["data"]
    assert {"winston-json", "winston-protobuf"} <= set(values), values


@case
def grpc_ingest_service(c):
    sent = c.node("grpc_ingest.mjs", c.daemon.grpc, ROOT / "proto")
    a = sent["answers"]
    accepted = {name: (int(v["accepted"]), int(v["refused"])) for name, v in a.items()}
    assert accepted == {"PushMetrics": (1, 1), "PushMetricsStream": (3, 0), "PushLogs": (1, 0), "PushLogsStream": (1, 0),
                        "PushInferences": (2, 1), "PushInferencesStream": (2, 0), "PushLabels": (1, 0), "PushLabelsStream": (1, 0)}, accepted
    assert a["PushInferences"]["refusals"][0]["reason"] == "wrong_type", a["PushInferences"]
    d, t = c.daemon, sent["now"] / 1000
    assert d.value('grpc_metric{kind="unary"}', time=t) == 0.1
    samples = d.query('grpc_metric{kind="stream"}[1m]', time=t)[0]["values"]
    assert samples == [[round(t - i, 3), str(i)] for i in (3, 2, 1)], samples
    lines = [l for _, _, l in d.lines('{app="grpc-logs"}', sent["now"] * 10**6 - 1, (sent["now"] + 10) * 10**6)]
    assert sorted(lines) == ["stream line", "unary line"], lines
    performance = d.get("/api/v1/models/grpc-model/performance", start=t - 60, end=t + 60)["data"]
    assert performance["predictions"] == 4 and performance["labelled"] == 2 and performance["accuracy"] == 0.5, performance


@case
def scrape_of_prom_client(c):
    child = subprocess.Popen(["node", "prom_client.mjs"], cwd=c.node_modules, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = int(child.stdout.readline())
        (c.folder / "targets/prom.json").write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": {"team": "ml"}}]))
        target = f'job="prom-client",instance="127.0.0.1:{port}",port="p{port}",team="ml"'
        d = c.daemon
        wait_for("the file_sd target is scraped", lambda: d.query(f"up{{{target}}} == 1"))
        assert d.value(f'served_total{{{target},model="a"}}') == 12345678901
        assert d.value(f"serve_seconds_sum{{{target}}}") == 5.55
        assert [r["value"][1] for r in sorted(d.query(f"serve_seconds_bucket{{{target}}}"), key=lambda r: float(r["metric"]["le"]))] == ["1", "2", "3"]
        odd = d.query(f"odd_gauge{{{target}}}")
        assert odd[0]["metric"]["path"] == 'C:\\dir\n"x"' and odd[0]["metric"]["odd"] == "yes", odd
        assert float(odd[0]["value"][1]) == 0.1 + 0.2
        assert d.get("/api/v1/metadata", metric="served_total")["data"]["served_total"][0]["help"] == "Predictions\nserved"
        targets = {t["labels"]["instance"]: t for t in d.get("/api/v1/targets")["data"]["activeTargets"]}
        assert targets[f"127.0.0.1:{port}"]["health"] == "up", targets
    finally:
        child.stdin.close()
        child.wait(timeout=20)
    # A target that is gone is down, and its series are stale at once, not after five minutes.
    wait_for("the target is down", lambda: d.value(f"up{{{target}}}") == 0)
    assert d.query(f'served_total{{{target}}}') == []


@case
def scrape_of_node_exporter(c):
    d = c.daemon
    wait_for("node_exporter is up", lambda: d.query('up{job="node"} == 1'))
    _, _, text = call("GET", f"http://127.0.0.1:{c.node_port}/metrics")
    total = next(float(l.split()[1]) for l in text.decode().splitlines() if l.startswith("node_memory_MemTotal_bytes "))
    assert d.value('node_memory_MemTotal_bytes{job="node"}') == total
    direct = {l.split("{")[0].split(" ")[0] for l in text.decode().splitlines() if l and not l.startswith("#")}
    stored = set(d.get("/api/v1/label/__name__/values", **{"match[]": '{job="node"}'})["data"])
    missing = direct - stored
    assert not missing, f"{len(missing)} metrics of node_exporter are not there: {sorted(missing)[:5]}"


@case
def python_prometheus_client(c):
    from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest
    from prometheus_client.openmetrics import exposition as openmetrics
    registry = CollectorRegistry()
    Counter("py_served", "served", ["model"], registry=registry).labels("b").inc(7)
    h = Histogram("py_seconds", "latency", registry=registry, buckets=(0.5, 1))
    h.observe(0.25, {"trace_id": "abc"})
    h.observe(3)
    Info("py_build", "build", registry=registry).info({"version": 'x"y'})
    status, _, body = c.daemon.post("/api/v1/import/prometheus?extra_label=via=classic", generate_latest(registry),
                                    "text/plain; version=0.0.4; charset=utf-8")
    assert status == 204, body
    status, _, body = c.daemon.post("/api/v1/import/prometheus?extra_label=via=openmetrics",
                                    gzip.compress(openmetrics.generate_latest(registry)), openmetrics.CONTENT_TYPE_LATEST,
                                    Content_Encoding="gzip")
    assert status == 204, body
    for via in ("classic", "openmetrics"):
        assert c.daemon.value(f'py_served_total{{via="{via}",model="b"}}') == 7
        assert c.daemon.value(f'py_seconds_bucket{{via="{via}",le="0.5"}}') == 1
        assert c.daemon.value(f'py_seconds_sum{{via="{via}"}}') == 3.25
        assert c.daemon.query(f'py_build_info{{via="{via}"}}')[0]["metric"]["version"] == 'x"y'
    exemplars = c.daemon.get("/api/v1/query_exemplars", query="rate(py_seconds_bucket[1m])")["data"]
    assert len(exemplars) == 1, exemplars
    assert exemplars[0]["seriesLabels"] == {"__name__": "py_seconds_bucket", "le": "0.5", "via": "openmetrics"}, exemplars
    assert [(e["labels"], e["value"]) for e in exemplars[0]["exemplars"]] == [({"trace_id": "abc"}, "0.25")], exemplars


@case
def prometheus_reads_back(c):
    """Prometheus with no data of its own reads Plumbline's through remote read, and scrapes its /federate."""
    port, folder, d = free_port(), c.folder / "reader", c.daemon
    folder.mkdir()
    daemon = d.http.removeprefix("http://")
    begin = int(time.time()) - 3600
    lines = "".join(f'read_back_total{{i="{i}"}} {i + n * (i + 0.1)!r} {(begin + 15 * n) * 1000 + i}\n' for i in range(3) for n in range(240))
    status, _, body = d.post("/api/v1/import/prometheus", lines + 'read_back_now{i="x"} 7\n', "text/plain")
    assert status in (200, 204), (status, body)
    (folder / "prometheus.yml").write_text(f"""
global: {{ scrape_interval: 1s }}
remote_read: [{{ url: "http://{daemon}/api/v1/read", read_recent: true }}]
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: {{ "match[]": ['{{__name__="read_back_now"}}'] }}
    metric_relabel_configs: [{{ target_label: via, replacement: federate }}]
    static_configs: [{{ targets: ["{daemon}"] }}]
""")
    prometheus = Process([peer("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                          f"--web.listen-address=127.0.0.1:{port}"], folder / "log")

    def ask(path, **params):
        status, _, body = call("GET", f"http://127.0.0.1:{port}{path}?" + urllib.parse.urlencode(params))
        assert status == 200, (status, body)
        return json.loads(body)["data"]["result"]

    try:
        wait_for("Prometheus is ready", lambda: call("GET", f"http://127.0.0.1:{port}/-/ready")[0] == 200)
        for expression in ("read_back_total[1h]", "rate(read_back_total[5m])", 'sum by (i) (increase(read_back_total{i=~"1|2"}[30m]))'):
            at = begin + 3500
            theirs, ours = ask("/api/v1/query", query=expression, time=at), d.query(expression, time=at)
            key = lambda r: json.dumps(r["metric"], sort_keys=True)
            assert theirs and sorted(theirs, key=key) == sorted(ours, key=key), (expression, theirs, ours)
        scraped = wait_for("the federated sample", lambda: ask("/api/v1/query", query='read_back_now{i="x",via="federate"}'))
        assert scraped[0]["value"][1] == "7", scraped
        streamed = remote_read.chunks(d.http, "read_back_total", 0, 2**62)
        assert {k: len(v) for k, v in streamed.items()} == {f'read_back_total{{i="{i}"}}': 240 for i in range(3)}, streamed
        for i in range(3):
            assert streamed[f'read_back_total{{i="{i}"}}'] == [((begin + 15 * n) * 1000 + i, i + n * (i + 0.1)) for n in range(240)]
        # Prometheus gives on what it read here, in chunks that it encodes itself: one decoder reads both.
        theirs = remote_read.chunks(f"http://127.0.0.1:{port}", "read_back_total", 0, 2**62)
        assert theirs == streamed, theirs
    finally:
        prometheus.stop()


@case
def prometheus_remote_write_and_scrape(c):
    """Prometheus scrapes node_exporter, Plumbline and a program with exemplars, and remote-writes all of it here: every sample and
    exemplar must come back the same."""
    import prometheus_client
    port, folder = free_port(), c.folder / "prometheus"
    folder.mkdir()
    registry, traced_port = prometheus_client.CollectorRegistry(), free_port()
    traced = prometheus_client.Histogram("rw_seconds", "latency", registry=registry, buckets=(0.5, 1))
    for value, trace in ((0.25, "aa"), (0.75, "bb"), (7, "cc")):
        traced.observe(value, {"trace_id": trace})
    prometheus_client.start_http_server(traced_port, "127.0.0.1", registry)  # ends with this process: its thread is a daemon's
    daemon = c.daemon.http.removeprefix("http://")
    (folder / "prometheus.yml").write_text(f"""
global: {{ scrape_interval: 1s, external_labels: {{ origin: prometheus }} }}
scrape_configs:
  - job_name: rw-node
    static_configs: [{{ targets: ["127.0.0.1:{c.node_port}"] }}]
  - job_name: rw-plumbline
    static_configs: [{{ targets: ["{daemon}"] }}]
  - job_name: rw-traced
    static_configs: [{{ targets: ["127.0.0.1:{traced_port}"] }}]
remote_write:
  - url: http://{daemon}/api/v1/write
    send_exemplars: true
    queue_config: {{ batch_send_deadline: 1s }}
    metadata_config: {{ send_interval: 1s }}
""")
    prometheus = Process([peer("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                          f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage"], folder / "log")
    try:
        d = c.daemon
        wait_for("Plumbline is up for Prometheus", lambda: d.query('up{origin="prometheus",job="rw-plumbline"} == 1'), 90)
        wait_for("some scrapes", lambda: len(d.query('up{origin="prometheus",job="rw-node"}[1m]')[0]["values"]) >= 8, 60)
        at = time.time() - 3  # what is older has left the queue
        wait_for("the queue has moved on", lambda: d.query('timestamp(up{origin="prometheus",job="rw-node"})')[0]
                 and float(d.query('timestamp(up{origin="prometheus",job="rw-node"})')[0]["value"][1]) > at, 30)
        compared = 0
        for selector in ('{job="rw-node"}', '{job="rw-plumbline"}'):
            _, _, body = call("GET", f"http://127.0.0.1:{port}/api/v1/query?query={selector.replace('{', '%7B').replace('}', '%7D').replace('=', '%3D').replace(chr(34), '%22')}%5B20s%5D&time={at:.3f}")
            theirs = {json.dumps(r["metric"], sort_keys=True): r["values"] for r in json.loads(body)["data"]["result"]}
            ours = {}
            for r in d.query(selector[:-1] + ',origin="prometheus"}[20s]', time=f"{at:.3f}"):
                metric = {k: v for k, v in r["metric"].items() if k != "origin"}
                ours[json.dumps(metric, sort_keys=True)] = r["values"]
            assert len(theirs) > 50, f"Prometheus itself has {len(theirs)} series for {selector}"
            for key, values in theirs.items():
                assert ours.get(key) == values, f"{key}: theirs {values}, ours {ours.get(key)}"
                compared += len(values)
            assert set(ours) == set(theirs), set(ours) ^ set(theirs)
        print(f"   {compared} samples compared with Prometheus' own, all the same")
        exemplars = "query=rw_seconds_bucket&start=" + str(at - 3600) + "&end=" + str(at + 60)
        _, _, body = call("GET", f"http://127.0.0.1:{port}/api/v1/query_exemplars?{exemplars}")
        theirs = json.loads(body)["data"]
        ours = json.loads(call("GET", f"{d.http}/api/v1/query_exemplars?{exemplars}")[2])["data"]
        for series in ours:
            assert series["seriesLabels"].pop("origin") == "prometheus", series
        by_series = lambda found: sorted(found, key=lambda s: s["seriesLabels"]["le"])
        assert len(theirs) == 3 and by_series(ours) == by_series(theirs), (ours, theirs)
        assert d.get("/api/v1/metadata", metric="node_load1")["data"]["node_load1"][0]["type"] == "gauge"
    finally:
        prometheus.stop()


@case
def california_housing(c):
    """The real data set through the inference door: predictions by hour, labels later, the realised ROC-AUC by month."""
    data, d = shared_data() / "california_housing", c.daemon
    status, _, body = d.post("/api/v1/models/housing/references?name=training", (data / "reference.csv").read_bytes(), "text/csv")
    assert status == 200, body
    features = ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"]
    with open(data / "analysis.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    with open(data / "analysis_gt.csv", newline="") as f:
        labels = list(csv.DictReader(f))
    records = [json.dumps({"model": "housing", "version": "1", "prediction_id": r["id"], "time": r["timestamp"].replace(" ", "T") + "Z",
                           "features": {n: float(r[n]) for n in features}, "prediction": int(r["y_pred"]),
                           "score": float(r["y_pred_proba"])}) for r in rows]
    for i in range(0, len(records), 2000):
        status, _, body = d.post("/api/v1/inferences", "\n".join(records[i:i + 2000]), "application/x-ndjson")
        assert status == 200 and json.loads(body)["refused"] == 0, body
    before = d.get("/api/v1/models/housing/performance", start="2021-06-01T00:00:00Z", end="2022-06-01T00:00:00Z")["data"]
    assert before["labelled"] == 0 and before["predictions"] > 8000, before
    status, _, body = d.post("/api/v1/inferences/labels", json.dumps(
        [{"model": "housing", "prediction_id": r["id"], "label": int(float(r["clf_target"]))} for r in labels]))
    assert status == 200 and json.loads(body)["accepted"] == len(labels), body
    wanted = {"2021-06": .8842, "2021-07": .7601, "2021-08": .7043, "2021-09": .6698, "2022-03": .7049}
    for month, auc in wanted.items():
        year, m = map(int, month.split("-"))
        end = f"{year + m // 12}-{m % 12 + 1:02}-01T00:00:00Z"
        p = d.get("/api/v1/models/housing/performance", start=month + "-01T00:00:00Z", end=end)["data"]
        assert abs(p["roc_auc"] - auc) < 6e-5, (month, p["roc_auc"], auc)
        assert p["labelled"] == p["predictions"], p
    report = d.get("/api/v1/models/housing/drift", reference="training", statistic="psi,ks,missing_rate",
                   start="2021-08-01T00:00:00Z", end="2021-09-01T00:00:00Z")["data"]
    scores = {(s["feature"], s["statistic"]): s for s in report["scores"]}
    assert set(f for f, _ in scores) == set(features), scores.keys()
    assert scores["Latitude", "psi"]["verdict"] == "drifted" and scores["Latitude", "psi"]["value"] > 1, scores["Latitude", "psi"]
    assert scores["Latitude", "missing_rate"]["value"] == 0
    # A segment is a smaller window with the same reference.
    part = d.get("/api/v1/models/housing/drift", reference="training", statistic="ks", where="MedInc >= 5",
                 start="2021-08-01T00:00:00Z", end="2021-09-01T00:00:00Z")["data"]
    assert 0 < part["window_rows"] < report["window_rows"], (part["window_rows"], report["window_rows"])
    # Pinning a stored window makes the next reference.
    status, _, body = d.post("/api/v1/models/housing/references?name=june&start=2021-06-01T00:00:00Z&end=2021-07-01T00:00:00Z", b"")
    assert status == 200, body
    same = d.get("/api/v1/models/housing/drift", reference="june", statistic="psi,ks",
                 start="2021-06-01T00:00:00Z", end="2021-07-01T00:00:00Z")["data"]
    assert all(s["value"] < 1e-9 for s in same["scores"]), same["scores"]


@case
def bad_input(c):
    """Each is refused with words that name the place; the good part of a batch is kept; the daemon goes on."""
    d = c.daemon
    checks = [
        ("GET", "/nowhere", b"", {}, 404, "nowhere"),
        ("DELETE", "/api/v1/query", b"", {}, 405, "DELETE"),
        ("POST", "/api/v1/write", b"xx", {"Content-Type": "application/x-protobuf"}, 400, "snappy"),
        ("POST", "/api/v1/write", b"\xff\xff\xff\xff\x0f\x00", {"Content-Type": "application/x-protobuf"}, 413, "limit"),
        ("POST", "/api/v1/write", b"{}", {"Content-Type": "application/json"}, 415, "application/x-protobuf"),
        ("POST", "/v1/metrics", b"\xff", {"Content-Type": "application/x-protobuf"}, 400, ""),
        ("POST", "/v1/logs", b'{"resourceLogs":[{', {"Content-Type": "application/json"}, 400, ""),
        ("POST", "/v1/traces", gzip.compress(b"x" * 100)[:20], {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 400, "gzip"),
        ("POST", "/v1/traces", gzip.compress(b" " * (100 << 20)), {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 413, "limit"),
        ("POST", "/v1/logs", b"x", {"Content-Type": "text/html"}, 415, "application/json"),
        ("POST", "/v1/logs", b"[" * 100000, {"Content-Type": "application/json"}, 400, ""),
        ("POST", "/loki/api/v1/push", b'{"streams":[{"stream":{"a":"b"},"values":[[1,"x"]]}]}', {"Content-Type": "application/json"}, 400, ""),
        ("POST", "/api/v1/inferences", b'{"model":', {"Content-Type": "application/json"}, 400, "row 1"),
        ("GET", "/api/v1/query?query=sum(", b"", {}, 400, "1:5"),
        ("GET", "/api/v1/query?query=up%5B5m%5D&time=x", b"", {}, 400, "time"),
        ("GET", "/api/v1/query_range?query=up&start=0&end=10&step=0", b"", {}, 400, "step"),
        ("GET", "/api/v1/query_range?query=up&start=0&end=1000000&step=1", b"", {}, 400, "11,000"),
        ("GET", "/api/v1/query?query=" + "(" * 5000, b"", {}, 400, ""),
        ("GET", "/loki/api/v1/query_range?query=%7Ba%3D", b"", {}, 400, ""),
        ("GET", "/jaeger/api/traces/zz", b"", {}, 400, ""),
        ("GET", "/jaeger/api/traces/0123456789abcdef0123456789abcdef", b"", {}, 404, "trace"),
        ("GET", "/api/v1/models/nobody/drift?reference=x", b"", {}, 404, "nobody"),
        ("GET", "/api/v1/query?query=%zz", b"", {}, 400, ""),
    ]
    for method, path, body, headers, wanted, words in checks:
        status, _, answer = call(method, d.http + path, body or None, headers)
        text = answer.decode(errors="replace")
        assert status == wanted and words in text, f"{method} {path[:80]}: {status} {text[:300]}; wanted {wanted} with '{words}'"
    # Good rows stay.
    status, _, body = d.post("/api/v1/import/prometheus", "good_one 1\nbad{ 2\ngood_two 3\nbad_value x\n", "text/plain")
    assert status == 400 and b"line 2" in body and b"line 4" in body, body
    assert d.value("good_one") == 1 and d.value("good_two") == 3
    rows = [{"model": "mixed", "features": {"age": 1}}, {"model": "mixed", "features": {"age": "old"}}, {"features": {"age": 2}},
            {"model": "mixed", "features": {"age": 3}, "colour": 1}, {"model": "mixed", "features": {"age": 4}}]
    status, _, body = d.post("/api/v1/inferences", "\n".join(map(json.dumps, rows)), "application/x-ndjson")
    answer = json.loads(body)
    assert status == 200 and answer["accepted"] == 2 and answer["refused"] == 3, answer
    reasons = {e["reason"]: e["message"] for e in answer["errors"]}
    assert set(reasons) == {"wrong_type", "missing_model", "unknown_key"}, answer
    assert "row 2" in reasons["wrong_type"] and '"age" is a number, got a string' in reasons["wrong_type"], answer
    refused = d.get  # the counters name every reason
    _, _, metrics = call("GET", d.http + "/metrics")
    assert b'reason="wrong_type"' in metrics, "no counter for wrong_type"
    assert refused("/api/v1/status/buildinfo")["status"] == "success"


@case
def query_command(c):
    """`plumbline query` in its four formats, and its exit status when it is refused and when there is nobody to ask."""
    d = c.daemon
    body = 'asked{job="a,\\"b\\"",zone="x"} 1.5 1700000000000\nasked{job="c"} 2 1700000000000\nasked{job="c"} 3 1700000060000\n'
    assert d.post("/api/v1/import/prometheus", body, "text/plain")[0] == 204

    def ask(expression, *arguments, url=d.http):
        done = subprocess.run([c.binary, "query", expression, "--url", url, *arguments], capture_output=True, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    at, over = ("--time", "1700000000"), ("--start", "1700000000", "--end", "1700000060", "--step", "60")
    status, out, _ = ask("asked", *at, "--format", "json")
    assert status == 0 and json.loads(out)["data"]["result"] == d.query("asked", time=1700000000), out
    status, out, _ = ask("sort(asked)", *at)
    assert (status, out) == (0, 'asked{job="a,\\"b\\"", zone="x"} => 1.5 @[1700000000]\nasked{job="c"} => 2 @[1700000000]\n'), out
    status, out, _ = ask("asked", *over, "--format", "csv")
    rows = list(csv.reader(out.splitlines()))
    assert status == 0 and out.endswith("\r\n") and rows[0] == ["__name__", "job", "zone", "timestamp", "value"], out
    assert sorted(rows[1:]) == [["asked", 'a,"b"', "x", "1700000000", "1.5"], ["asked", 'a,"b"', "x", "1700000060", "1.5"],
                                ["asked", "c", "", "1700000000", "2"], ["asked", "c", "", "1700000060", "3"]], out
    status, out, _ = ask('asked{job="c"}', *over, "--format", "promql")
    assert (status, out) == (0, 'asked{job="c"} 2 @ 1700000000\nasked{job="c"} 3 @ 1700000060\n'), out
    status, out, err = ask("sum(")
    assert status == 1 and not out and "1:5: parse error" in err, (status, out, err)
    status, out, err = ask("1", url=f"http://127.0.0.1:{free_port()}")
    assert status == 2 and not out and err, (status, out, err)
    status, out, err = ask("1", url=f"http://127.0.0.1:{c.node_port}")
    assert status == 2 and not out and "not a query answer" in err, (status, out, err)
    assert ask("1", "--format", "xml")[0] > 100


@case
def grafana_data_source(c):
    query_api.grafana_data_source(c.daemon)


@case
def status_and_targets(c):
    query_api.status_and_targets(c.daemon, c.node_port)


@case
def limits_of_queries(c):
    query_api.limits_of_queries(c.daemon)


@case
def restart_keeps_everything(c):
    d = c.daemon
    t = time.time()
    names = d.get("/api/v1/label/__name__/values")["data"]
    before = {e: d.query(e, time=t) for e in ("grpc_metric[10m]", "py_served_total", "count by (__name__) ({__name__=~\"py_.*|grpc_.*\"})")}
    drift = d.get("/api/v1/models/housing/drift", reference="training", start="2021-08-01T00:00:00Z", end="2021-09-01T00:00:00Z")["data"]
    d.restart()
    assert set(names) <= set(d.get("/api/v1/label/__name__/values")["data"])
    for e, result in before.items():
        key = lambda r: json.dumps(r["metric"], sort_keys=True)
        assert sorted(d.query(e, time=t), key=key) == sorted(result, key=key), e
    assert d.get("/api/v1/models/housing/drift", reference="training", start="2021-08-01T00:00:00Z", end="2021-09-01T00:00:00Z")["data"] == drift


@case
def demonstration_and_rules(c):
    """The demonstration on California housing: both webhooks come; then rules reload, and alert state outlives a restart."""
    receiver = free_port()
    text = (ROOT / "deploy/examples/quickstart.yaml").read_text().replace(":9471", f":{receiver}")
    d = Daemon(c.binary, c.folder / "demo", text).start()
    try:
        data, report = shared_data() / "california_housing", c.folder / "demo.json"
        done = subprocess.run(["/usr/bin/python3", ROOT / "deploy/demo/demo.py", "--url", d.http, "--csv", data / "analysis.csv",
                               "--labels-csv", data / "analysis_gt.csv", "--receiver-port", str(receiver), "--report", report,
                               "--quiet", "--wait", "90"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr + d.process.text()[-3000:]
        sent = json.loads(report.read_text())
        for body in sent["webhooks"]:
            assert body["version"] == "4" and body["receiver"] == "demo" and body["groupKey"], body
            assert all(len(a["fingerprint"]) == 16 for a in body["alerts"]), body
        end = sent["end"]
        total = sum(d.query(f'http_requests_total{{job="credit-risk"}}', time=end)[i]["value"][1] != "" and
                    int(d.query(f'http_requests_total{{job="credit-risk"}}', time=end)[i]["value"][1]) for i in range(2))
        assert total == sum(sent["requests"].values()), (total, sent["requests"])
        rows = d.get("/api/v1/models/credit-risk/performance", start=sent["start"], end=end + 60)["data"]
        assert rows["predictions"] == sent["sent"]["inferences"] and rows["labelled"] == sent["sent"]["labels"], (rows, sent["sent"])
        trace = d.get("/jaeger/api/traces/" + sent["last_span"]["traceId"])["data"][0]
        assert trace["spans"][0]["spanID"] == sent["last_span"]["spanId"]
        assert d.query("plumbline_slo_burn_rate") and d.query("plumbline_drift_score"), "scores are not series"
        assert d.query('ALERTS{alertstate="firing"}'), "no ALERTS series"

        firing = {(a["labels"]["alertname"], a["labels"].get("feature", "")): a["activeAt"] for a in d.get("/api/v1/alerts")["data"]["alerts"] if a["state"] == "firing"}
        assert firing
        d.restart()
        after = {(a["labels"]["alertname"], a["labels"].get("feature", "")): a["activeAt"] for a in d.get("/api/v1/alerts")["data"]["alerts"] if a["state"] == "firing"}
        assert {k: after.get(k) for k in firing} == firing, (firing, after)

        # A bad file is refused whole: the old rules go on.
        old = d.get("/api/v1/rules")["data"]
        d.config_file.write_text(text.replace("sum(rate(http_requests_total", "sum(rate(http_requests_total[", 1) + "\nnonsense: 1\n")
        status, _, body = d.reload()
        assert status == 400 and b"nonsense" in body and b"plumbline.yaml:" in body, body
        assert [g["name"] for g in d.get("/api/v1/rules")["data"]["groups"]] == [g["name"] for g in old["groups"]]
        # What only a restart changes is named, and the status goes on to say what runs.
        d.config_file.write_text(text.replace("SlowPredictions", "VerySlowPredictions") + "\nquery:\n  lookback: 1m\n")
        for _ in range(2):
            status, _, body = d.reload()
            assert status == 200 and body == b"configuration reloaded; at the next restart: query.lookback\n", body
            assert d.get("/api/v1/status/flags")["data"]["query.lookback"] == "5m"
        names = [r["name"] for g in d.get("/api/v1/rules")["data"]["groups"] for r in g["rules"]]
        assert "VerySlowPredictions" in names and "SlowPredictions" not in names, names
    finally:
        d.process.kill()


@case
def backup_and_restore(c):
    """Written, backed up while the daemon runs, restored, verified, and read back from a second daemon."""
    d = c.daemon
    def cli(*arguments):
        return subprocess.run([c.binary, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    samples = "".join(f'kept{{n="{n}"}} {n}.5\n' for n in range(200))
    status, _, body = d.post("/api/v1/import/prometheus", samples, "text/plain")
    assert status in (200, 204), (status, body)
    done = cli("backup", "--url", d.http, "first")
    assert done.returncode == 0, done.stderr
    path = pathlib.Path(done.stdout.split(":")[0])
    assert path == d.folder / "data/backups/first" and (path / "BACKUP").is_file(), done.stdout
    for name, why in (("first", "already"), ("../out", "letters"), ("/tmp/out", "letters")):
        refused = cli("backup", "--url", d.http, name)
        assert refused.returncode == 1 and why in refused.stderr, (name, refused)
    running = cli("verify", d.folder / "data")
    assert running.returncode == 1 and "in use" in running.stderr, running
    target = c.folder / "restored" / "data"
    restored = cli("restore", path, target)
    assert restored.returncode == 0 and ": ok (" in restored.stdout, restored
    again = cli("restore", path, target)
    assert again.returncode == 1 and "not empty" in again.stderr, again
    verified = cli("verify", target)
    assert verified.returncode == 0 and ": ok (" in verified.stdout, verified
    other = Daemon(c.binary, c.folder / "restored").start()
    try:
        assert other.value("sum(kept)") == sum(n + 0.5 for n in range(200))
        assert other.value("count(kept)") == 200
        assert other.process.stop() == 0
        segment = sorted((target / "segments").glob("*.sst"))[0]
        damaged = bytearray(segment.read_bytes())
        damaged[len(damaged) // 2] ^= 4
        segment.write_bytes(damaged)
        found = cli("verify", target)
        assert found.returncode == 1 and segment.name in found.stdout, found
        assert f"plumbline verify --salvage {target} repairs a damaged directory" in found.stdout.splitlines()[-1], found
        salvaged = cli("verify", "--salvage", target)
        assert salvaged.returncode == 0 and ": ok (" in salvaged.stdout and f"moved: segments/{segment.name} to damaged-1/" in salvaged.stdout, salvaged
        assert (target / "damaged-1/segments" / segment.name).read_bytes() == damaged
        report = (target / "damaged-1/REPORT").read_text()
        assert f"moved: segments/{segment.name} to damaged-1/" in report and report in salvaged.stdout, report
        assert "salvages left" not in other.process.text()
        third = other.start()
        try:
            told = [line for line in third.process.text().splitlines() if "salvages left folders of damaged files" in line]
            assert len(told) == 1 and "level=info" in told[0] and "folders=damaged-1" in told[0], third.process.text()
            assert third.value("count(kept) or vector(0)") <= 200
            refused = cli("verify", "--salvage", target)
            assert refused.returncode == 1 and "in use" in refused.stderr, refused
            assert third.process.stop() == 0
        finally:
            third.process.kill()
    finally:
        other.process.kill()


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    wanted = set(sys.argv[2:])
    passed = failed = 0
    with Scratch("e2e") as folder:
        context = Context(binary, folder)
        try:
            for function in CASES:
                if wanted and function.__name__ not in wanted:
                    continue
                started = time.monotonic()
                try:
                    function(context)
                    passed += 1
                    print(f"ok   {function.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
                except Exception:
                    failed += 1
                    print(f"FAIL {function.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
                    traceback.print_exc()
                    if not context.daemon.process.alive():
                        print("the daemon has ended:\n" + context.daemon.process.text()[-4000:])
                        context.daemon.start()
        finally:
            context.close()
        print(f"{passed} passed, {failed} failed")
        if failed:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
