"""Carries bytes between a socket and a connection, and comes back when the connection is lost."""

import random
import selectors
import socket
import threading
import time
from collections.abc import Callable

from . import connection, refusals
from .backoff import Backoff
from .bodies import Code, Reason, Refusal
from .connection import ANSWER_SECONDS, Clock, Connection, ProtocolError, State
from .crypto import PublicKey
from .home import Home
from .packet import format_timestamp
from .session import Session

POLL_SECONDS = 0.2
# The server may take 15 s, and the way back some more.
ATTEMPT_SECONDS = 2 * ANSWER_SECONDS
LEAVE_SECONDS = 3
LEAVE_AT_LEAST_SECONDS = 0.3
# A connection without a sign of life is given up after a minute and a half.
KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3),
             ("TCP_USER_TIMEOUT", 60_000))  # fmt: skip
ADDRESSES_MAX = 8
RESTART_SECONDS = 30
# So long before its moment the successor of the server's key may be tried: clocks are wrong.
EARLY_SECONDS = 86_400
# Shared refusals can be played back, and anybody on the network can break a connection, so one is
# not enough to believe that the account is gone, or that the server has another key.
REFUSALS = 3


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


def resolve(host: str, port: int, until: float) -> list:
    """The addresses of a name. Nobody can break off a look-up, so a thread makes it."""
    found: list = []

    def look_up():
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(max(until - time.monotonic(), 0))
    if not found:
        raise TimeoutError(f"no answer to the question for the address of {host}")
    if isinstance(found[0], OSError):
        raise found[0]
    return found[:ADDRESSES_MAX]


def connect(addresses: list[str], until: float) -> tuple[socket.socket, int]:
    """A connection to the first address of a server that answers, and how many did not. The time is for
    all of them together."""
    failures = []
    for at, address in enumerate(addresses):
        now = time.monotonic()
        try:
            return connect_to(address, now + (until - now) / (len(addresses) - at)), at
        except (OSError, ValueError, UnicodeError) as error:
            failures.append(f"{address}: {error}")
    raise NetworkFailure(
        f"cannot reach the server at {', nor '.join(failures)}; is it running, and is this its address?"
        " --server HOST:PORT names another one"
    )


def connect_to(address: str, until: float) -> socket.socket:
    """A connection to HOST:PORT, at the first address of this name that answers."""
    host, _, port = address.rpartition(":")
    addresses = resolve(host.strip("[]"), int(port), until)
    failure: Exception = TimeoutError("no time is left")
    for at, (family, kind, protocol, _, target) in enumerate(addresses):
        left = until - time.monotonic()
        if left <= 0:
            break
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(left / (len(addresses) - at))
            made.connect(target)
            return made
        except OSError as error:
            made.close()
            failure = error
    raise failure


class Line:
    """A connection on its socket."""

    def __init__(self, home: Home, clock: Clock, until: float | None = None,
                 server: str | None = None, server_key: PublicKey | None = None):  # fmt: skip
        limit = time.monotonic() + ANSWER_SECONDS
        addresses = server.split(",") if server else home.servers
        self._socket, failed = connect(addresses, min(limit, until or limit))
        if not server:
            home.server_has_failed(failed)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE:
            if hasattr(socket, name):
                self._socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        server_key = server_key or PublicKey(home.get("server_key"))
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

    def answer(self, enough: Callable[[], bool] = lambda: False):
        """The next event, or None as soon as that is enough without one."""
        deadline = time.monotonic() + ATTEMPT_SECONDS
        while True:
            try:
                event = self.conn.poll()
            except ProtocolError as error:
                raise broken(error) from error
            if event is not None or enough():
                return event
            if time.monotonic() > deadline:
                raise NetworkFailure("the server does not answer")
            self.move(POLL_SECONDS)


def broken(error: ProtocolError) -> Failure:
    if isinstance(error, connection.NotTheServer):
        return Untrusted(
            "the answer is not signed with the server's key that this home trusts; is the address"
            " right, or has the server a new key? `register` with its key file tells"
        )
    return NetworkFailure(f"the server broke the protocol: {error}")


def refused(refusal: Refusal) -> Failure:
    """A refusal, for a person."""
    text = refusals.words(refusal.code)
    if refusal.code == Code.RATE_LIMITED:
        return RateLimited(
            f"{text}; try again in {refusal.retry_after_s} s", refusal.retry_after_s
        )
    if refusal.code in (Code.OTP_WRONG, Code.OTP_EXPIRED, Code.OTP_ATTEMPTS_SPENT):
        return CodeRefused(text)
    return NetworkFailure(text, refusal.retry_after_s)


