"""The command line."""

import argparse
import contextlib
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

from . import bodies, crypto, envelope, holder, refusals, registration, show
from .bodies import KeyAnswer, Status
from .holder import Failure, NetworkFailure, SessionHolder, Untrusted
from .crypto import PublicKey, WeakKey
from .envelope import Content
from .home import Home, NoHome, StorageError

FAILED, USAGE, TIMED_OUT, STORAGE, CONFIG, INTERRUPTED = 1, 2, 7, 74, 78, 130
CONNECT_SECONDS = 15
SERVERS_MAX = 8
# How long receipts may take to go out with the letters that were just printed.
RECEIPTS_SECONDS = 3
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


class Interrupted(Failure):
    exit_code = INTERRUPTED


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
    try:
        home = Home(args.home)
    except NoHome:
        home = None
    if home is None or not home.get("user_id"):
        raise Failure(
            f"nobody is registered in {args.home}; run `waxwing-py register --server-key FILE PHONE`,"
            " or name another home with --home"
        )
    home.named_server = getattr(args, "server", None)
    return home


def open_for_other(args) -> Home:
    """The home, for a command about somebody else."""
    home = open_home(args)
    if args.phone == home.get("phone"):
        raise Usage("this is your own phone number")
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
        registration.prepare(home, args.phone, server, server_key, args.otp)
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
    home = open_for_other(args)
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
        raise (NetworkFailure if unknown else Untrusted)(
            f"the letter was refused: {refusals.kept_words(reason)}"
        )
    if status in wanted:
        say(f"{status.name.lower()} {content.uid.hex()}")
        return
    if status == Status.EXPIRED:
        raise NetworkFailure("the letter expired undelivered")
    if status == Status.STORED:
        say(f"stored {content.uid.hex()}")
        raise TimedOut("the letter is stored, and was not delivered in time; see history")
    say(f"queued {content.uid.hex()}")
    if _held_back(home, args.phone):
        raise Untrusted(f"the key of {args.phone} has changed; see verify")
    raise NetworkFailure(
        "the server has not answered in time; the letter goes out with the next connection"
    )


def _body(text: str) -> bytes:
    """A text as it is sent. One that cannot be sent whole is not sent at all."""
    if text == "-":
        body = sys.stdin.buffer.read(envelope.BODY_MAX + 1)
    else:
        body = os.fsencode(text)
    if len(body) > envelope.BODY_MAX:
        raise Usage(f"a text has {envelope.BODY_MAX} bytes at most; nothing was sent")
    try:
        words = body.decode()
    except UnicodeDecodeError as error:
        raise Usage(
            f"the text is not UTF-8 at byte {error.start + 1}; nothing was sent"
        ) from error
    if show.is_blank(words):
        raise Usage(
            "there is nothing to read in this text, so it is not sent; `waxwing-py send PHONE -` sends"
            " standard input"
        )
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
                f"process {number} (`ps -p {number}` shows it) holds the session of this home and has not"
                f" moved for {silent} s;"
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
    printed = _print_letters(home, args)
    heard = started
    complete = False

    def done(session=None) -> bool:
        nonlocal printed, heard, complete
        if count := _print_letters(home, args):
            printed, heard = printed + count, time.monotonic()
        waited = time.monotonic() - heard >= patience
        if args.follow:
            return waited
        complete = session is None or (session.conn.backlog_ended and session.idle)
        if not complete or (printed == 0 and not waited):
            return False
        # Receipts go along. If that takes long, they go out with the next connection.
        gone = time.monotonic() - heard >= RECEIPTS_SECONDS or not home.receipts_wait()
        return printed == 0 or gone

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


def _print_letters(home: Home, args) -> int:
    """Prints what nobody has printed yet, and gives the number of letters. A letter is marked once it
    is written, and other processes of this home wait meanwhile, so each is printed by one of them."""
    count = 0
    with home.showing():
        for row in home.unshown():
            if show.is_receipt(row) and not home.was_sent_to(row["phone"], row["body"]):
                line = None
            else:
                line = show.json_line(row) if args.json else show.text_line(row)
            if line:
                say(line)
                count += 1
            home.mark_shown(row["number"], receipt=args.receipts)
    return count


def history(args):
    home = open_home(args)
    for entry in home.history(args.phone):
        say(show.entry_json(entry) if args.json else show.entry_text(entry))


def contacts(args):
    home = open_home(args)
    for contact in home.contacts():
        say(show.contact_json(contact) if args.json else show.contact_text(contact))


