"""Real binaries for tests: a server, and people with homes, on either client."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SERVER = Path(os.environ.get("WAXWING_SERVER", ROOT / "target/debug/waxwing-server"))
RUST_CLIENT = Path(os.environ.get("WAXWING_CLIENT", ROOT / "target/debug/waxwing"))
PYTHON_CLIENT = (sys.executable, "-m", "waxwing_py")
DEADLINE = 60


def require_binaries():
    for path in (SERVER, RUST_CLIENT):
        if not path.exists():
            raise unittest.SkipTest(f"{path} IS NOT THERE: nothing was tried with the real server")


class Process:
    """A running program, with its output line by line."""

    def __init__(self, *command, log=None):
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log or subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))

    def line(self) -> str:
        return self._lines.get(timeout=DEADLINE)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def waiting(self) -> int:
        """Lines that were written and not taken yet."""
        return self._lines.qsize()

    def drain(self) -> list[str]:
        """Ends it, and gives every line that was not taken yet."""
        self.stop()
        lines = []
        while self._lines.qsize():
            lines.append(self._lines.get())
        return lines

    def send(self, sign):
        self._process.send_signal(sign)

    def stop(self, sign=signal.SIGTERM) -> int:
        if self._process.poll() is None:
            self._process.send_signal(sign)
        return self.wait()

    def wait(self) -> int:
        try:
            code = self._process.wait(DEADLINE)
        finally:
            self._process.kill()
        self._reader.join()
        self._process.stdout.close()
        return code


class RealServer:
    """A server with a directory of its own."""

    def __init__(self, config: str = ""):
        self.directory = Path(tempfile.mkdtemp(prefix="waxwing-server-"))
        self.data = self.directory / "data"
        self.config = self.directory / "server.toml"
        # All have the address of the loopback in common.
        exempt = "" if "exempt" in config else 'limits.exempt = ["127.0.0.0/8"]\n'
        self.config.write_text(exempt + config)
        self._log = open(self.directory / "server.log", "a")
        self.address = "127.0.0.1:0"
        self.start()

    @property
    def key(self) -> Path:
        return self.data / "server.pub.pem"

    @property
    def log(self) -> str:
        return (self.directory / "server.log").read_text()

    def start(self):
        # Codes come in band unless the configuration says otherwise.
        self.process = Process(
            SERVER, "--data", self.data, "--config", self.config, "--listen", self.address,
            "--log-level", "debug", "--allow-unverified", log=self._log,
        )  # fmt: skip
        self.address = self.process.line().removeprefix("listening on ")

    def stop(self):
        self.process.stop()

    def demolish(self):
        self.stop()
        self._log.close()
        shutil.rmtree(self.directory)

    def remove_user(self, phone: str):
        """The server must not be running."""
        command = [SERVER, "--data", self.data, "users", "remove", "--yes", phone]
        subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE)

    def person(self, name: str, phone: str, client, register: bool = True) -> "Person":
        person = Person(self, name, phone, client)
        if register:
            person.register().check()
        return person


class Result:
    def __init__(self, done: subprocess.CompletedProcess):
        self.code, self.out, self.err = done.returncode, done.stdout.strip(), done.stderr

    def check(self) -> str:
        assert self.code == 0, f"exit code {self.code}: {self.out}\n{self.err}"
        return self.out


class Person:
    def __init__(self, server: RealServer, name: str, phone: str, client):
        self.server, self.phone = server, phone
        self.home = server.directory / name
        self._client = client

    def command(self, name: str, *arguments) -> list:
        return [*self._client, "--home", self.home, name, *arguments]

    def run(self, name: str, *arguments) -> Result:
        command = [str(part) for part in self.command(name, *arguments)]
        return Result(subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE,
                                     stdin=subprocess.DEVNULL))  # fmt: skip

    def register(self, *arguments) -> Result:
        return self.run("register", "--server", self.server.address, "--server-key", self.server.key,
                        *arguments, self.phone)  # fmt: skip

    def send(self, to: "Person", text: str, *arguments) -> Result:
        return self.run("send", *arguments, to.phone, text)

    def receive(self, *arguments) -> list[dict]:
        """Letters that were not printed yet."""
        result = self.run("receive", "--json", *arguments)
        if result.code == 7:
            return []
        return [json.loads(line) for line in result.check().splitlines()]

    def follow(self) -> Process:
        return Process(*self.command("receive", "--follow", "--json"))

    def history(self, whom: "Person") -> list[dict]:
        out = self.run("history", "--json", whom.phone).check()
        return [json.loads(line) for line in out.splitlines()]

    def verify(self, whom: "Person", *arguments) -> Result:
        return self.run("verify", *arguments, whom.phone)


RUST = (RUST_CLIENT,)
PYTHON = PYTHON_CLIENT


def wait_until(condition):
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, "did not come to pass in time"
        time.sleep(0.05)
