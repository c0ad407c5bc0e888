#!/usr/bin/env python3
"""Checks the Debian package: its contents, its unit, and that the installed binary behaves as a Type=notify service.

Usage: package_check.py PACKAGE.deb
The package is unpacked into a scratch folder; NOTIFY_SOCKET is ours, so READY, RELOADING, STOPPING and WATCHDOG are seen for real.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile


def main(deb):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="plumbline-package-"))
    try:
        check(deb, scratch)
    finally:
        shutil.rmtree(scratch)
    print("package: contents, unit, notify, reload, watchdog and stop are as they should be")


def check(deb, scratch):
    root = scratch / "root"
    subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
    subprocess.run(["dpkg-deb", "-e", deb, scratch / "control"], check=True)
    for path in ("usr/bin/plumbline", "lib/systemd/system/plumbline.service", "etc/plumbline/plumbline.yaml",
                 "usr/share/doc/plumbline/README.md", "usr/share/doc/plumbline/reference.md"):
        assert (root / path).is_file(), f"{path} is missing from the package"
    for script in ("postinst", "prerm", "postrm"):
        assert os.access(scratch / "control" / script, os.X_OK), script
        subprocess.run(["sh", "-n", scratch / "control" / script], check=True)
    assert "/etc/plumbline/plumbline.yaml" in (scratch / "control" / "conffiles").read_text()
    control = (scratch / "control" / "control").read_text()
    assert "librocksdb7.8" in control, "library dependencies are missing:\n" + control

    if shutil.which("systemd-analyze"):
        unit = (root / "lib/systemd/system/plumbline.service").read_text()
        verified = scratch / "plumbline.service"
        verified.write_text(unit.replace("/usr/bin/plumbline", str(root / "usr/bin/plumbline")))
        out = subprocess.run(["systemd-analyze", "verify", verified], capture_output=True, text=True)
        complaints = [l for l in out.stderr.splitlines() if "plumbline.service" in l]
        assert not complaints, complaints

    binary = root / "usr/bin/plumbline"
    config = root / "etc/plumbline/plumbline.yaml"
    subprocess.run([binary, "check", config], check=True)

    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(scratch / "notify"))
    notify.settimeout(60)
    env = dict(os.environ, NOTIFY_SOCKET=str(scratch / "notify"), WATCHDOG_USEC="2000000")
    env.pop("WATCHDOG_PID", None)
    process = subprocess.Popen([binary, "serve", "--config", config, "--data-dir", scratch / "data",
                                "--http-listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"], env=env,
                               stderr=open(scratch / "log", "wb"))
    try:
        def wait_for(wanted):
            seen = []
            while True:
                try:
                    seen.append(notify.recv(4096).decode())
                except socket.timeout:
                    raise AssertionError(f"no {wanted}; got {seen}; log: {(scratch / 'log').read_text()}")
                if wanted in seen[-1].split("\n"):
                    return

        wait_for("READY=1")
        wait_for("WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        wait_for("RELOADING=1")
        wait_for("READY=1")
        process.send_signal(signal.SIGTERM)
        wait_for("STOPPING=1")
        assert process.wait(timeout=30) == 0, (scratch / "log").read_text()
    finally:
        if process.poll() is None:
            process.kill()


if __name__ == "__main__":
    main(sys.argv[1])
