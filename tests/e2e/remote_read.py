"""A remote-read client: asks for STREAMED_XOR_CHUNKS and decodes them. Written from Prometheus' format pages; run.py reads
Prometheus' own answers with it too, so that a decoder that is wrong does not pass for an encoder that is right."""
import struct

from harness import call
from wire import field, snappy_literals, varint


def fields(data):
    at = 0

    def read():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = read()
        if tag & 7 == 0:
            yield tag >> 3, read()
        elif tag & 7 == 2:
            size = read()
            yield tag >> 3, data[at:at + size]
            at += size
        else:
            raise AssertionError(f"wire type {tag & 7}")


def xor_chunk(data):
    count = struct.unpack(">H", data[:2])[0]
    bits = int.from_bytes(data[2:], "big")
    left = (len(data) - 2) * 8

    def take(n):
        nonlocal left
        left -= n
        return bits >> left & (1 << n) - 1

    def uvarint():
        value = shift = 0
        while True:
            byte = take(8)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    out, delta, leading, significant = [], 0, 0, 0
    for i in range(count):
        if i == 0:
            z = uvarint()
            t, v = z >> 1 ^ -(z & 1), take(64)
        else:
            if i == 1:
                delta = uvarint()
            else:
                size = next((n for n in (0, 14, 17, 20) if take(1) == 0), 64)
                step = take(size) if size else 0
                if size == 64 and step >= 1 << 63 or 0 < size < 64 and step > 1 << size - 1:
                    step -= 1 << size
                delta += step
            t += delta
            if take(1):
                if take(1):
                    leading, significant = take(5), take(6) or 64
                v ^= take(significant) << 64 - leading - significant
        out.append((t, struct.unpack(">d", v.to_bytes(8, "big"))[0]))
    return out


def frames(server, metric, start_ms, end_ms):
    """(labels, [(first ms, last ms, encoding, data)]) of each frame; a series may have several."""
    matcher = field(2, b"__name__") + field(3, metric.encode())
    query = b"\x08" + varint(start_ms) + b"\x10" + varint(end_ms) + field(3, matcher)
    status, headers, body = call("POST", server + "/api/v1/read", snappy_literals(field(1, query) + b"\x10\x01"), {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Read-Version": "0.1.0"})
    assert status == 200, (status, body[:300])
    assert headers["Content-Type"] == "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse", headers
    at = 0
    while at < len(body):
        size = shift = 0
        while True:
            byte = body[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        message = body[at + 4:at + 4 + size]  # four bytes of CRC-32C between
        at += 4 + size
        for number, value in fields(message):
            if number != 1:
                continue
            labels, found = {}, []
            for part, content in fields(value):
                parts = dict(fields(content))
                if part == 1:
                    labels[parts[1].decode()] = parts[2].decode()
                else:
                    found.append((parts.get(1, 0), parts.get(2, 0), parts.get(3, 0), parts[4]))
            yield labels, found


def chunks(server, metric, start_ms, end_ms):
    """series as text -> [(ms, value)]"""
    out = {}
    for labels, found in frames(server, metric, start_ms, end_ms):
        name = labels.pop("__name__")
        samples = out.setdefault(name + "{" + ",".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}", [])
        for _, _, encoding, data in found:
            assert encoding == 1, encoding
            samples += xor_chunk(data)
    return out
