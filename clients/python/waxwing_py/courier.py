"""Carries bytes between a socket and a connection, and comes back when the connection is lost."""

import random
import selectors
import socket
import time
from collections.abc import Callable

from . import connection
from .backoff import Backoff
from .bodies import Code, Reason, Refusal
from .connection import ANSWER_SECONDS, Clock, Connection, ProtocolError, State
from .crypto import PublicKey
from .home import Home
from .session import Session

POLL_SECONDS = 0.2
# The server may take 15 s, and the way back some more.
ATTEMPT_SECONDS = 2 * ANSWER_SECONDS
LEAVE_SECONDS = 10
KEEPALIVE_SECONDS = 60
RESTART_SECONDS = 30
# Shared refusals can be played back, so one is not enough to believe that the account is gone.
KEY_REFUSALS = 3


class Failure(Exception):
    """Something a person has to know about. `exit_code` as in README.md."""

    exit_code = 1


class NetworkFailure(Failure):
    exit_code = 3

    def __init__(self, text: str, retry_after_s: int = 0):
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Untrusted(Failure):
    exit_code = 4


class RateLimited(NetworkFailure):
    exit_code = 5


class CodeRefused(Failure):
    exit_code = 6


class TakenOver(Failure):
    exit_code = 3


class KeyRefused(Failure):
    exit_code = 3


class Restarting(NetworkFailure):
    """The server stops, and will be back."""