def verify(args):
    stop = Stop()
    home = open_for_other(args)
    if args.accept:
        # The server is not asked first: what it would say now, nobody has compared.
        _accept(home, args.phone, args.accept)
        return
    try:
        _ask_server(home, args.phone, stop)
    except NetworkFailure as error:
        # Without a word of the server, what is pinned has to do.
        if home.contact(args.phone) is None:
            raise Failure(f"no key of {args.phone} is known yet, and the server has not said: {error}")
        tell(f"the server has not said what the key is now ({error}); this is what this home knows")
    contact = home.contact(args.phone)
    if contact is None:
        raise NetworkFailure(f"the server knows nobody with {args.phone}; check the number")
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
    """Asks the server for the key of a phone, which is then pinned or offered. A phone that is nobody's
    any more keeps the key that it had."""
    deadline = time.monotonic() + CONNECT_SECONDS
    if not home.take_session():
        raise NetworkFailure("another process has the session of this home")
    holding = SessionHolder(home, tell)
    asked = None

    def answered(session) -> bool:
        nonlocal asked
        if session is not asked:
            asked = session
            session.ask(phone)
        return phone in session.answers and session.idle

    holding.run(answered, deadline, stop)
    answer = holding.session.answers.get(phone) if holding.session else None
    if answer is None:
        if stop():
            raise Interrupted("interrupted")
        raise NetworkFailure("no answer from the server")
    if isinstance(answer, bodies.Refusal):
        if answer.code != bodies.Code.UNKNOWN_USER:
            raise holder.refused(answer)
    elif not isinstance(answer, KeyAnswer):
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

    def is_address(text):
        host, _, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        is_port = port.isascii() and port.isdigit() and int(port) <= 65_535
        return host and (":" in host) == bracketed and is_port

    def servers(text):
        addresses = [address.strip() for address in text.split(",")]
        if not all(map(is_address, addresses)):
            raise argparse.ArgumentTypeError(
                "an address is HOST:PORT, such as 127.0.0.1:9295; where a server has several, a comma"
                " stands between them"
            )
        if len(set(addresses)) < len(addresses):
            raise argparse.ArgumentTypeError("the same address is there twice; name each once")
        if len(addresses) > SERVERS_MAX:
            raise argparse.ArgumentTypeError(f"a server has at most {SERVERS_MAX} addresses here")
        return ",".join(addresses)

    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    parser = argparse.ArgumentParser(prog="waxwing-py", description="A Waxwing client")
    parser.add_argument("--home", default=f"{data}/waxwing-py", metavar="DIR",
                        help="directory with key, contacts and letters")  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(run, text):
        sub = commands.add_parser(run.__name__, help=text)
        sub.set_defaults(run=run)
        sub.add_argument("--home", default=argparse.SUPPRESS, metavar="DIR")
        return sub

    def command_online(run, text):
        sub = command(run, text)
        sub.add_argument("--server", type=servers, metavar="HOST:PORT,…",
                         help="where the server is; several addresses are tried in turn")  # fmt: skip
        return sub

    sub = command_online(register, "register a phone; may be run again")
    sub.add_argument("--server-key", required=True, metavar="FILE", help="server.pub.pem")
    sub.add_argument("--accept-server-key", metavar="FINGERPRINT",
                     help="trust the server's new key, which has this fingerprint")  # fmt: skip
    sub.add_argument("--otp", type=code, metavar="CODE", help="the code that was sent to you")
    sub.add_argument("phone", type=phone)
    sub = command_online(send, "send a letter")
    sub.add_argument("--wait", choices=("stored", "delivered"), default="stored")
    sub.add_argument("--timeout", type=seconds, default=30, metavar="S")
    sub.add_argument("phone", type=phone)
    sub.add_argument("text", help="the text; - reads standard input")
    sub = command_online(receive, "print the letters that nobody has printed yet")
    sub.add_argument("--follow", action="store_true", help="go on, printing letters as they come")
    sub.add_argument("--json", action="store_true", help="one JSON object a line")
    sub.add_argument("--timeout", type=seconds, metavar="S", help="seconds to wait for a letter")
    sub.add_argument("--receipts", action="store_true",
                     help="tell people you know that you have read their letters")  # fmt: skip
    sub = command_online(verify, "show the safety number to compare with somebody")
    decision = sub.add_mutually_exclusive_group()
    decision.add_argument("--accept", type=number, metavar="NUMBER",
                          help="accept the changed key that has this number")  # fmt: skip
    decision.add_argument("--match", type=number, metavar="NUMBER",
                          help="they see this number too: mark the key as verified")  # fmt: skip
    sub.add_argument("phone", type=phone)
    sub = command(history, "show the letters to and from somebody, and what became of them")
    sub.add_argument("--json", action="store_true", help="one JSON object a line")
    sub.add_argument("phone", type=phone)
    sub = command(contacts, "list the people whose key is pinned")
    sub.add_argument("--json", action="store_true", help="one JSON object a line")
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
        return FAILED
    except EOFError:
        tell("no code was typed; when you have it, run `register` again with --otp CODE")
        return holder.CodeRefused.exit_code
    except KeyboardInterrupt:
        tell("interrupted")
        return INTERRUPTED
    return 0


def run():
    code = main()
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        # Said already, if anybody could hear it; the interpreter would say it again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
