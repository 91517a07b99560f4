#!/usr/bin/env python3
"""Listens to a demo as any MQTT client would and validates all it hears against docs/schemas.

State, forecast, outlook, scores, guidance and status must each have come within 40 s of the demo being ready.
"""

import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import demo
import jsonschema

KINDS = ("state", "state_delta", "forecast", "outlook", "scores", "guidance", "status")
FIRST_MESSAGES_S = 40
# Listening goes on this long after each kind has come, so that renewals and endings come too.
LISTEN_S = 15
PROBLEMS_SHOWN = 10
# Messages of a kind that are validated, spread evenly over all that came: validating in Python
# takes longer than the demo takes to make them.
VALIDATED_MAX = 150


def validators():
    found = {}
    for kind in KINDS:
        path = demo.ROOT / f"docs/schemas/{kind}.schema.json"
        schema = json.loads(path.read_text())
        validator = jsonschema.validators.validator_for(schema)
        validator.check_schema(schema)
        found[kind] = validator(schema)
    return found


def read(path):
    """Topic and payload of every whole line."""
    text = path.read_bytes()
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        topic, _, payload = line.partition(b" ")
        levels = topic.split(b"/")
        kind = levels[2].decode()
        if kind == "state" and levels[-1] == b"delta":
            kind = "state_delta"
        if kind in KINDS:
            yield kind, topic.decode(), payload


def check(validator, topic, payload):
    """What is wrong with one message."""

    def refuse(name):
        raise ValueError(f"{name} is no JSON number")

    try:
        message = json.loads(payload, parse_constant=refuse)
    except ValueError as error:
        return [f"{topic}: no JSON: {error}"]
    return [
        f"{topic}: {error.json_path}: {error.message[:200]}"
        for error in validator.iter_errors(message)
    ]


def main():
    validator = validators()
    out = demo.ROOT / "target/schemas"
    out.mkdir(parents=True, exist_ok=True)
    heard = out / "messages.txt"
    with demo.demo(out / "demo.log") as (mqtt, _http):
        began = time.monotonic()
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(mqtt), "-V", "311", "-F", "%t %p"]
        for kind in set(KINDS) - {"state_delta"}:
            command += ["-t", f"roadcast/v1/{kind}" if kind == "status" else f"roadcast/v1/{kind}/#"]
        with demo.running(command, heard) as client:

            def complete():
                if client.poll() is not None:
                    raise AssertionError(f"mosquitto_sub ended with code {client.returncode}")
                kinds = {kind for kind, _, payload in read(heard) if payload}
                return not set(KINDS) - kinds

            demo.until(f"a message of each of {', '.join(KINDS)}", FIRST_MESSAGES_S, complete)
            print(f"ok each kind of message within {time.monotonic() - began:.1f} s of being ready")
            try:
                client.wait(LISTEN_S)
                raise AssertionError("mosquitto_sub ended by itself")
            except subprocess.TimeoutExpired:
                pass

    messages = {kind: [] for kind in KINDS}
    for kind, topic, payload in read(heard):
        # An empty payload is the end of a piece of advice.
        if payload or kind != "guidance":
            messages[kind].append((topic, payload))
    problems = []
    for kind, came in messages.items():
        chosen = came[:: -(-len(came) // VALIDATED_MAX)]
        for topic, payload in chosen:
            problems += check(validator[kind], topic, payload)
        print(f"{kind}: {len(chosen)} of {len(came)} messages validated")
    for problem in problems[:PROBLEMS_SHOWN]:
        print(f"FAILED {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
