"""The command line."""

import argparse
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import time
import unicodedata
from pathlib import Path

from . import bodies, crypto, envelope, holder, registration
from .bodies import KeyAnswer, Status
from .holder import Failure, NetworkFailure, SessionHolder, Untrusted
from .crypto import PublicKey, WeakKey
from .envelope import Content
from .home import LETTER, Home, StorageError

USAGE, TIMED_OUT, STORAGE, CONFIG = 2, 7, 74, 78
CONNECT_SECONDS = 15
YEAR_SECONDS = 31_536_000
FOREVER = float("inf")


class TimedOut(Failure):
    exit_code = TIMED_OUT


class BadFile(Failure):
    exit_code = CONFIG


class OutputFailed(Failure):
    """What was asked for cannot be written."""


class Usage(Failure):
    exit_code = USAGE


def tell(text: str):
    """For people. Where nobody can read it, nothing else ends because of that."""
    with contextlib.suppress(OSError, ValueError):
        print(f"waxwing-py: {text}", file=sys.stderr, flush=True)


def say(text: str):
    """What a command is for."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        raise OutputFailed(f"cannot write to standard output: {error}") from error


class Stop:
    """Set by SIGINT and SIGTERM, so that a session is left properly."""

    def __init__(self):
        self._set = False
        signal.signal(signal.SIGINT, self._handle)
        signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, *_):
        self._set = True

    def __call__(self) -> bool:
        return self._set


def open_home(args) -> Home:
    home = Home(args.home)
    if not home.get("user_id"):
        raise Failure(
            f"nobody is registered in {args.home}; run `waxwing-py register --server-key FILE PHONE`,"
            " or name another home with --home"
        )
    home.named_server = args.server
    return home


def register(args):
    try:
        server_key = PublicKey.from_pem(Path(args.server_key).read_text())
    except (OSError, UnicodeDecodeError, WeakKey) as error:
        raise BadFile(f"{args.server_key}: {error}") from error
    home = Home(args.home, create=True)
    # Whoever holds a session of another key, or is about to, must not write what it learns there.
    if not home.take_session():
        raise Failure(
            "another process has the session of this home; end it, then run `register` again"
        )
    if home.get("user_id") and home.get("phone") == args.phone:
        server = args.server or home.get("server")
        _trust_server(home, server_key, args.accept_server_key)
        if registration.check(home, server, server_key, tell):
            say(f"registered {args.phone} as {home.get('user_id')}")
            return
        home.begin_anew(crypto.random_bytes(32))
    else:
        server = args.server or "127.0.0.1:9295"
        registration.prepare(home, args.phone, server, server_key)
    registration.register(home, args.otp, _ask_code, tell)
    say(f"registered {args.phone} as {home.get('user_id')}")


def _trust_server(home: Home, offered: PublicKey, accepted: str | None):
    """A home trusts one server's key. Another one is taken only if it is named."""
    pinned = home.get("server_key")
    fingerprint = crypto.sha256(offered.spki).hex()
    if offered.spki == pinned or accepted == fingerprint:
        return
    raise Untrusted(
        "the file holds another key than the one that this home trusts as its server's."
        f" Trusted: {crypto.sha256(pinned).hex()}. In the file: {fingerprint}. If the operator has told"
        " you that the server has this new key, run the same command with --accept-server-key and"
        " that fingerprint"
    )


def _ask_code() -> str:
    if not sys.stdin.isatty():
        raise holder.CodeRefused("a code is on its way; run this again with --otp CODE")
    for _ in range(3):
        tell("the server has sent a code to the phone; type its six digits, then Enter")
        if bodies.is_code(code := input("code: ").strip()):
            return code
    raise holder.CodeRefused("that was no code; run `register` again with --otp CODE")


