#!/usr/bin/env python3
"""Checks the shape of the house: include direction, the one home of each third-party library, file sizes, leftover markers.

Usage: tidy.py SOURCE_DIR   (exit 1 and one line per finding)
"""
import pathlib
import re
import sys

# folder -> folders it may include (longest prefix wins). storage's own parts may use each other.
ALLOWED = {
    "daemon/base": ["daemon/base"],
    "daemon/runtime": ["daemon/runtime", "daemon/base", "proto"],
    "proto": ["proto", "daemon/base"],
    "config": ["config", "daemon/base"],
    "storage/model": ["storage/model", "daemon/base"],
    "storage": ["storage", "daemon/base"],
    "query": ["query", "storage/storage.hpp", "storage/model", "daemon/base", "proto"],
    "ingest": ["ingest", "storage/storage.hpp", "storage/model", "daemon/base", "proto"],
    "alerting": ["alerting", "query/query.hpp", "query/promql/series_notation.hpp", "storage/storage.hpp", "storage/model", "daemon/base", "proto"],
    "daemon": ["daemon", "config", "storage", "query", "ingest", "alerting", "proto"],
}
MODULES = ("daemon/", "proto/", "config/", "storage/", "query/", "ingest/", "alerting/")
GENERATED = ("plumbline/v1/", "opentelemetry/", "prometheus/", "loki/")  # protoc's output, not a folder of ours

# third-party header -> folders that may include it
HOMES = {
    r"rocksdb/": ["storage/kv"],
    r"boost/(asio|beast)": ["daemon/runtime"],
    r"grpc": ["ingest"],
    r"yaml-cpp/": ["config"],
    r"spdlog/": ["daemon/base"],
    r"CLI/": ["daemon"],
    r"systemd/": ["daemon/runtime"],
}
LINES_MAX = 800   # explain 800: a file above it is taken apart
# Before C++23's P2718 the pointer that the call returns is gone when the loop begins.
DANGLING_RANGE = re.compile(r"\bfor \(.*: \*[\w.>:-]+\(.*\)\)")
MARKERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def rule_for(folder, table):
    best = max((k for k in table if folder == k or folder.startswith(k + "/")), key=len, default=None)
    return best


def main(root):
    root = pathlib.Path(root)
    findings = []
    files = [f for top in ("daemon", "proto", "config", "storage", "query", "ingest", "alerting")
             for f in sorted((root / top).rglob("*")) if f.suffix in (".hpp", ".cpp")]
    if len(files) < 20:
        findings.append(f"{root}: only {len(files)} sources found: wrong folder?")
    for f in files:
        name = f.relative_to(root).as_posix()
        folder = f.parent.relative_to(root).as_posix()
        text = f.read_text(encoding="utf-8")
        lines = text.split("\n")
        if len(lines) > LINES_MAX:
            findings.append(f"{name}: {len(lines)} lines, the ceiling is {LINES_MAX}: take a pure piece out of it")
        owner = rule_for(folder, ALLOWED)
        for number, line in enumerate(lines, 1):
            if MARKERS.search(line):
                findings.append(f"{name}:{number}: leftover marker: {line.strip()}")
            if DANGLING_RANGE.search(line):
                findings.append(f"{name}:{number}: the loop's range is what a temporary owns: name the temporary first")
            m = re.match(r'\s*#\s*include\s+([<"])([^">]+)[">]', line)
            if not m:
                continue
            target = m.group(2)
            if m.group(1) == '"' and not target.startswith(GENERATED):
                if not target.startswith(MODULES):
                    findings.append(f"{name}:{number}: include \"{target}\" by its path from the root")
                elif not any(target == a or target.startswith(a + "/") for a in ALLOWED[owner]):
                    findings.append(f"{name}:{number}: {owner} must not include {target}")
            for pattern, homes in HOMES.items():
                if re.match(pattern, target) and not any(folder == h or folder.startswith(h + "/") for h in homes):
                    findings.append(f"{name}:{number}: {target} has its home in {', '.join(homes)}")
    grpc = sorted({f.name for f in files for line in f.read_text().split("\n") if re.match(r'\s*#\s*include\s+<grpc', line)})
    if len(grpc) > 2:
        findings.append(f"gRPC is included by {grpc}: one file pair is its home")
    for finding in findings:
        print(finding)
    print(f"{len(files)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
