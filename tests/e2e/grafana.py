"""The requests of Grafana's Prometheus data source, as its sources build them (promlib's backend and the plugin's language
provider): forms by POST, what is GET only by GET, times as seconds with a fraction, limits and headers included.

replay() sends them all to a server and checks what Grafana's parsers rely on; it asks for nothing that Prometheus lacks."""
import gzip
import json
import urllib.parse
import urllib.request
import urllib.error

HEADERS = {"User-Agent": "Grafana/11.3.0", "Accept-Encoding": "gzip", "X-Grafana-Org-Id": "1", "X-Dashboard-Uid": "models",
           "X-Panel-Id": "4", "X-Datasource-Uid": "prom", "FromAlert": "false"}


def send(base, method, path, params):
    text = urllib.parse.urlencode(params)
    headers = dict(HEADERS)
    url, body = base + "/" + path, None
    if method == "POST":
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = text.encode()
    elif text:
        url += "?" + text
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method=method, headers=headers), timeout=60) as r:
            status, answer_headers, content = r.status, r.headers, r.read()
    except urllib.error.HTTPError as e:
        status, answer_headers, content = e.code, e.headers, e.read()
    if answer_headers.get("Content-Encoding") == "gzip":
        content = gzip.decompress(content)
    return status, answer_headers, content


def ask(base, method, path, *params, status=200):
    got, headers, content = send(base, method, path, params)
    what = f"{method} {path} {params}"
    assert got == status, f"{what}: {got} {content[:500]}"
    assert headers["Content-Type"].startswith("application/json"), (what, headers["Content-Type"])
    answer = json.loads(content)
    assert answer["status"] == ("success" if status == 200 else "error"), (what, answer)
    if status != 200:
        assert answer["errorType"] and answer["error"], (what, answer)
        return answer
    for notes in ("warnings", "infos"):
        assert all(isinstance(n, str) for n in answer.get(notes, [])), (what, answer)
    return answer["data"]


def check_labels(labels):
    assert isinstance(labels, dict) and all(isinstance(v, str) and v for v in labels.values()), labels


def check_point(point):
    assert isinstance(point[0], (int, float)) and isinstance(point[1], str), point
    float(point[1].replace("Inf", "inf"))


def check_result(data, kind):
    assert data["resultType"] == kind and isinstance(data["result"], list), data
    for entry in data["result"]:
        if kind == "scalar":
            break
        check_labels(entry["metric"])
        for point in entry["values"] if kind == "matrix" else [entry["value"]]:
            check_point(point)
    if kind == "scalar":
        check_point(data["result"])
    return data["result"]


def replay(base, metric, start_s, end_s):
    """`metric`: a counter with samples in all of [start_s, end_s] and at least one label besides its name. Returns how many requests
    were answered."""
    sent = 0

    def grafana(*arguments, **keywords):
        nonlocal sent
        sent += 1
        return ask(base, *arguments, **keywords)

    # "Save & test".
    assert check_result(grafana("POST", "api/v1/query", ("query", "1+1"), ("time", f"{end_s}.123")), "scalar")[1] == "2"
    build = grafana("GET", "api/v1/status/buildinfo")
    assert build["version"] and not build.get("features"), build  # features would make it a Mimir

    # Panels and Explore: ranges, instants, both methods of the data source's setting.
    window = [("start", f"{start_s}"), ("end", f"{end_s}"), ("step", "15")]
    fraction = [("start", f"{start_s}.001"), ("end", f"{end_s}.999"), ("step", "1.5")]
    for method in ("POST", "GET"):
        for query in (f"rate({metric}[1m0s])", f"sum by(job) (rate({metric}[$__rate_interval]))".replace("$__rate_interval", "1m"),
                      f"topk(5, {metric})", f"{metric} > bool 0", f"absent({metric})", "vector(1)", "nothing_of_this_name"):
            check_result(grafana(method, "api/v1/query_range", ("query", query), *window), "matrix")
            check_result(grafana(method, "api/v1/query", ("query", query), ("time", f"{end_s}.5")), "vector")
        found = check_result(grafana(method, "api/v1/query_range", ("query", metric), *fraction, ("timeout", "30s")), "matrix")
        assert found and all(len(s["values"]) > 1 for s in found), found
        check_result(grafana(method, "api/v1/query", ("query", f"{metric}[1m]"), ("time", f"{end_s}")), "matrix")
        # Query cost inspection.
        told = grafana(method, "api/v1/query_range", ("query", metric), *window, ("stats", "all"))["stats"]
        per_step = told["samples"]["totalQueryableSamplesPerStep"]
        assert sum(n for _, n in per_step) == told["samples"]["totalQueryableSamples"] > 0, told
        # Exemplars are asked for beside every range.
        for series in grafana(method, "api/v1/query_exemplars", ("query", f"rate({metric}[1m])"), ("start", f"{start_s}.5"), ("end", f"{end_s}.25")):
            check_labels(series["seriesLabels"])
            for e in series["exemplars"]:
                check_labels(e["labels"])
                assert isinstance(e["value"], str) and isinstance(e["timestamp"], (int, float)), e
        # A wrong query, while it is typed.
        wrong = grafana(method, "api/v1/query_range", ("query", f"rate({metric}["), *window, status=400)
        assert wrong["errorType"] == "bad_data" and "parse error" in wrong["error"], wrong

        # Autocompletion and variables.
        times = [("start", f"{start_s}"), ("end", f"{end_s}")]
        labels = grafana(method, "api/v1/labels", *times, ("match[]", f'{{__name__="{metric}"}}'), ("limit", "40000"))
        assert "__name__" in labels and labels == sorted(labels) and len(labels) > 1, labels
        assert set(labels) <= set(grafana(method, "api/v1/labels", *times)), labels
        series = grafana(method, "api/v1/series", ("match[]", metric), ("match[]", f'{{__name__=~"{metric}|up"}}'), *times, ("limit", "40000"))
        assert series and all(s["__name__"] in (metric, "up") for s in series), series
        for s in series:
            check_labels(s)

    # Known to be GET only; a POST is answered 405 and asked again as GET.
    other = next(name for name in labels if name != "__name__")
    for name in ("__name__", other, "U__la_20_bel"):
        status, headers, _ = send(base, "POST", f"api/v1/label/{name}/values", times)
        sent += 1
        assert status == 405 and "GET" in headers["Allow"], (status, headers)
        values = grafana("GET", f"api/v1/label/{name}/values", *times, ("limit", "40000"))
        assert values == sorted(values) and (values or name.startswith("U__")), values
    assert metric in grafana("GET", "api/v1/label/__name__/values", *times, ("match[]", f'{{{other}!=""}}'))
    for entries in grafana("GET", "api/v1/metadata", ("limit", "40000")).values():
        assert all({"type", "help", "unit"} <= set(e) for e in entries), entries
    assert isinstance(grafana("GET", "api/v1/metadata", ("metric", metric)), dict)
    for group in grafana("GET", "api/v1/rules")["groups"]:
        assert {"name", "file", "interval", "rules"} <= set(group), group
    assert isinstance(grafana("GET", "api/v1/alerts")["alerts"], list)
    return sent
