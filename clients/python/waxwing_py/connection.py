"""One connection, from the client's end: bytes in, events and bytes out. No socket, no storage.

PROTOCOL.md, "Order of checks" and "State diagrams". Feed it, then call `poll` until it gives None.
`ProtocolError` means that the server, or somebody on the way, broke the rules: close, say nothing.
"""

import time
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from . import bodies, crypto, packet
from .bodies import Code, KeyAnswer, KeyQuestion, Reason, Refusal, Status, Successor
from .crypto import CannotOpen, PrivateKey, PublicKey
from .packet import SERVER, Deframer, Malformed, Op, Packet

WINDOW = 64
# What the server may hand over before the first of it is acknowledged, in bytes of whole packets.
WINDOW_BYTES = 256 * 1024
UNANSWERED_MAX = 128
ANSWER_SECONDS = 15
# A question about a key has its answer by then, whatever else comes meanwhile.
QUESTION_SECONDS = 60
# The backlog makes progress: a letter, or anything that the server has signed.
BACKLOG_SECONDS = 120
# A packet that has begun ends: this long, and one second more for so many bytes of it.
PACKET_SECONDS = 30
PACKET_BYTES_A_SECOND = 100
SEQ_END = 0xFFFF_FFFF


class ProtocolError(Exception):
    pass


class NotTheServer(ProtocolError):
    """A packet that does not verify under the pinned key."""


class State(Enum):
    NEW = auto()
    ASKED = auto()
    CODE = auto()
    PROVING = auto()
    RECONNECT = auto()
    ISSUED = auto()  # a 201 has come, and its id is not stored yet
    CONFIRMING = auto()
    ONLINE = auto()
    LEAVING = auto()
    CLOSED = auto()


IN_SESSION = (State.CONFIRMING, State.ONLINE, State.LEAVING)
_EXPECTED = {
    State.ASKED: {Op.REJECTED, Op.CODE, Op.REFUSAL},
    State.PROVING: {Op.NEW_USER, Op.REFUSAL},
    State.RECONNECT: {Op.SESSION_KEY, Op.REFUSAL},
}
_EXPECTED_IN_SESSION = {
    Op.LETTER, Op.ACK, Op.KEY_ANSWER, Op.CLOSING, Op.REFUSAL, Op.END_OF_BACKLOG,
}  # fmt: skip


class Clock:
    """The server's time, as far as its signed answers have told. Outlives a connection."""

    def __init__(self):
        self.offset = 0

    def now(self) -> int:
        return int(time.time()) + self.offset

    def stamp(self) -> bytes:
        return packet.format_timestamp(self.now())

    def follow(self, server_time: int):
        self.offset = server_time - int(time.time())

    @staticmethod
    def monotonic() -> float:
        return time.monotonic()


@dataclass(frozen=True)
class PhoneExists:
    pass


@dataclass(frozen=True)
class Registered:
    """Store the id durably, then call `confirm`."""

    user_id: int


@dataclass(frozen=True)
class Opened:
    """The server has answered the 106: it has the key of this connection."""


@dataclass(frozen=True)
class Confirmed:
    """The server has answered under this key: the short form of 106 may use it."""

    session_key: bytes


@dataclass(frozen=True)
class Letter:
    packet: Packet


@dataclass(frozen=True)
class Statuses:
    entries: list


@dataclass(frozen=True)
class Key:
    question: KeyQuestion
    answer: KeyAnswer


@dataclass(frozen=True)
class Announced:
    """The key that follows the server's."""

    successor: Successor


@dataclass(frozen=True)
class Refused:
    """In a session. With the question that it refuses, if it was one."""

    refusal: Refusal
    question: KeyQuestion | None


@dataclass(frozen=True)
class AttemptFailed:
    """Before a session, in clear."""

    refusal: Refusal


@dataclass(frozen=True)
class EndOfBacklog:
    count: int


@dataclass(frozen=True)
class Closing:
    reason: Reason


