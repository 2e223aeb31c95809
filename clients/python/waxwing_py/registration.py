"""Getting an account. PROTOCOL.md, "Registration"."""

import time
from collections.abc import Callable

from . import connection, crypto
from .bodies import Code, KeyQuestion
from .holder import (
    REFUSALS, CodeRefused, Failure, Line, Untrusted, refused,
)  # fmt: skip
from .connection import State
from .crypto import PrivateKey, PublicKey
from .home import Home

# Any six digits: for an account that exists with this key, the signature decides.
ANY_CODE = "000000"


class OtherAccount(Failure):
    exit_code = 3


def check(home: Home, server: str, server_key: PublicKey, tell: Callable) -> bool:
    """Whether the server at this address has this key and knows this account. What it proves by that
    is stored: its address, and its key."""
    for attempt in range(REFUSALS):
        if attempt:
            time.sleep(attempt)
        session_key = _knows_us(home, server, server_key)
        # Whatever it answers is signed, so the key is the one at this address.
        home.trust_server(server, server_key)
        if session_key:
            home.put(session_key=session_key)
            return True
    tell("the server does not know this account any more; it is registered again, with the same key")
    return False


def _knows_us(home: Home, server: str, server_key: PublicKey) -> bytes | None:
    """One attempt at a session: its key, if the server knows us. A refusal of our key can be played back,
    so one is not enough."""
    with Line(home, connection.Clock(), server=server, server_key=server_key) as line:
        # In the long form: the key of the last session says nothing about the account.
        line.conn.reconnect(None)
        asked = False
        while True:
            event = line.answer(lambda: line.conn.state == State.CONFIRMING and not asked)
            if event is None:
                # Letters that wait prove nothing, and may keep the end of the backlog away. This
                # question is always answered.
                line.conn.ask_key(KeyQuestion(user_id=home.get("user_id")))
                asked = True
            elif isinstance(event, connection.AttemptFailed):
                if event.refusal.code != Code.BAD_SIGNATURE:
                    raise refused(event.refusal)
                return None
            elif isinstance(event, connection.Confirmed):
                line.conn.leave()
                return event.session_key


def prepare(home: Home, phone: str, server: str, server_key: PublicKey, code: str | None = None):
    """Key, server and attempt, durable before the first byte goes out. `code` is what the person has already:
    it belongs to the attempt of the number that it was sent to."""
    pinned = home.get("server_key")
    if pinned and pinned != server_key.spki:
        raise Untrusted("this home trusts another server key")
    if home.get("phone") not in (None, phone):
        if home.get("user_id"):
            raise Failure(f"this home belongs to {home.get('phone')}")
        if code:
            raise CodeRefused(
                f"nothing was done: a code was asked for {home.get('phone')} from this home, and none for {phone}."
                " Is the number right? Run `register` with the number that the code was sent to"
            )
        home.put(reply_key=None, proved=None)
    home.put(server=server, server_key=server_key.spki, phone=phone)
    if not home.get("key"):
        home.put(key=PrivateKey.generate().der)
    if not home.get("reply_key"):
        home.put(reply_key=crypto.random_bytes(32))


def register(home: Home, code: str | None, ask_code: Callable[[], str], tell: Callable) -> int:
    """Goes on from wherever an earlier attempt stopped. Gives the user's id.

    `code` is what the person has already; else a code is asked for, and `ask_code` gets it.
    """
    clock = connection.Clock()
    if home.get("proved"):
        # A 201 may have got lost: then the account is there, and this key opens it.
        try:
            return _prove(home, clock, code or ANY_CODE)
        except CodeRefused:
            if code:
                raise
    if not code:
        code = _request_code(home, clock, ask_code, tell)
    return _prove(home, clock, code)


def _request_code(home: Home, clock, ask_code, tell) -> str:
    with Line(home, clock) as line:
        line.conn.request_code(home.get("phone"), home.get("reply_key"))
        event = line.answer()
    if isinstance(event, connection.PhoneExists):
        raise OtherAccount(
            f"{home.get('phone')} has an account already, with another key. If it is yours, use the"
            " home that has its key; if that is lost, ask the operator to remove the account, and"
            " register again: your contacts will see a changed key"
        )
    if isinstance(event, connection.AttemptFailed):
        raise refused(event.refusal)
    if event.code:
        tell("the server sent the code in band; the phone is not verified")
        return event.code
    return ask_code()


def _prove(home: Home, clock, code: str) -> int:
    # On a connection of its own: a person may have taken long to type.
    with Line(home, clock) as line:
        home.put(proved=1)
        line.conn.prove(home.get("phone"), home.get("reply_key"), code)
        event = line.answer()
        if isinstance(event, connection.AttemptFailed):
            refusal = event.refusal
            if refusal.code in (Code.OTP_EXPIRED, Code.OTP_ATTEMPTS_SPENT):
                # The next attempt starts anew, under another reply key.
                home.put(reply_key=crypto.random_bytes(32), proved=None)
            elif refusal.code == Code.OTP_WRONG:
                home.put(proved=None)
            elif refusal.code == Code.WEAK_KEY:
                home.put(key=None, reply_key=None, proved=None)
            raise refused(refusal)
        home.put(user_id=event.user_id, reply_key=None, proved=None)
        line.conn.confirm()
        _finish(line)
        return event.user_id


def _finish(line: Line):
    """The id is stored, so a failure from here on costs another connection and nothing else."""
    try:
        while not isinstance(line.answer(), connection.EndOfBacklog):
            pass
        line.conn.leave()
        line.answer()
    except Failure:
        pass
