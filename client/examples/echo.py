#!/usr/bin/env python3
"""Answers each letter with its own words:

    client/examples/echo.py [--home DIR, or whatever else `waxwing` takes]

It can be killed at any moment, and started again: each letter gets one answer. WAXWING names the
program, if it is not `waxwing`.
"""

import json
import os
import subprocess
import sys

rpc = subprocess.Popen(
    [os.environ.get("WAXWING", "waxwing"), *sys.argv[1:], "rpc"],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    encoding="utf-8",
)


def call(method, **params):
    """Calls a method, and gives its result."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    print(json.dumps(request), file=rpc.stdin, flush=True)
    for line in rpc.stdout:
        answer = json.loads(line)
        if "error" in answer:
            sys.exit(f"{method}: {answer['error']['message']}")
        if "id" in answer:
            return answer["result"]
    sys.exit("waxwing has ended")


while True:
    for letter in call("next", consumer="echo", begin="oldest", wait_s=60):
        if letter["kind"] == "text":
            # Whoever is killed here asks again under the same key, and nothing is sent twice.
            call("send", to=letter["from"], text=letter["text"], key=f"echo {letter['id']}")
        # And whoever is killed here gets the same letter again.
        call("ack", consumer="echo", id=letter["id"])