class Connection:
    def __init__(self, server_key: PublicKey, key: PrivateKey, user_id: int, clock: Clock):
        self.server_key = server_key
        self._key = key
        self.user_id = user_id
        self.clock = clock
        self.state = State.NEW
        self.out = bytearray()
        self.backlog_ended = False
        self._deframer = Deframer()
        self._events = deque()
        self._reply_key = self._nonce = self._request_id = self._last_key = None
        self._session_key = None
        self._proven = False
        self._seq_out = self._seq_in = 0
        self._questions: dict[bytes, KeyQuestion] = {}
        self._questions_since: dict[bytes, float] = {}
        # Letters that were handed over and are not acknowledged: their ids and sizes.
        self._handed_over: list[tuple[bytes, int]] = []
        self._packet_since: float | None = None
        self._progress_at = clock.monotonic()
        self._in_flight: dict[bytes, float] = {}
        self._own_letters: dict[bytes, bytes] = {}
        self._asked_at = self._heard_at = clock.monotonic()

    # What the client says.

    def request_code(self, phone: str, reply_key: bytes):
        self._reply_key = reply_key
        block = bodies.Registration(reply_key, phone).emit()
        payload = self.server_key.wrap(crypto.label(Op.REGISTRATION), block)
        self._say(Op.REGISTRATION, payload, sender=SERVER, sign=packet.unsigned)
        self.state = State.ASKED

    def prove(self, phone: str, reply_key: bytes, code: str):
        self._nonce = crypto.random_bytes(16)
        spki = self._key.public.spki
        digest = crypto.sha256(spki)
        block = bodies.Proof(reply_key, code.encode("ascii"), self._nonce, digest, phone).emit()
        payload = self.server_key.wrap(crypto.label(Op.PROOF), block) + spki
        self._request_id = self._say(Op.PROOF, payload, sender=SERVER).id
        self.state = State.PROVING

    def reconnect(self, last_key: bytes | None):
        """In the short form with the key of the last session, else in the long one."""
        self._nonce = crypto.random_bytes(16)
        self._last_key = last_key
        if last_key:
            payload = crypto.encrypt(last_key, self._nonce)
        else:
            payload = self.server_key.wrap(crypto.label(Op.RECONNECT), self._nonce)
        self._request_id = self._say(Op.RECONNECT, payload).id
        self.state = State.RECONNECT

    def confirm(self):
        self.state = State.CONFIRMING
        self._seal(Op.ACK, bodies.emit_confirmation(WINDOW))

    def room(self) -> int:
        """How many more letters and key questions may be unanswered."""
        return UNANSWERED_MAX - len(self._in_flight) - len(self._questions)

    def make_letter(self, recipient: int, envelope: bytes) -> Packet:
        return packet.make(
            self.user_id, recipient, self.clock.stamp(), Op.LETTER, envelope, self._key.sign
        )

    def watch(self, packet_ids):
        """Packet ids of letters whose status is still open."""
        self._own_letters |= {packet_id[:15]: packet_id for packet_id in packet_ids}

    def send_letter(self, raw: bytes):
        """Sends a letter that is stored already."""
        packet_id = Packet(raw).id
        self.watch([packet_id])
        self._in_flight[packet_id] = self.clock.monotonic()
        self.out += raw

    def ask_key(self, question: KeyQuestion):
        sent = self._seal(Op.KEY_QUESTION, question.emit())
        self._questions[sent.id] = question
        self._questions_since[sent.id] = self.clock.monotonic()

    def acknowledge(self, packet_ids: list[bytes]):
        for packet_id in packet_ids:
            at = next((i for i, (held, _) in enumerate(self._handed_over) if held == packet_id), -1)
            if at >= 0:
                del self._handed_over[at]
        for at in range(0, len(packet_ids), bodies.ACK_IDS_MAX):
            self._seal(Op.ACK, bodies.emit_held(packet_ids[at : at + bodies.ACK_IDS_MAX]))

    def ask_statuses(self, entries: list[tuple[int, bytes]]) -> bytes:
        """Gives the packet id of the question."""
        return self._seal(Op.ACK, bodies.emit_status_question(entries)).id

    def leave(self):
        self._seal(Op.CLOSING, bytes([Reason.LEAVING]))
        self.state = State.LEAVING

    def _take_in(self, came: Packet):
        """A letter that the server hands over. It never hands over more than the window, so who does
        is not the server, or has lost count."""
        held = sum(size for _, size in self._handed_over)
        beyond = held + len(came.raw) > WINDOW_BYTES
        if len(self._handed_over) >= WINDOW or (self._handed_over and beyond):
            raise ProtocolError("more letters than the window has room for")
        self._handed_over.append((came.id, len(came.raw)))
        self._progress_at = self.clock.monotonic()
        self._events.append(Letter(came))

    def tick(self):
        """Whether the server is still there, and gets on. Where an answer is due and nothing comes,
        it is asked for our own key, which it always answers."""
        now = self.clock.monotonic()
        if self._packet_since is not None:
            allowed = PACKET_SECONDS + self._deframer.pending / PACKET_BYTES_A_SECOND
            if now - self._packet_since > allowed:
                raise ProtocolError("a packet that has begun does not end")
        if any(now - since > QUESTION_SECONDS for since in self._questions_since.values()):
            raise ProtocolError("no answer to a question about a key")
        waits = self.state in IN_SESSION and not self.backlog_ended
        if waits and now - self._progress_at > BACKLOG_SECONDS:
            raise ProtocolError("the letters that wait do not come")
        silence = now - max(self._heard_at, self._asked_at)
        if silence < ANSWER_SECONDS:
            return
        if self._questions:
            raise ProtocolError("no answer from the server")
        if self._in_flight and self.state == State.ONLINE:
            self.ask_key(KeyQuestion(user_id=self.user_id))

    def _say(self, op: Op, payload: bytes, sender: int | None = None, sign=None) -> Packet:
        sender = self.user_id if sender is None else sender
        made = packet.make(sender, SERVER, self.clock.stamp(), op, payload, sign or self._key.sign)
        self.out += made.raw
        self._asked_at = self.clock.monotonic()
        return made

    def _seal(self, op: Op, content: bytes) -> Packet:
        if self._seq_out == SEQ_END:
            raise ProtocolError("sequence number spent")
        message = self._seq_out.to_bytes(4, "little") + content
        self._seq_out += 1
        return self._say(op, crypto.encrypt(self._session_key, message))

    # What the server says.

    def feed(self, data: bytes):
        self._heard_at = self.clock.monotonic()
        self._deframer.feed(data)
        if self._packet_since is None:
            self._packet_since = self._heard_at

    def poll(self):
        """The next event, or None if more bytes are needed for one."""
        try:
            while not self._events:
                came = self._deframer.next() if self.state != State.CLOSED else None
                if came is None:
                    if not self._deframer.pending:
                        self._packet_since = None
                    return None
                self._packet_since = self._heard_at
                self._take(came)
        except (Malformed, CannotOpen) as error:
            self.state = State.CLOSED
            raise ProtocolError(str(error) or "does not open") from error
        except ProtocolError:
            self.state = State.CLOSED
            raise
        return self._events.popleft()

    def _take(self, came: Packet):
        header, op = came.header, Op(came.header.op)
        expected = _EXPECTED_IN_SESSION if self.state in IN_SESSION else _EXPECTED.get(self.state)
        if op not in (expected or ()):
            raise ProtocolError(f"{op.name} in state {self.state.name}")
        shared = header.recipient == SERVER
        if not shared and header.recipient != self.user_id and op != Op.NEW_USER:
            raise ProtocolError("a packet for somebody else")
        if op == Op.LETTER:
            if self.state != State.LEAVING:
                self._take_in(came)
            return
        if not came.verify(self.server_key):
            raise NotTheServer("not signed with the server's key")
        self._progress_at = self.clock.monotonic()
        if self.state not in IN_SESSION:
            self._take_before_session(op, came)
        elif op == Op.REFUSAL and shared:
            self._take_clear_refusal(came)
        elif shared:
            self._take_tokens(op, came)
        else:
            self._take_sealed(op, came)

    def _take_before_session(self, op: Op, came: Packet):
        if op == Op.REFUSAL:
            if came.header.recipient != SERVER:
                raise ProtocolError("a sealed refusal before a session")
            self._take_clear_refusal(came)
        elif op in (Op.REJECTED, Op.CODE):
            # Both have one size, and either opens under the same key.
            body = crypto.decrypt(self._reply_key, came.payload)
            if op == Op.REJECTED:
                bodies.parse_rejection(body)
                self.state = State.CLOSED
                self._events.append(PhoneExists())
            else:
                self.state = State.CODE
                self._events.append(bodies.CodeIssued.parse(body))
        else:
            self._take_session_key(op, came)

    def _take_session_key(self, op: Op, came: Packet):
        body = self._key.unwrap(crypto.label(op), came.payload, 48)
        session_key, nonce = bodies.parse_session_key(body)
        if nonce != self._nonce:
            raise ProtocolError("a session key for another request")
        if self.clock.monotonic() - self._asked_at <= ANSWER_SECONDS:
            self.clock.follow(came.time)
        self._session_key = session_key
        if op == Op.NEW_USER:
            self.user_id = came.header.recipient
            self.state = State.ISSUED
            self._events.append(Registered(self.user_id))
        else:
            self._events.append(Opened())
            self.confirm()

    def _take_clear_refusal(self, came: Packet):
        if self._proven:
            return  # to an established session this is somebody's replay
        refusal = Refusal.parse(came.payload)
        if refusal.packet_id is None:
            self.state = State.CLOSED
            self._events.append(AttemptFailed(refusal))
        elif self.state in IN_SESSION or refusal.packet_id != self._request_id:
            return
        elif refusal.code == Code.SESSION_UNKNOWN and self._last_key:
            self.reconnect(None)
        else:
            self.state = State.CLOSED
            self._events.append(AttemptFailed(refusal))

    def _take_tokens(self, op: Op, came: Packet):
        statuses = []
        for token in crypto.open_tokens(self._session_key, came.payload):
            if op == Op.END_OF_BACKLOG:
                if token[:12] == self._nonce[:12]:
                    self._end_backlog(int.from_bytes(token[12:], "little"))
            elif token[:15] in self._own_letters and token[15] <= max(Status):
                statuses.append((self._own_letters[token[:15]], Status(token[15])))
        if statuses:
            self._take_statuses(statuses)

    def _take_sealed(self, op: Op, came: Packet):
        message = crypto.decrypt(self._session_key, came.payload)
        if self._seq_in == SEQ_END or message[:4] != self._seq_in.to_bytes(4, "little"):
            raise ProtocolError("sequence number")
        self._seq_in += 1
        content = message[4:]
        if op == Op.CLOSING:
            self._events.append(Closing(bodies.parse_closing(content)))
            self.state = State.CLOSED
            return
        if op == Op.ACK:
            self._take_statuses(bodies.parse_statuses(content))
        elif op == Op.END_OF_BACKLOG:
            self._end_backlog(bodies.parse_end_of_backlog(content))
        elif op == Op.KEY_ANSWER:
            if content[:2] == bytes(2):
                self._take_successor(Successor.parse(content))
            else:
                self._take_key(KeyAnswer.parse(content))
        else:
            self._take_refusal(Refusal.parse(content), came.time)

    def _confirmed(self):
        self._proven = True
        if self.state == State.CONFIRMING:
            self.state = State.ONLINE
            self._events.append(Confirmed(self._session_key))

    def _take_statuses(self, entries: list):
        self._confirmed()
        for packet_id, _ in entries:
            self._in_flight.pop(packet_id, None)
        self._events.append(Statuses(entries))

    def _end_backlog(self, count: int):
        self._confirmed()
        if not self.backlog_ended:
            self.backlog_ended = True
            self._events.append(EndOfBacklog(count))

    def _take_key(self, answer: KeyAnswer):
        self._confirmed()
        for asked_in, question in self._questions.items():
            if question.user_id == answer.user_id or question.phone == answer.phone:
                del self._questions[asked_in]
                self._questions_since.pop(asked_in, None)
                self._events.append(Key(question, answer))
                return
        raise ProtocolError("an answer to no question")

    def _take_successor(self, successor: Successor):
        self._confirmed()
        for asked_in, question in self._questions.items():
            if question.user_id == SERVER:
                del self._questions[asked_in]
                self._questions_since.pop(asked_in, None)
                self._events.append(Announced(successor))
                return
        raise ProtocolError("an answer to no question")

    def _take_refusal(self, refusal: Refusal, server_time: int):
        self._confirmed()
        question = self._questions.pop(refusal.packet_id, None)
        self._questions_since.pop(refusal.packet_id, None)
        sent_at = self._in_flight.pop(refusal.packet_id, None)
        if refusal.code == Code.STALE_TIMESTAMP and sent_at is not None:
            if self.clock.monotonic() - sent_at <= ANSWER_SECONDS:
                self.clock.follow(server_time)
        self._events.append(Refused(refusal, question))
