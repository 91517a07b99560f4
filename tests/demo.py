"""A demo of one check: free ports, ended with the check, waited for with a deadline."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = os.environ.get("ROADCAST_BIN", ROOT / "target/release/roadcast")
# Longest wait for a process to come up on a loaded machine.
READY_S = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, seconds, condition):
    """Polls `condition` until it is truthy and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.2)


def get(url):
    """Status and body, or None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return None


def get_json(url):
    answer = get(url)
    if answer is None:
        return None
    return json.loads(answer[1])


def is_ready(url):
    answer = get(url)
    return answer is not None and answer[0] == 200


@contextlib.contextmanager
def running(command, log):
    """Runs a process while the block lasts; SIGTERM, then SIGKILL after 20 s."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@contextlib.contextmanager
def demo(log, *options):
    """A ready demo with further options; yields its MQTT and HTTP port."""
    mqtt, http = free_port(), free_port()
    command = [BINARY, "demo", "--mqtt-port", str(mqtt), "--http-port", str(http), *options]
    with running(command, log) as process:

        def ready():
            if process.poll() is not None:
                raise AssertionError(f"the demo ended with code {process.returncode}, see {log}")
            return is_ready(f"http://127.0.0.1:{http}/readyz")

        until("the demo is ready", READY_S, ready)
        yield mqtt, http
