"""What the comparisons ask of Prometheus and of Plumbline alike, over HTTP."""
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from wire import snappy_literals


def remote_write(url, message):
    """An encoded prometheus.WriteRequest."""
    request = urllib.request.Request(url + "/api/v1/write", data=snappy_literals(message), method="POST", headers={
        "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        if answer.status not in (200, 204):
            raise SystemExit(f"{url}: remote write answered {answer.status}")


def ask(url, path, parameters):
    data = urllib.parse.urlencode(parameters).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, data=data), timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)