def send(args):
    stop = Stop()
    home = open_home(args)
    if args.phone == home.get("phone"):
        raise Failure("that is your own phone")
    content = Content(crypto.random_bytes(envelope.UID_LEN), envelope.TEXT, _body(args.text))
    home.enqueue(args.phone, content)
    wanted = {Status.DELIVERED} if args.wait == "delivered" else {Status.STORED, Status.DELIVERED}
    deadline = time.monotonic() + args.timeout

    def settled(session=None) -> bool:
        status, refused = home.status(content.uid)
        final = refused or status in wanted or status == Status.EXPIRED
        return bool(final) or _held_back(home, args.phone)

    try:
        _hold_session(home, settled, deadline, stop)
    except NetworkFailure:
        say(f"queued {content.uid.hex()}")
        raise
    status, reason = home.status(content.uid)
    if reason:
        say(f"refused {content.uid.hex()}")
        # Whoever is not known or takes no more is the server's word; a key is our own judgement.
        unknown = reason in bodies.Code.__members__
        raise (NetworkFailure if unknown else Untrusted)(f"the letter was refused: {reason}")
    if status in wanted:
        say(f"{status.name.lower()} {content.uid.hex()}")
        return
    if status == Status.EXPIRED:
        raise Failure("the letter expired undelivered")
    say(f"queued {content.uid.hex()}")
    if _held_back(home, args.phone):
        raise Untrusted(f"the key of {args.phone} has changed; see verify")
    raise TimedOut("not in time; the letter goes out with the next connection")


def _body(text: str) -> bytes:
    """A text as it is sent. One that cannot be sent whole is not sent at all."""
    if text == "-":
        body = sys.stdin.buffer.read(envelope.BODY_MAX + 1)
    else:
        body = os.fsencode(text)
    if len(body) > envelope.BODY_MAX:
        raise Usage(f"a text has {envelope.BODY_MAX} bytes at most; nothing was sent")
    if not body.strip():
        raise Usage("the text is empty; nothing was sent")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Usage(
            f"the text is not UTF-8 at byte {error.start + 1}; nothing was sent"
        ) from error
    return body


def _held_back(home: Home, phone: str) -> bool:
    contact = home.contact(phone)
    return contact is not None and contact.offered is not None


def _hold_session(home: Home, done, deadline: float, stop):
    """Holds the session until `done`. While another process of this home has it, that one does the
    work, and its results are seen in the home."""
    while not home.take_session():
        if done() or stop():
            return
        if stuck := home.stuck_holder():
            number, silent = stuck
            raise NetworkFailure(
                f"process {number} holds the session of this home and has not moved for {silent} s;"
                " end it, or wait until it goes on"
            )
        if time.monotonic() >= deadline:
            return
        time.sleep(holder.POLL_SECONDS)
    SessionHolder(home, tell).run(done, deadline, stop)


def receive(args):
    stop = Stop()
    home = open_home(args)
    started = time.monotonic()
    patience = args.timeout if args.timeout is not None else (FOREVER if args.follow else 0)
    printed = _print_letters(home, args.json)
    heard = started
    complete = False

    def done(session=None) -> bool:
        nonlocal printed, heard, complete
        if count := _print_letters(home, args.json):
            printed, heard = printed + count, time.monotonic()
        waited = time.monotonic() - heard >= patience
        if args.follow:
            return waited
        complete = session is None or (session.conn.backlog_ended and session.idle)
        return complete and (printed > 0 or waited)

    if args.follow:
        deadline = FOREVER
    else:
        deadline = started + (CONNECT_SECONDS if args.timeout is None else patience)
    _hold_session(home, done, deadline, stop)
    if discarded := home.take_discarded():
        tell(
            f"{discarded} letters were discarded: this home keeps only so many that nobody can read,"
            " or that come from people to whom it has never written"
        )
    if held := home.held_count():
        tell(f"{held} letters under a changed key are held back; see verify")
    if not (complete or args.follow or stop()):
        tell("there was no time for all letters that wait; run `receive` again for the others")
    if not printed and not stop():
        raise TimedOut("no letter came in time")


def _print_letters(home: Home, as_json: bool) -> int:
    """Prints what nobody has printed yet, and gives the number of letters. A letter is marked once it
    is written, and other processes of this home wait meanwhile, so each is printed by one of them."""
    count = 0
    with home.showing():
        for row in home.unshown():
            if _is_receipt(row) and not home.was_sent_to(row["phone"], row["body"]):
                line = None
            else:
                line = _json_line(row) if as_json else _text_line(row)
            if line:
                say(line)
                count += 1
            home.mark_shown(row["number"])
    return count


def _is_receipt(row: dict) -> bool:
    return row["kind"] == envelope.READ_RECEIPT and row["fate"] == LETTER


def _text_line(row: dict) -> str | None:
    if _is_receipt(row):
        return None
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(row["sent_at"]))
    sender = row["phone"] or f"user {row['sender_id']}"
    if row["fate"] != LETTER:
        return f"{when} {sender}: [{row['fate']}]"
    return f"{when} {sender}: {_shown(row['body'].decode())}"


