#!/usr/bin/env python3
"""A model server in compressed time: two hours of traffic are sent to Plumbline in seconds, then it goes on live.

Metrics with request latency and errors, log lines, spans, inference records, and labels that arrive late. Towards the end the
error ratio rises and one feature shifts, so an SLO burns and a drift rule fires. A receiver prints the webhooks that come.

The traffic is made by a seeded generator, or read from a CSV (--csv FILE: numeric columns are features, optional columns
`y_pred_proba` and `y_pred` are score and prediction; --labels-csv FILE with `id,clf_target` are late labels).
Python's standard library only.
"""
import argparse
import csv
import http.server
import json
import random
import sys
import threading
import time
import urllib.error
import urllib.request

MODEL = "credit-risk"
STEP_S = 15             # one scrape
HISTORY_S = 2 * 3600    # traffic before now
ERRORS_FROM_S = 15 * 60  # before the end: 10 % of requests fail
SHIFT_FROM_S = 45 * 60   # before the end: a feature shifts
LABEL_DELAY_S = 10 * 60
BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0]


class Receiver:
    """Prints Alertmanager webhooks (version 4) and remembers them."""

    def __init__(self, port, quiet):
        self.received = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.received.append(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if not quiet:
                    for alert in body["alerts"]:
                        labels = alert["labels"]
                        print(f"  webhook: {alert['status']} {labels.get('alertname')} "
                              f"{ {k: v for k, v in labels.items() if k != 'alertname'} }", flush=True)
                        for key, value in alert["annotations"].items():
                            print(f"           {key}: {value}", flush=True)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def alerts(self, status="firing"):
        return [a for body in self.received for a in body["alerts"] if a["status"] == status]


class Plumbline:
    def __init__(self, url):
        self.url = url.rstrip("/")

    def call(self, method, path, body=None, content_type="application/json"):
        request = urllib.request.Request(self.url + path, data=body, method=method)
        if body is not None:
            request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    def post(self, path, body, content_type="application/json"):
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        status, answer = self.call("POST", path, body, content_type)
        if status >= 300:
            raise SystemExit(f"POST {path} answered {status}: {answer.decode(errors='replace')[:500]}")
        return answer

    def get(self, path):
        status, answer = self.call("GET", path)
        if status >= 300:
            raise SystemExit(f"GET {path} answered {status}: {answer.decode(errors='replace')[:500]}")
        return json.loads(answer)


class Generator:
    """Loan applications: four numbers and a category. `shifted` moves income, as after a change of the upstream feed."""

    shifted_feature = "income"

    def __init__(self, seed):
        self.random = random.Random(seed)

    def row(self, shifted):
        r = self.random
        income = r.lognormvariate(10.4, 0.5) * (1.8 if shifted else 1.0)
        features = {"income": round(income, 2), "age": round(min(90, max(18, r.gauss(42, 13)))),
                    "debt_ratio": round(r.betavariate(2, 5), 4), "open_accounts": r.randint(0, 20),
                    "region": r.choice(["north", "north", "south", "east", "west"])}
        risk = 0.25 + 0.5 * features["debt_ratio"] - 0.1 * (features["income"] > 40000) + r.gauss(0, 0.1)
        score = round(min(0.99, max(0.01, risk)), 3)
        return features, score, int(score > 0.4), int(r.random() < score)

    def reference(self, rows):
        return [self.row(False)[0] for _ in range(rows)]


class CsvTraffic:
    """Rows of a CSV in their order, over and over; `shifted` adds half of its mean to the first feature."""

    reserved = ("id", "timestamp", "y_pred_proba", "y_pred", "clf_target")

    def __init__(self, path, labels_path, seed):
        with open(path, newline="") as f:
            self.rows = list(csv.DictReader(f))
        self.labels = {}
        if labels_path:
            with open(labels_path, newline="") as f:
                self.labels = {r["id"]: int(float(r["clf_target"])) for r in csv.DictReader(f)}
        self.names = [n for n in self.rows[0] if n not in self.reserved]
        self.shifted_feature = self.names[0]
        self.shift = 0.5 * sum(float(r[self.shifted_feature]) for r in self.rows) / len(self.rows)
        self.next = 0

    def row(self, shifted):
        source = self.rows[self.next % len(self.rows)]
        self.next += 1
        features = {n: float(source[n]) for n in self.names}
        if shifted:
            features[self.shifted_feature] += self.shift
        label = self.labels.get(source["id"], source.get("clf_target"))
        return (features, float(source["y_pred_proba"]), int(float(source["y_pred"])),
                None if label is None else int(float(label)))

    def reference(self, rows):
        return [{n: float(r[n]) for n in self.names} for r in self.rows[:rows]]


class ModelServer:
    """What a model server would send: state of its counters, and everything that happened in one step."""

    def __init__(self, traffic, seed, rows_per_step, shift_at, errors_at):
        self.traffic = traffic
        self.random = random.Random(seed + 1)
        self.rows_per_step = rows_per_step
        self.shift_at, self.errors_at = shift_at, errors_at
        self.requests = {"200": 0, "500": 0}
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.latency_sum = 0.0
        self.sequence = 0
        self.pending_labels = []  # (due, record)
        self.sent = {"samples": 0, "inferences": 0, "labels": 0, "logs": 0, "spans": 0}

    def step(self, t):
        """Returns (exposition text, inference records, labels, OTLP logs, OTLP spans) of the STEP_S seconds that end at t."""
        failing, shifted = t >= self.errors_at, t >= self.shift_at
        records, logs, spans = [], [], []
        for i in range(self.rows_per_step):
            at = t - STEP_S + (i + 1) * STEP_S / self.rows_per_step
            at_ns = int(at * 1e9)
            self.sequence += 1
            features, score, prediction, label = self.traffic.row(shifted)
            bad = self.random.random() < (0.10 if failing else 0.0002)
            latency = self.random.lognormvariate(-3.6, 0.5)
            self.requests["500" if bad else "200"] += 1
            self.latency_sum += latency
            for b, bound in enumerate(BUCKETS):
                self.buckets[b] += latency <= bound
            self.buckets[-1] += 1
            trace_id, span_id = f"{self.random.getrandbits(128) | 1:032x}", f"{self.random.getrandbits(64) | 1:016x}"
            prediction_id = f"p{self.sequence}"
            if not bad:
                records.append({"model": MODEL, "version": "3", "prediction_id": prediction_id, "time": at_ns // 1000000,
                                "features": features, "prediction": prediction, "score": score, "trace_id": trace_id,
                                "span_id": span_id, "latency_ms": round(latency * 1000, 3), "status": "ok",
                                "segment": {"channel": "web" if self.sequence % 3 else "app"}})
                if label is not None:
                    self.pending_labels.append((at + LABEL_DELAY_S, {"model": MODEL, "prediction_id": prediction_id,
                                                                     "label": label, "time": int((at + LABEL_DELAY_S) * 1000)}))
            if bad or i == 0:
                spans.append({"traceId": trace_id, "spanId": span_id, "name": "POST /predict", "kind": 2,
                              "startTimeUnixNano": str(at_ns - int(latency * 1e9)), "endTimeUnixNano": str(at_ns),
                              "attributes": [{"key": "http.status_code", "value": {"intValue": "500" if bad else "200"}}],
                              "status": {"code": 2 if bad else 1}})
                text = f"prediction {prediction_id} failed: feature store timed out" if bad else f"prediction {prediction_id} served"
                logs.append({"timeUnixNano": str(at_ns), "severityNumber": 17 if bad else 9, "severityText": "ERROR" if bad else "INFO",
                             "body": {"stringValue": text}, "traceId": trace_id, "spanId": span_id})
        labels = [l for due, l in self.pending_labels if due <= t]
        self.pending_labels = [(due, l) for due, l in self.pending_labels if due > t]
        return self.exposition(t), records, labels, logs, spans

    def exposition(self, t):
        ms = int(t * 1000)
        job = f'job="{MODEL}",instance="model-1:8080",model="{MODEL}"'
        lines = ["# TYPE http_requests_total counter"]
        lines += [f'http_requests_total{{{job},code="{code}"}} {n} {ms}' for code, n in self.requests.items()]
        lines.append("# TYPE request_duration_seconds histogram")
        for bound, n in zip([*map(str, BUCKETS), "+Inf"], self.buckets):
            lines.append(f'request_duration_seconds_bucket{{{job},le="{bound}"}} {n} {ms}')
        lines.append(f"request_duration_seconds_sum{{{job}}} {self.latency_sum} {ms}")
        lines.append(f"request_duration_seconds_count{{{job}}} {self.buckets[-1]} {ms}")
        lines.append("# TYPE model_queue_length gauge")
        lines.append(f"model_queue_length{{{job}}} {self.random.randint(0, 5)} {ms}")
        return "\n".join(lines) + "\n"

    def send(self, plumbline, steps):
        """One request per door for several steps, as a batching client would."""
        texts, records, labels, logs, spans = [], [], [], [], []
        for t in steps:
            text, r, l, lo, sp = self.step(t)
            texts.append(text)
            records += r
            labels += l
            logs += lo
            spans += sp
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": MODEL}}]}
        scope = {"name": "model-server"}
        plumbline.post("/api/v1/import/prometheus", "".join(texts), "text/plain")
        self.sent["samples"] += sum(not line.startswith("#") for text in texts for line in text.splitlines())
        if records:
            plumbline.post("/api/v1/inferences", "\n".join(map(json.dumps, records)), "application/x-ndjson")
        if labels:
            plumbline.post("/api/v1/inferences/labels", "\n".join(map(json.dumps, labels)), "application/x-ndjson")
        if logs:
            plumbline.post("/v1/logs", {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": logs}]}]})
        if spans:
            plumbline.post("/v1/traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]})
        for name, rows in (("inferences", records), ("labels", labels), ("logs", logs), ("spans", spans)):
            self.sent[name] += len(rows)
        return spans


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:9470")
    parser.add_argument("--csv", help="features, predictions and scores to replay instead of the generator's")
    parser.add_argument("--labels-csv", help="late labels of --csv")
    parser.add_argument("--reference-csv", help="reference of --csv; default: its first rows")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rows-per-step", type=int, default=15, help="predictions per 15 s of traffic")
    parser.add_argument("--receiver-port", type=int, default=9471)
    parser.add_argument("--wait", type=float, default=120, help="seconds to wait for both webhooks after the replay")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--report", help="write what was sent and received to this JSON file")
    arguments = parser.parse_args()
    say = (lambda *a: None) if arguments.quiet else (lambda *a: print(*a, flush=True))

    plumbline = Plumbline(arguments.url)
    receiver = Receiver(arguments.receiver_port, arguments.quiet)
    if arguments.csv:
        traffic = CsvTraffic(arguments.csv, arguments.labels_csv, arguments.seed)
    else:
        traffic = Generator(arguments.seed)

    say(f"seed {arguments.seed}; uploading the training data of model {MODEL} as its reference")
    if arguments.reference_csv:
        with open(arguments.reference_csv, "rb") as f:
            body = f.read()
    else:
        rows = traffic.reference(5000)
        names = list(rows[0])
        body = (",".join(names) + "\n" + "\n".join(",".join(str(r[n]) for n in names) for r in rows) + "\n").encode()
    plumbline.post(f"/api/v1/models/{MODEL}/references?name=training", body, "text/csv")

    now = time.time()
    end = int(now) // STEP_S * STEP_S
    start = end - HISTORY_S
    server = ModelServer(traffic, arguments.seed, arguments.rows_per_step, end - SHIFT_FROM_S, end - ERRORS_FROM_S)
    say(f"replaying {HISTORY_S // 3600} hours of traffic; its last {ERRORS_FROM_S // 60} minutes have 10 % errors, "
        f"its last {SHIFT_FROM_S // 60} minutes a shifted '{traffic.shifted_feature}'")
    started = time.monotonic()
    last_spans = []
    steps = list(range(start + STEP_S, end + 1, STEP_S))
    for i in range(0, len(steps), 20):
        last_spans = server.send(plumbline, steps[i:i + 20]) or last_spans
    say(f"sent {server.sent} in {time.monotonic() - started:.1f} s; going on live until both webhooks are there")

    # Live from here, as a model server would go on, until the burn-rate page and the PSI alert have been delivered.
    def seen():
        alerts = [a["labels"] for a in receiver.alerts()]
        burn = [l for l in alerts if "slo" in l]
        drift = [l for l in alerts if l.get("statistic") == "psi" and l.get("feature") == traffic.shifted_feature]
        return burn, drift

    deadline = time.monotonic() + arguments.wait
    t = end
    while time.monotonic() < deadline and not all(seen()):
        if time.time() >= t + STEP_S:
            t += STEP_S
            last_spans = server.send(plumbline, [t]) or last_spans
        time.sleep(0.2)
    burn, drift = seen()
    if arguments.report:
        with open(arguments.report, "w") as f:
            json.dump({"sent": server.sent, "webhooks": receiver.received, "requests": server.requests, "start": start,
                       "end": t, "last_span": last_spans[-1] if last_spans else None,
                       "shifted_feature": traffic.shifted_feature}, f)
    if not burn or not drift:
        missing = [name for name, got in (("burn-rate", burn), ("PSI", drift)) if not got]
        print(f"no {' and no '.join(missing)} webhook within {arguments.wait:.0f} s", file=sys.stderr)
        return 1

    say("\nwhat Plumbline found:")
    report = plumbline.get(f"/api/v1/models/{MODEL}/drift?reference=training&statistic=psi"
                           f"&start={t - 1800}&end={t}")
    for score in report["data"]["scores"]:
        say(f"  psi {score['feature']:<14} {score['value']:8.4f}  {score['verdict']}")
    performance = plumbline.get(f"/api/v1/models/{MODEL}/performance?start={start}&end={t}")["data"]
    say(f"  accuracy {performance['accuracy']:.4f}, ROC-AUC {performance['roc_auc']:.4f} over {performance['labelled']} of "
        f"{performance['predictions']} predictions (the other labels are still to come)")
    base = arguments.url
    say(f"""
where to look:
  curl '{base}/api/v1/slos'
  curl '{base}/api/v1/alerts'
  curl '{base}/api/v1/models/{MODEL}/drift?reference=training'
  curl -G '{base}/api/v1/query' --data-urlencode 'query=plumbline_slo_burn_rate'
  curl -G '{base}/loki/api/v1/query_range' --data-urlencode 'query={{service_name="{MODEL}"}} |= "failed"'
  curl '{base}/jaeger/api/traces/{last_spans[-1]['traceId']}'
""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