class SessionHolder:
    """Holds the session of a home."""

    def __init__(self, home: Home, tell: Callable[[str], None]):
        self.home = home
        self.session: Session | None = None
        self.clock = Clock()
        self._tell = tell
        self._backoff = Backoff()
        self._key_refusals = 0
        self._distrusted = 0
        self._warned = False
        # The key of which the clock says that it is the server's was not: the other one comes first.
        self._other_key = False
        # Why there was no session last time, as long as there is none again.
        self._lost: str | None = None

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
            if self._turns_over(failure):
                continue
            if self._key_refusals == key_refusals:
                self._key_refusals = 0  # they have to come in a row
            self._distrusted = self._distrusted + 1 if isinstance(failure, Untrusted) else 0
            if self._distrusted >= REFUSALS:
                raise failure
            wait = self._backoff.failed(getattr(failure, "retry_after_s", 0))
            if isinstance(failure, Restarting):
                wait = random.uniform(1, RESTART_SECONDS)
            if time.monotonic() + wait >= deadline:
                raise failure
            if self._lost is None:
                self._tell(f"{failure}; trying again, the first time in {wait:.0f} s")
            self._lost = str(failure)
            self._sleep(wait, stop)
        return False

    def _sleep(self, seconds: float, stop: Callable[[], bool]):
        until = time.monotonic() + seconds
        while not stop() and (left := until - time.monotonic()) > 0:
            self.home.show_life()
            time.sleep(min(left, POLL_SECONDS))

    def _may_choose(self) -> bool:
        """Whether the server may have its successor by now."""
        successor = self.home.successor
        return successor is not None and successor[1] - self.clock.now() <= EARLY_SECONDS

    def _takes_successor(self) -> bool:
        """Whether the next connection is made under the key that follows the server's."""
        if not self._may_choose():
            return False
        effective = self.home.successor[1] <= self.clock.now()
        return effective != self._other_key

    def _turns_over(self, failure: Failure) -> bool:
        """Whether the other key is tried at once, since this one is not the server's: after both there is a
        pause. A session that opens has proven the key, and anybody can put bad bytes into it."""
        if self.session and self.session.opened:
            self._other_key = False
        elif isinstance(failure, Untrusted) and self._may_choose():
            self._other_key = not self._other_key
            return self._other_key
        return False

    def _attempt(self, done, deadline: float, stop) -> bool:
        server_key = self.home.successor[0] if self._takes_successor() else None
        with Line(self.home, self.clock, deadline, server_key=server_key) as line:
            try:
                return self._converse(line, done, deadline, stop)
            except Failure:
                self.home.server_has_failed()
                raise

    def _converse(self, line: Line, done, deadline: float, stop) -> bool:
        session = self.session = Session(self.home, line.conn)
        # After a refused key the long form, so that the refusal means the account.
        last_key = None if self._key_refusals else self.home.get("session_key")
        line.conn.reconnect(last_key)
        give_up = time.monotonic() + ATTEMPT_SECONDS
        while True:
            self.home.show_life()
            self._turn(line.conn, session)
            if session.confirmed:
                give_up = float("inf")
                self._warn_of_clock()
                if self._lost is not None:
                    self._lost = None
                    self._tell("connected again")
            if line.conn.backlog_ended:
                self._backoff.reset()
            finished = session.confirmed and done(session)
            if finished or stop() or time.monotonic() >= deadline:
                self._leave(line, session, deadline)
                return finished
            if time.monotonic() > give_up:
                raise NetworkFailure("the server does not answer")
            line.move(min(POLL_SECONDS, max(deadline - time.monotonic(), 0)))

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
                failure = self._broken(error, session)
        session.acknowledge()
        if failure:
            raise failure
        if session.fatal:
            raise refused(session.fatal)
        if session.closing:
            raise _closed(session.closing)

    def _broken(self, error: ProtocolError, session: Session) -> Failure:
        successor = self.home.successor
        is_other_key = isinstance(error, connection.NotTheServer) and not session.opened
        if is_other_key and successor and not self._may_choose():
            effective = format_timestamp(successor[1]).decode()
            return Untrusted(
                "the answer is not signed with the server's key that this home trusts. The server has"
                f" announced another key from {effective} UTC on, and by this machine's clock that is"
                " more than a day ahead; is the clock right? If it is, is the address?"
            )
        return broken(error)

    def _attempt_failed(self, refusal: Refusal) -> Failure:
        if refusal.code == Code.BAD_SIGNATURE:
            self._key_refusals += 1
            if self._key_refusals >= REFUSALS:
                return KeyRefused(
                    "the server does not know this account, or not with this key: its operator has removed"
                    " the account, or somebody has registered the phone from another home. Nothing was"
                    " deleted. `register` finds out which, and registers again under the same key if it can"
                )
        return refused(refusal)

    def _leave(self, line: Line, session: Session, deadline: float):
        """Says that we go, and waits for the answer, but hardly beyond the deadline. Nothing depends
        on it."""
        if line.conn.state not in (State.CONFIRMING, State.ONLINE):
            return
        try:
            line.conn.leave()
            left = max(deadline - time.monotonic(), LEAVE_AT_LEAST_SECONDS)
            until = time.monotonic() + min(LEAVE_SECONDS, left)
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
        return Restarting(
            "the server has ended the session: it stops, or its operator has ended the session, or removed"
            " the account; the next connection says which"
        )
    return NetworkFailure(f"the server ended the session: {refusals.closing_words(reason)}")
