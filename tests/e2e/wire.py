"""The few bytes of protobuf and snappy that test clients write by hand."""
import struct


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def snappy_literals(data):
    """A snappy block of literals alone: valid, and no library is needed."""
    out = bytearray(varint(len(data)))
    for i in range(0, len(data), 60000):
        chunk = data[i:i + 60000]
        out += bytes([61 << 2]) + struct.pack("<H", len(chunk) - 1) + chunk
    return bytes(out)
