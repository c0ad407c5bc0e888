#!/usr/bin/env python3
"""Reads every source of the modules and of tests/fuzz with the compiler of a build directory, without making code of it.

With the preset threadsafety that is clang with its thread-safety analysis, each source by itself: a missing include shows here.

Usage: second_compiler.py BUILD_DIR SOURCE_DIR   (exit 1 and the compiler's words for each source that it refuses)
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys


def refusal(entry):
    """What the compiler says against a source; empty when nothing."""
    command = shlex.split(entry["command"])
    if pathlib.Path(command[0]).name == "ccache":
        command = command[1:]
    at = command.index("-o")
    command[at:at + 2] = ["-fsyntax-only"]
    done = subprocess.run(command, cwd=entry["directory"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr or f"{entry['file']}: the compiler ended with {done.returncode}\n"


def main():
    build, source = (pathlib.Path(p).resolve() for p in sys.argv[1:])
    wanted = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if build in path.parents or not path.is_relative_to(source):
            continue  # protoc's
        if path.is_relative_to(source / "tests") and not path.is_relative_to(source / "tests/fuzz"):
            continue
        wanted.append(entry)
    if not wanted:
        sys.exit(f"{build}/compile_commands.json names no source below {source}")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        refusals = [words for words in pool.map(refusal, wanted) if words]
    sys.stderr.write("".join(refusals))
    print(f"{len(wanted)} sources read, {len(refusals)} refused")
    sys.exit(1 if refusals else 0)


main()
