"""Records what node_exporter and Plumbline itself expose, for the workload `real`."""
import time

from harness import Process, call, free_port, wait_for
from servers import Plumbline

INTERVAL = 5


def run(seconds, path, node_exporter, plumbline, scratch):
    port = free_port()
    exporter = Process([node_exporter, f"--web.listen-address=127.0.0.1:{port}"], scratch / "node_exporter.log")
    daemon = Plumbline(plumbline, scratch / "recorded")
    try:
        daemon.start()
        urls = [("node_exporter", "host:9100", f"http://127.0.0.1:{port}/metrics"), ("plumbline", "host:9470", daemon.url + "/metrics")]
        wait_for("node_exporter", lambda: call("GET", urls[0][2])[0] == 200)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.with_suffix(".part"), "wb") as out:
            begin = time.time()
            for n in range(max(1, seconds // INTERVAL)):
                time.sleep(max(0.0, begin + n * INTERVAL - time.time()))
                for job, instance, url in urls:
                    status, _, body = call("GET", url)
                    assert status == 200, f"{url} answered {status}"
                    out.write(f"# scrape {job} {instance} {int(time.time() * 1000)}\n".encode() + body.rstrip(b"\n") + b"\n")
        path.with_suffix(".part").rename(path)
    finally:
        exporter.stop()
        daemon.remove()
