#!/usr/bin/env python3
"""kill -9 at random moments while every kind of data comes in; after each restart, all that was acknowledged must be there.

Usage: kill_daemon.py PLUMBLINE_BINARY [--kills 50] [--seed N]
An acknowledged request is one whose 2xx answer was read completely. What was sent and not acknowledged may be there or not,
as a whole or not at all, and never twice.
"""
import argparse
import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from harness import Daemon, Scratch, call

BATCH = 7  # rows per request: small, so that many requests are under way when the process dies


class Writer(threading.Thread):
    """Sends batches through one door until the daemon is gone; keeps what was acknowledged and what was merely sent."""

    def __init__(self, daemon, door, round_number, base_ms):
        super().__init__(daemon=True)
        self.url, self.door, self.round, self.base_ms = daemon.http, door, round_number, base_ms
        self.acknowledged, self.sent = [], []

    def run(self):
        n = 0
        while True:
            rows = list(range(n, n + BATCH))
            n += BATCH
            path, body, content_type = getattr(self, self.door)(rows)
            self.sent += rows
            try:
                status, _, answer = call("POST", self.url + path, body.encode(), {"Content-Type": content_type}, timeout=20)
            except OSError:
                return
            except Exception:  # http.client's own errors when the connection dies half-way through an answer
                return
            assert status in (200, 204), f"{path} answered {status}: {answer[:300]}"
            self.acknowledged += rows

    def samples(self, rows):
        lines = [f'crash_samples{{round="{self.round}"}} {i}.5 {self.base_ms + i}' for i in rows]
        return "/api/v1/import/prometheus", "\n".join(lines) + "\n", "text/plain"

    def inferences(self, rows):
        lines = [json.dumps({"model": f"crash-{self.round}", "prediction_id": f"i{i}", "time": self.base_ms + i,
                             "features": {"x": i + 0.25}, "prediction": i % 2}) for i in rows]
        return "/api/v1/inferences", "\n".join(lines), "application/x-ndjson"

    def labels(self, rows):
        lines = [json.dumps({"model": f"crash-{self.round}", "prediction_id": f"i{i}", "label": i % 2,
                             "time": self.base_ms + i}) for i in rows]
        return "/api/v1/inferences/labels", "\n".join(lines), "application/x-ndjson"

    def logs(self, rows):
        values = [[str((self.base_ms + i) * 1_000_000), f"line {i}"] for i in rows]
        return "/loki/api/v1/push", json.dumps({"streams": [{"stream": {"app": f"crash-{self.round}"}, "values": values}]}), "application/json"

    def spans(self, rows):
        spans = [{"traceId": f"{self.round + 1:016x}{i + 1:016x}", "spanId": f"{i + 1:016x}", "name": "work", "kind": 1,
                  "startTimeUnixNano": str((self.base_ms + i) * 10**6), "endTimeUnixNano": str((self.base_ms + i + 1) * 10**6)} for i in rows]
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "crash"}}]}
        return "/v1/traces", json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}), "application/json"


DOORS = ("samples", "inferences", "labels", "logs", "spans")


def verify(daemon, writers):
    w = {x.door: x for x in writers}
    r, base = w["samples"].round, w["samples"].base_ms
    top = base + max(len(x.sent) for x in writers) + 1000
    found = daemon.query(f'crash_samples{{round="{r}"}}[2h]', time=top / 1000)
    values = found[0]["values"] if found else []
    got = {round(t * 1000) - base: v for t, v in values}
    assert len(got) == len(values), "a timestamp came back twice"
    for i in w["samples"].acknowledged:
        assert got.get(i) == f"{i}.5", f"round {r}: acknowledged sample {i} is {got.get(i)}"
    assert set(got) <= set(w["samples"].sent)

    listed = daemon.lines(f'{{app="crash-{r}"}}', base * 10**6, top * 10**6) if w["logs"].sent else []
    # The read API caps a page; ask in pages of time until nothing is left.
    lines, at = {}, base * 10**6
    while True:
        page = daemon.get("/loki/api/v1/query_range", query=f'{{app="crash-{r}"}}', start=at, end=top * 10**6, limit=1000,
                          direction="forward")["data"]["result"]
        entries = [(int(t), line) for s in page for t, line, *_ in s["values"]]
        for t, line in entries:
            assert (t, line) not in lines, f"round {r}: line twice: {line}"
            lines[t, line] = True
        if len(entries) < 1000:
            break
        at = max(t for t, _ in entries) + 1
    assert len(listed) <= len(lines)
    for i in w["logs"].acknowledged:
        assert ((base + i) * 10**6, f"line {i}") in lines, f"round {r}: acknowledged line {i} is gone"

    if w["inferences"].acknowledged:
        p = daemon.get(f"/api/v1/models/crash-{r}/performance", start=base / 1000, end=top / 1000)["data"]
        acknowledged, sent = len(w["inferences"].acknowledged), len(w["inferences"].sent)
        assert acknowledged <= p["predictions"] <= sent, f"round {r}: {p['predictions']} records, acknowledged {acknowledged}, sent {sent}"
        joined = len(set(w["inferences"].acknowledged) & set(w["labels"].acknowledged))
        assert p["labelled"] >= joined, f"round {r}: {p['labelled']} labelled, {joined} acknowledged on both sides"
        if p["labelled"]:
            assert p["accuracy"] == 1, f"round {r}: a label or prediction changed: {p}"
    acknowledged = w["spans"].acknowledged
    for i in random.sample(acknowledged, min(20, len(acknowledged))):
        trace = daemon.get(f"/jaeger/api/traces/{r + 1:016x}{i + 1:016x}")["data"][0]
        assert len(trace["spans"]) == 1, f"round {r}: span {i}: {trace['spans']}"
    return sum(len(x.acknowledged) for x in writers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    a = parser.parse_args()
    print(f"seed {a.seed}", flush=True)
    rng = random.Random(a.seed)
    total = 0
    with Scratch("kill") as folder:
        # A small head, so that sealing and journal trimming are under way too when the process dies.
        daemon = Daemon(a.binary, folder, "storage: { head_bytes_max: 4MiB }\n").start()
        rounds = []
        try:
            for r in range(a.kills):
                base = int(time.time() * 1000) - 3_600_000
                writers = [Writer(daemon, door, r, base) for door in DOORS]
                for w in writers:
                    w.start()
                time.sleep(rng.choice([rng.uniform(0.01, 0.2), rng.uniform(0.2, 1.5)]))  # the moment of death, not a wait
                daemon.process.kill()
                for w in writers:
                    w.join()
                daemon.start()
                total += verify(daemon, writers)
                rounds.append(writers)
            for writers in rounds:  # and nothing was lost by a later death
                verify(daemon, writers)
            assert daemon.process.stop() == 0
            daemon.start()  # nor by the seal of a clean stop
            for writers in rounds:
                verify(daemon, writers)
        finally:
            daemon.process.kill()
    print(f"{a.kills} kills, {total} acknowledged rows, 0 lost, 0 twice")


if __name__ == "__main__":
    main()
