"""Prometheus' HTTP API over real sockets: Grafana's requests, what the daemon tells of itself, and how it bounds queries."""
import json
import re
import socket
import time
import urllib.parse

import grafana
from harness import call, wait_for


def grafana_data_source(d):
    end = int(time.time()) - 5
    start = end - 600
    lines = [f'grafana_requests_total{{job="web",code="{code}"}} {n * (i + 1)} {(start + i * 15) * 1000}'
             for i in range(41) for code, n in (("200", 7), ("500", 1))]
    status, _, body = d.post("/api/v1/import/prometheus", "\n".join(["# TYPE grafana_requests_total counter", *lines, ""]), "text/plain")
    assert status < 300, body
    sent = grafana.replay(d.http, "grafana_requests_total", start, end)
    assert sent > 50, sent
    # Grafana's own answer is small enough to count by hand.
    found = d.query("sum by (code) (increase(grafana_requests_total[1m]))", time=end)
    assert {r["metric"]["code"]: float(r["value"][1]) for r in found} == {"200": 28, "500": 4}, found


def status_and_targets(d, node_port):
    info = d.get("/api/v1/status/runtimeinfo")["data"]
    assert list(info) == ["startTime", "CWD", "hostname", "serverTime", "reloadConfigSuccess", "lastConfigTime", "corruptionCount",
                          "goroutineCount", "GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG", "storageRetention"], info
    assert info["startTime"] <= info["lastConfigTime"] <= info["serverTime"] and info["hostname"] and info["goroutineCount"] > 5, info
    assert info["storageRetention"] == "20y" and info["reloadConfigSuccess"] is True, info
    # A refused reload is told, a good one again.
    good = d.config_file.read_text()
    d.config_file.write_text("nonsense: 1\n")
    assert d.reload()[0] == 400
    assert d.get("/api/v1/status/runtimeinfo")["data"]["reloadConfigSuccess"] is False
    d.config_file.write_text(good)
    assert d.reload()[0] == 200
    assert d.get("/api/v1/status/runtimeinfo")["data"]["reloadConfigSuccess"] is True

    yaml = d.get("/api/v1/status/config")["data"]["yaml"]
    assert "job_name: prom-client" in yaml and "<secret>" in yaml and "T0KEN" not in yaml, yaml
    flags = d.get("/api/v1/status/flags")["data"]
    assert flags["storage.retention"] == "20y" and flags["query.timeout"] == "2m" and flags["config.file"] == str(d.config_file), flags
    assert all(isinstance(v, str) for v in flags.values()), flags
    replay = d.get("/api/v1/status/walreplay")["data"]
    assert replay["min"] <= replay["current"] == replay["max"], replay
    assert d.get("/api/v1/alertmanagers")["data"] == {"activeAlertmanagers": [], "droppedAlertmanagers": []}
    assert d.get("/api/v1/notifications")["status"] == "success"  # our outbox's, as before

    assert d.get("/api/v1/scrape_pools")["data"] == {"scrapePools": ["node", "prom-client"]}
    up = wait_for("node_exporter is scraped", lambda: [t for t in d.get("/api/v1/targets", state="active")["data"]["activeTargets"]
                                                       if t["scrapePool"] == "node" and t["health"] == "up"])
    assert up[0]["labels"] == {"instance": f"127.0.0.1:{node_port}", "job": "node"}, up
    dropped = d.get("/api/v1/targets", state="dropped", scrapePool="node")["data"]
    assert dropped == {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {"node": 0, "prom-client": 0}}, dropped
    load = d.get("/api/v1/targets/metadata", match_target='{job="node"}', metric="node_load1")["data"]
    assert load == [{"target": up[0]["labels"], "type": "gauge", "help": "1m load average.", "unit": ""}], load
    everything = d.get("/api/v1/targets/metadata", match_target='{job="node"}')["data"]
    assert len(everything) > 100 and all(set(m) == {"target", "metric", "type", "help", "unit"} for m in everything), everything[:3]
    status, _, body = call("GET", d.http + "/api/v1/targets/metadata?metric=none_of_this_name")
    assert status == 404 and json.loads(body)["errorType"] == "not_found", body


def metric(d, name):
    """The sum over all series of one of the daemon's own metrics that carry the given text."""
    text = call("GET", d.http + "/metrics")[2].decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def limits_of_queries(d):
    # Other origins: told what they may do, on what only reads, when the configuration names them.
    good, evil = {"Origin": "https://grafana.example"}, {"Origin": "https://grafana.example.evil"}
    status, headers, _ = call("OPTIONS", d.http + "/api/v1/query", headers=good)
    assert status == 204 and headers["Access-Control-Allow-Origin"] == good["Origin"], headers
    assert set(re.split(", ", headers["Allow"])) == {"GET", "HEAD", "OPTIONS", "POST"}, headers
    status, headers, _ = call("GET", d.http + "/api/v1/query?query=1", headers=good)
    assert status == 200 and headers["Access-Control-Allow-Origin"] == good["Origin"], headers
    for method, path, origin in (("GET", "/api/v1/query?query=1", evil), ("OPTIONS", "/api/v1/write", good), ("OPTIONS", "/-/reload", good)):
        headers = call(method, d.http + path, headers=origin)[1]
        assert not any(name.startswith("Access-Control-") for name in headers), (path, headers)

    # Codings.
    for coding, magic in (("gzip", b"\x1f\x8b"), ("zstd", b"\x28\xb5\x2f\xfd"), ("gzip;q=0.5, zstd", b"\x28\xb5\x2f\xfd")):
        _, headers, body = call("GET", d.http + "/api/v1/status/flags", headers={"Accept-Encoding": coding})
        assert headers["Content-Encoding"] == ("gzip" if coding == "gzip" else "zstd") and body.startswith(magic), (coding, headers)

    # A query of many seconds (each of its windows is walked through) whose client goes ends at once, and is counted.
    query = urllib.parse.urlencode({"query": "stddev_over_time(vector(1)[1h:10ms])", "start": 0, "end": 10999, "step": 1})
    before = metric(d, 'plumbline_queries_total{result="cancelled"}')
    assert metric(d, 'plumbline_http_running{lane="query"}') == 0
    host, port = d.http.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)))
    client.sendall(f"GET /api/v1/query_range?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    wait_for("the query runs", lambda: metric(d, 'plumbline_http_running{lane="query"}') == 1)
    client.close()
    wait_for("the query is cancelled", lambda: metric(d, 'plumbline_queries_total{result="cancelled"}') == before + 1)
    wait_for("its worker is free", lambda: metric(d, 'plumbline_http_running{lane="query"}') == 0)

    # What it would have read, without running it.
    wait_for("something is scraped", lambda: len(d.query("up")) > 0)
    plan = d.get("/api/v1/plan", query="sum(rate(up[1m]))", start=int(time.time()) - 600, end=int(time.time()) + 15, step=15)["data"]
    node = plan["plan"]
    assert node["node"] == "aggregation" and node["children"][0]["node"] == "call", plan
    selector = node["children"][0]["children"][0]
    assert selector["fused"] is True, plan
    assert selector["read"]["from"] == "samples" and selector["read"]["series"] >= 1 and selector["read"]["samples"] >= 1, plan