class Line:
    """A connection on its socket."""

    def __init__(self, home: Home, clock: Clock):
        address = home.get("server")
        host, _, port = address.rpartition(":")
        try:
            self._socket = socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS)
        except (OSError, ValueError) as error:
            raise NetworkFailure(f"cannot reach {address}: {error}") from error
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        server_key = PublicKey(home.get("server_key"))
        self.conn = Connection(server_key, home.key, home.get("user_id") or 0, clock)

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_):
        self._selector.close()
        self._socket.close()

    def move(self, wait: float):
        """Writes what is there to write, and reads what comes within `wait` seconds. Writing never
        keeps it from reading."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.conn.out else 0)
        self._selector.modify(self._socket, events)
        for _, ready in self._selector.select(max(wait, 0)):
            try:
                if ready & selectors.EVENT_WRITE:
                    sent = self._socket.send(self.conn.out)
                    del self.conn.out[:sent]
                if ready & selectors.EVENT_READ:
                    data = self._socket.recv(65_536)
                    if not data:
                        raise NetworkFailure("the server closed the connection")
                    self.conn.feed(data)
            except BlockingIOError:
                pass
            except OSError as error:
                raise NetworkFailure(f"the connection broke: {error}") from error

    def answer(self):
        """The one event that answers a request before a session."""
        deadline = time.monotonic() + ATTEMPT_SECONDS
        while True:
            try:
                event = self.conn.poll()
            except ProtocolError as error:
                raise broken(error) from error
            if event is not None:
                return event
            if time.monotonic() > deadline:
                raise NetworkFailure("no answer from the server")
            self.move(POLL_SECONDS)


def broken(error: ProtocolError) -> Failure:
    if isinstance(error, connection.NotTheServer):
        return Untrusted("the answer is not signed with the server's key that is trusted here")
    return NetworkFailure(f"the server broke the rules: {error}")


def refused(refusal: Refusal) -> Failure:
    """A refusal, for a person."""
    text = f"the server refused: {refusal.name}"
    if refusal.code == Code.RATE_LIMITED:
        return RateLimited(f"{text}; wait {refusal.retry_after_s} s", refusal.retry_after_s)
    if refusal.code in (Code.OTP_WRONG, Code.OTP_EXPIRED, Code.OTP_ATTEMPTS_SPENT):
        return CodeRefused(text)
    if refusal.code == Code.WEAK_KEY:
        return Untrusted(text)
    return NetworkFailure(text, refusal.retry_after_s)


class Courier:
    """Holds the session of a home."""

    def __init__(self, home: Home, tell: Callable[[str], None]):
        self.home = home
        self.session: Session | None = None
        self.clock = Clock()
        self._tell = tell
        self._backoff = Backoff()
        self._key_refusals = 0
        self._warned = False

    def run(self, done: Callable[[Session], bool], deadline: float, stop: Callable[[], bool]):
        """Keeps a session until `done` says so of it; then leaves. Past the deadline it raises why
        there is no session, or returns False if there is one."""
        failure = None
        while not stop():
            key_refusals = self._key_refusals
            try:
                return self._attempt(done, deadline, stop)
            except (NetworkFailure, Untrusted) as error:
                failure = error
            if self._key_refusals == key_refusals:
                self._key_refusals = 0  # they have to come in a row
            wait = self._backoff.failed(getattr(failure, "retry_after_s", 0))
            if isinstance(failure, Restarting):
                wait = random.uniform(1, RESTART_SECONDS)
            if time.monotonic() + wait >= deadline:
                raise failure
            self._tell(f"{failure}; again in {wait:.0f} s")
            self._sleep(wait, stop)
        return False

    @staticmethod
    def _sleep(seconds: float, stop: Callable[[], bool]):
        until = time.monotonic() + seconds
        while not stop() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, POLL_SECONDS))

    def _attempt(self, done, deadline: float, stop) -> bool:
        with Line(self.home, self.clock) as line:
            session = self.session = Session(self.home, line.conn)
            # After a refused key the long form, so that the refusal means the account.
            last_key = None if self._key_refusals else self.home.get("session_key")
            line.conn.reconnect(last_key)
            give_up = time.monotonic() + ATTEMPT_SECONDS
            while True:
                self._turn(line.conn, session)
                if session.confirmed:
                    give_up = float("inf")
                    self._warn_of_clock()
                if line.conn.backlog_ended:
                    self._backoff.reset()
                finished = session.confirmed and done(session)
                if finished or stop() or time.monotonic() >= deadline:
                    self._leave(line, session)
                    return finished
                if time.monotonic() > give_up:
                    raise NetworkFailure("no answer from the server")
                line.move(POLL_SECONDS)

    def _turn(self, conn: Connection, session: Session):
        """Handles what came, in one transaction, and acknowledges it once that is durable."""
        failure = None
        with self.home.transaction():
            try:
                while (event := conn.poll()) is not None:
                    if isinstance(event, connection.AttemptFailed):
                        failure = self._attempt_failed(event.refusal)
                    else:
                        session.handle(event)
                conn.tick()
                session.fill()
            except ProtocolError as error:
                failure = broken(error)
        session.acknowledge()
        if failure:
            raise failure
        if session.fatal:
            raise refused(session.fatal)
        if session.closing:
            raise _closed(session.closing)

    def _attempt_failed(self, refusal: Refusal) -> Failure:
        if refusal.code == Code.BAD_SIGNATURE:
            self._key_refusals += 1
            if self._key_refusals >= KEY_REFUSALS:
                return KeyRefused("account unknown or key refused; nothing was deleted")
        return refused(refusal)

    def _leave(self, line: Line, session: Session):
        """Says that we go, and waits for the answer. Nothing depends on it."""
        if line.conn.state not in (State.CONFIRMING, State.ONLINE):
            return
        try:
            line.conn.leave()
            until = time.monotonic() + LEAVE_SECONDS
            while line.conn.state == State.LEAVING and time.monotonic() < until:
                line.move(POLL_SECONDS)
                self._turn(line.conn, session)
        except Failure:
            pass

    def _warn_of_clock(self):
        if abs(self.clock.offset) > 300 and not self._warned:
            self._warned = True
            self._tell(f"this machine's clock is {-self.clock.offset} s off the server's")


def _closed(reason: Reason) -> Failure:
    if reason == Reason.TAKEN_OVER:
        return TakenOver("a newer session of this account took over")
    if reason == Reason.STOPPING:
        return Restarting("the server is stopping")
    return NetworkFailure(f"the server ended the session: {reason.name}")
