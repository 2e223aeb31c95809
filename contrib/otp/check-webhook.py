#!/usr/bin/env python3
"""A gateway for otp.delivery = "webhook", to begin with: it checks the request, and hands phone and code on.

    check-webhook.py SECRET_FILE PROGRAM [ARGUMENT ...]

It listens on 127.0.0.1:8080, checks signature and age of each request, and runs PROGRAM with phone and code
on its standard input, one line each, as otp.delivery = "exec" does. A request that comes again under the
same Idempotency-Key is not carried out again. It logs neither phones nor codes.
"""

import collections
import hashlib
import hmac
import http.server
import json
import re
import subprocess
import sys
import threading
import time

LARGEST = 4096
# Seconds that two clocks may differ.
SKEW = 300
PORT = 8080


class Gateway(http.server.BaseHTTPRequestHandler):
    """One connection."""

    timeout = 10
    secret = b""
    program = []
    # What was carried out a short time ago, with its status.
    done = collections.OrderedDict()
    lock = threading.Lock()

    def do_POST(self):
        """Carries out a request, or says why not."""
        status = self.judge()
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def judge(self):
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,5}", length) or int(length) > LARGEST:
            return 413
        body = self.rfile.read(int(length))
        sent_at = self.headers.get("X-Waxwing-Time", "")
        if not re.fullmatch(r"[0-9]{1,12}", sent_at) or abs(time.time() - int(sent_at)) > SKEW:
            return 401
        expected = hmac.new(self.secret, sent_at.encode() + b"." + body, hashlib.sha256).hexdigest()
        given = self.headers.get("X-Waxwing-Signature", "")
        if not hmac.compare_digest(given.encode(), b"sha256=" + expected.encode()):
            return 401
        try:
            fields = json.loads(body)
            phone, code = fields["phone"], fields["code"]
            well_formed = re.fullmatch(r"\+[0-9]{7,15}", phone) and re.fullmatch(r"[0-9]{6}", code)
        except (ValueError, KeyError, TypeError):
            return 400
        if not well_formed:
            return 400
        key = self.headers.get("Idempotency-Key", "")
        with self.lock:
            if key in self.done:
                return self.done[key]
        status = self.hand_on(phone, code)
        if status == 204:
            with self.lock:
                self.done[key] = status
                while len(self.done) > 10_000:
                    self.done.popitem(last=False)
        return status

    def hand_on(self, phone, code):
        lines = f"{phone}\n{code}\n".encode()
        try:
            run = subprocess.run(
                self.program, input=lines, timeout=8, check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired):
            return 504
        # As sysexits.h has it: nothing for this phone.
        return {0: 204, 65: 422, 67: 422}.get(run.returncode, 502)

    def log_message(self, format, *args):
        """The line of a request and its status: phone and code are in neither."""
        sys.stderr.write(f"{args[1] if len(args) > 1 else '-'}\n")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        Gateway.secret = file.read().rstrip()
    if len(Gateway.secret) < 16:
        sys.exit("the secret is too short; make one with: openssl rand -hex 32")
    Gateway.program = sys.argv[2:]
    http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Gateway).serve_forever()


if __name__ == "__main__":
    main()
