#!/usr/bin/python3
"""Prometheus reads the chunks of native histograms that Plumbline streams over remote read.

    histogram_chunks_vs_prometheus.py PLUMBLINE PROMETHEUS [SEED]

Prometheus 2.42 takes chunks from nobody over HTTP, but it reads them from its own head: a data directory is written by hand around
the chunks that Plumbline streamed (one file of chunks_head, one record of series in the WAL), and what a Prometheus that was
started on it answers must be what Plumbline answers about the same histograms. (By remote_read 2.42 asks for SAMPLES, and passes over
the histograms among them.) Schema -53 is later than 2.42: tests/query/histogram_chunk_test.cpp has its chunks.
"""
import json
import os
import random
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
import remote_read
from harness import Daemon, Process, Scratch, call, free_port, wait_for
from native_histograms_vs_prometheus import close, double, encode_histogram, make_data, push, result, spans_of, tag, zigzag
from prometheus_api import ask
from wire import field, varint

GAUGE = tag(14, 0) + varint(3)


def encode_floats(t, h):
    """The same buckets with fractions of observations in them."""
    if h is None:
        return encode_histogram(t, h) + double(2, 0.0)

    def side(spans_tag, counts_tag, buckets):
        spans, counts = spans_of(buckets)
        out = b"".join(field(spans_tag, tag(1, 0) + zigzag(o) + tag(2, 0) + varint(n)) for o, n in spans)
        return out + (field(counts_tag, struct.pack(f"<{len(counts)}d", *(c / 8 for c in counts))) if counts else b"")

    out = double(2, (h["zero"] + sum(h["positive"].values()) + sum(h["negative"].values())) / 8)
    out += double(3, h["sum"]) + tag(4, 0) + zigzag(h["schema"]) + double(5, h["threshold"]) + double(7, h["zero"] / 8)
    return out + side(8, 10, h["negative"]) + side(11, 13, h["positive"]) + tag(15, 0) + varint(t)


CRC = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    CRC.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC[(crc ^ byte) & 0xFF]
    return struct.pack(">I", crc ^ 0xFFFFFFFF)


def write_head(folder, series):
    """Prometheus' data directory (tsdb/docs/format): {labels: [(first, last, encoding, data)]}."""
    (folder / "wal").mkdir(parents=True)
    (folder / "chunks_head").mkdir()
    text = lambda s: varint(len(s.encode())) + s.encode()
    record, chunks = b"\x01", struct.pack(">IB3x", 0x0130BC91, 1)
    for ref, (labels, pieces) in enumerate(sorted(series.items()), 1):
        record += struct.pack(">Q", ref) + varint(len(labels)) + b"".join(text(k) + text(v) for k, v in labels)
        for first, last, encoding, data in pieces:
            chunk = struct.pack(">Qqq", ref, first, last) + bytes([encoding]) + varint(len(data)) + data
            chunks += chunk + crc32c(chunk)
    (folder / "chunks_head/000001").write_bytes(chunks)
    page = b"\x01" + struct.pack(">H", len(record)) + crc32c(record) + record
    assert len(page) <= 32768
    (folder / "wal/00000000").write_bytes(page.ljust(32768, b"\0"))


def main(plumbline, prometheus, seed):
    rng = random.Random(seed)
    steps = 150  # more than one chunk holds
    start = int(time.time() - steps * 15 - 60) // 60 * 60 * 1000
    problems, running = 0, []
    with Scratch("histogram-chunks") as folder:
        ours = Daemon(plumbline, folder / "plumbline", "storage: { retention: 20y }\n").start()
        running.append(ours.process)
        try:
            for kind, encode in (("ints", encode_histogram), ("floats", encode_floats),
                                 ("gauges", lambda t, h: encode_histogram(t, h) + (GAUGE if h else b""))):
                data = [({**labels, "__name__": kind}, samples) for labels, samples in make_data(rng, start, steps)]
                push(ours.http, data, encode)
            series, encodings, chunks = {}, set(), 0
            for kind in ("ints", "floats", "gauges"):
                for labels, pieces in remote_read.frames(ours.http, kind, 0, 2**62):
                    series.setdefault(tuple(sorted(labels.items())), []).extend(pieces)
                    encodings |= {(kind, encoding) for _, _, encoding, _ in pieces}
                    chunks += len(pieces)
            assert encodings == {("ints", 2), ("floats", 3), ("gauges", 2)}, encodings
            write_head(folder / "head", series)
            url = f"http://127.0.0.1:{free_port()}"
            (folder / "head.yml").write_text("global: { scrape_interval: 1h }\n")
            running.append(Process([prometheus, f"--config.file={folder}/head.yml", f"--storage.tsdb.path={folder}/head",
                                    "--storage.tsdb.retention.time=20y", "--enable-feature=native-histograms",
                                    f"--web.listen-address={url.removeprefix('http://')}"], folder / "head.log"))
            wait_for("Prometheus is ready", lambda: call("GET", url + "/-/ready")[0] == 200)
            histograms = total = 0
            for kind in ("ints", "floats", "gauges"):
                for query in (f"{kind}[{steps * 15 + 60}s]", f"sum({kind})", f"histogram_count({kind})"):
                    at = start // 1000 + steps * 15
                    expected = result(ask(ours.http, "/api/v1/query", {"query": query, "time": at}))
                    histograms += sum(len(s.get("histograms", [])) for s in expected)
                    total += 1
                    theirs = result(ask(url, "/api/v1/query", {"query": query, "time": at}))
                    if not expected or not close(theirs, expected):
                        problems += 1
                        print(f"--- {query}\n  theirs {json.dumps(theirs)[:600]}\n  ours {json.dumps(expected)[:600]}")
        finally:
            for process in running:
                process.kill()
    print(f"agree {total - problems} of {total}: {histograms} histograms in {chunks} chunks of {len(series)} series (seed {seed})")
    return 0 if problems == 0 and histograms > 1000 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(1 << 30)))