# Characters that count as letters, marks or symbols and show as nothing at all.
BLANK = {
    *"\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U00016fe4\U0001d159",
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
}
MARKS_MAX = 8
INDENT = "    "


def _shown(text: str) -> str:
    """A text that can imitate nothing but its own words: no terminal escapes, no invisible or
    reordering characters, no line that begins where another letter's would."""
    shown, marks = [], 0
    for at, each in enumerate(text):
        category = unicodedata.category(each)
        marks = marks + 1 if category[0] == "M" else 0
        is_seen = each.isprintable() and each not in BLANK or _asks_for_emoji(text, at)
        if each in "\n\t" or (is_seen and marks <= MARKS_MAX):
            shown.append(each)
        elif marks <= MARKS_MAX:
            shown.append("\ufffd")
    lines = "".join(shown).split("\n")
    if sys.stdout.isatty():
        width = max(shutil.get_terminal_size().columns - len(INDENT), 10)
        first = len("2000-01-01 00:00 +123456789012345: ")
        lines = [part for at, line in enumerate(lines)
                 for part in _wrapped(line, width, 0 if at else first)]  # fmt: skip
    return ("\n" + INDENT).join(lines)


def _asks_for_emoji(text: str, at: int) -> bool:
    """Whether the selector for emoji stands where it changes something: behind a symbol, or between
    a digit and its key."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if text[at] != "\ufe0f" or not before:
        return False
    return unicodedata.category(before) == "So" or (before in "0123456789#*" and after == "\u20e3")


def _wrapped(line: str, width: int, taken: int) -> list[str]:
    """A line cut where the terminal would go on in the first column, the only one of a sender."""
    parts, part = [], ""
    for each in line:
        cells = 8 if each == "\t" else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        if taken + cells > width and part:
            parts.append(part)
            part, taken = "", 0
        part += each
        taken += cells
    return [*parts, part]


def _json_line(row: dict) -> str:
    def stamp(seconds):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

    known = {"from": row["phone"], "uid": row["uid"] and row["uid"].hex()}
    if row["fate"] != LETTER:
        known |= {"kind": "unreadable", "sender_id": row["sender_id"], "reason": row["fate"]}
    elif _is_receipt(row):
        known |= {"kind": "read", "of": row["body"].hex()}
    else:
        known |= {"kind": "text", "text": row["body"].decode()}
    known |= {"sent_at": stamp(row["sent_at"]), "received_at": stamp(row["received_at"])}
    return json.dumps(known)


def verify(args):
    stop = Stop()
    home = open_home(args)
    if args.phone == home.get("phone"):
        raise Failure("that is your own phone")
    if args.accept:
        # The server is not asked first: what it would say now, nobody has compared.
        _accept(home, args.phone, args.accept)
        return
    _ask_server(home, args.phone, stop)
    contact = home.contact(args.phone)
    number = _number(home, args.phone, contact.offered or contact.key)
    if contact.offered:
        raise Untrusted(
            f"the key of {args.phone} has changed; compare this number with them over another"
            f" channel: {number}; if they see the same one, accept it with --accept '{number}'"
        )
    say(number)
    if args.match:
        _must_be(number, args.match, args.phone)
        if not home.mark_verified(args.phone, contact.key):
            raise Untrusted(f"the key of {args.phone} has just changed; compare again")


def _ask_server(home: Home, phone: str, stop: Stop):
    """What the server says now about the key of a phone, pinned or offered."""
    deadline = time.monotonic() + CONNECT_SECONDS
    if not home.take_session():
        raise Failure("another process has the session of this home")
    holding = SessionHolder(home, tell)
    asked = None

    def answered(session) -> bool:
        nonlocal asked
        if session is not asked:
            asked = session
            session.ask(phone)
        return phone in session.answers and session.idle

    holding.run(answered, deadline, stop)
    answer = holding.session.answers.get(phone)
    if isinstance(answer, bodies.Refusal):
        raise holder.refused(answer)
    if answer is None:
        raise NetworkFailure("no answer from the server")
    if not isinstance(answer, KeyAnswer):
        raise Untrusted(f"{phone}: {answer}")


def _accept(home: Home, phone: str, compared: str):
    """Takes the changed key that has the number which was compared, and no other."""
    contact = home.contact(phone)
    if contact is None:
        raise Failure(f"no key of {phone} is known yet; `waxwing-py verify {phone}` asks for it")
    number = _number(home, phone, contact.offered or contact.key)
    _must_be(number, compared, phone)
    if contact.offered is None:
        tell(f"the key of {phone} has not changed; there is nothing to accept")
    elif not home.accept(phone, contact.offered):
        raise Untrusted(f"the key of {phone} has changed once more; compare again")
    say(number)


def _must_be(number: str, compared: str, phone: str):
    """What a person has compared is what counts, whatever the server says meanwhile."""
    if number.replace(" ", "") != compared:
        raise Untrusted(
            f"the number for {phone} is not the one that you name, and nothing was changed;"
            f" compare this one with them over another channel: {number}"
        )


def _number(home: Home, phone: str, key: PublicKey) -> str:
    other = envelope.Person(phone, key)
    return envelope.safety_number(home.me.fingerprint, other.fingerprint)


def parse_args(arguments):
    def phone(text):
        if not bodies.is_phone(text):
            raise argparse.ArgumentTypeError("a phone is + and 7 to 15 digits, the first not 0")
        return text

    def code(text):
        if not bodies.is_code(text):
            raise argparse.ArgumentTypeError("a code has six digits")
        return text

    def number(text):
        digits = "".join(text.split())
        if len(digits) != 60 or not (digits.isascii() and digits.isdigit()):
            raise argparse.ArgumentTypeError("a safety number has sixty digits")
        return digits

    def seconds(text):
        value = float(text)
        if not 0 <= value <= YEAR_SECONDS:
            raise argparse.ArgumentTypeError("a time is 0 to 31536000 seconds (a year)")
        return value

    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    parser = argparse.ArgumentParser(prog="waxwing-py", description="A Waxwing client")
    parser.add_argument("--home", default=f"{data}/waxwing-py", metavar="DIR",
                        help="directory with key, contacts and letters")  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(run, text):
        sub = commands.add_parser(run.__name__, help=text)
        sub.set_defaults(run=run)
        sub.add_argument("--home", default=argparse.SUPPRESS, metavar="DIR")
        sub.add_argument("--server", metavar="HOST:PORT", help="where the server is")
        return sub

    sub = command(register, "register a phone; may be run again")
    sub.add_argument("--server-key", required=True, metavar="FILE", help="server.pub.pem")
    sub.add_argument("--accept-server-key", metavar="FINGERPRINT",
                     help="trust the server's new key, which has this fingerprint")  # fmt: skip
    sub.add_argument("--otp", type=code, metavar="CODE", help="the code that was sent to you")
    sub.add_argument("phone", type=phone)
    sub = command(send, "send a letter")
    sub.add_argument("--wait", choices=("stored", "delivered"), default="stored")
    sub.add_argument("--timeout", type=seconds, default=30, metavar="S")
    sub.add_argument("phone", type=phone)
    sub.add_argument("text", help="the text; - reads standard input")
    sub = command(receive, "print the letters that nobody has printed yet")
    sub.add_argument("--follow", action="store_true", help="go on, printing letters as they come")
    sub.add_argument("--json", action="store_true", help="one JSON object a line")
    sub.add_argument("--timeout", type=seconds, metavar="S", help="seconds to wait for a letter")
    sub = command(verify, "show the safety number to compare with somebody")
    decision = sub.add_mutually_exclusive_group()
    decision.add_argument("--accept", type=number, metavar="NUMBER",
                          help="accept the changed key that has this number")  # fmt: skip
    decision.add_argument("--match", type=number, metavar="NUMBER",
                          help="they see this number too: mark the key as verified")  # fmt: skip
    sub.add_argument("phone", type=phone)
    return parser.parse_args(arguments)


def main(arguments=None) -> int:
    for stream in (sys.stdout, sys.stderr):
        # What the terminal's alphabet lacks is shown as an escape, and ends nothing.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    args = parse_args(arguments)
    try:
        args.run(args)
    except Failure as error:
        tell(str(error))
        return error.exit_code
    except (StorageError, sqlite3.Error) as error:
        tell(f"the home cannot be used: {error}")
        return STORAGE
    except BrokenPipeError:
        return 1
    except EOFError:
        tell("standard input has ended; nothing was done with what was asked for")
        return 1
    except KeyboardInterrupt:
        tell("interrupted")
        return 1
    return 0


def run():
    code = main()
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        # Said already, if anybody could hear it; the interpreter would say it again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
