"""What a session means for the home: letters out, letters in, and whose keys to trust.

PROTOCOL.md, "Letters", "Directory", "Duplicates", "Pinning" and "Refusal table". The caller holds
a transaction of the home around `handle` and `fill`; `acknowledge` comes after it is durable.
"""

import time

from . import connection, envelope
from .backoff import Backoff
from .bodies import (
    Code, KeyAnswer, KeyQuestion, Refusal, STATUS_ENTRIES_MAX, Successor,
)  # fmt: skip
from .connection import Connection, State
from .crypto import CannotOpen
from .envelope import Content, Person, Unsupported
from .home import (
    ASK_SERVER_SECONDS, BAD_SIGNATURE, HELD, LETTER, UNKNOWN_SENDER, Contact, Home, PinConflict,
)  # fmt: skip
from .packet import SERVER, Packet

# Room that letters in flight leave to key questions.
QUESTIONS_RESERVE = 32
# A packet is sent again as it is while the server takes its timestamp, with some room for the way.
FRESH_SECONDS = 240
SIGN_AGAIN_MAX = 3
CHECK_KEY_SECONDS = 86_400
STATUS_QUESTION_SECONDS = 1.1
# The question which key follows the server's.
OF_SERVER = KeyQuestion(user_id=SERVER)
FATAL = {
    Code.MALFORMED, Code.UNKNOWN_OP, Code.UNEXPECTED_OP, Code.BAD_SIGNATURE, Code.BAD_SEQUENCE,
}  # fmt: skip
LATER = {Code.RATE_LIMITED, Code.MAILBOX_FULL, Code.STORAGE_UNAVAILABLE, Code.BUSY}


class Session:
    def __init__(self, home: Home, conn: Connection):
        self.home = home
        self.conn = conn
        self.fatal: Refusal | None = None
        self.closing = None
        self.opened = False
        self.confirmed = False
        # The last word about a key question by phone: an answer, a refusal, or a conflict.
        self.answers: dict[str, KeyAnswer | Refusal | PinConflict] = {}
        self._durable: list[bytes] = []
        self._parked: dict[KeyQuestion, list[Packet]] = {}
        self._wanted: dict[KeyQuestion, None] = {}
        self._asked: set[KeyQuestion] = set()
        self._open: set[KeyQuestion] = set()
        self._conflicts: dict[str, tuple[KeyQuestion, KeyAnswer]] = {}
        self._sent: set[bytes] = set()
        self._sign_again: set[bytes] = set()
        # Letters to an id that is nobody's, with that id; and those that a new id was found for.
        self._lost_recipient: dict[bytes, int] = {}
        self._moved: set[bytes] = set()
        self._not_before: dict[bytes, float] = {}
        self._backoff: dict[bytes, Backoff] = {}
        self._to_ask = home.stored_packets()
        self._status_questions: dict[bytes, list[tuple[int, bytes]]] = {}
        self._ask_at = 0.0
        self._ask_server_at = 0.0
        conn.watch(home.open_packets())

    @property
    def idle(self) -> bool:
        """No letter waits for a key."""
        return not self._parked and not self._conflicts

    def handle(self, event):
        if isinstance(event, connection.Letter):
            self._letter(event.packet)
        elif isinstance(event, connection.Statuses):
            for packet_id, status in event.entries:
                self.home.set_status(packet_id, status)
        elif isinstance(event, connection.Key):
            self._key(event.question, event.answer)
        elif isinstance(event, connection.Announced):
            self._open.discard(OF_SERVER)
            self._note_successor(event.successor)
        elif isinstance(event, connection.Refused):
            self._refused(event)
        elif isinstance(event, connection.Opened):
            self.opened = True
            self.home.succeed(self.conn.server_key)
        elif isinstance(event, connection.Confirmed):
            self.confirmed = True
            self.home.put(session_key=event.session_key)
            self.home.server_has_answered()
        elif isinstance(event, connection.Closing):
            self.closing = event.reason

    def acknowledge(self):
        """Once what was handled is durable."""
        if self._durable and self.conn.state in (State.CONFIRMING, State.ONLINE):
            self.conn.acknowledge(self._durable)
        self._durable = []

    def fill(self):
        """Whatever may go out now: letters, key questions, and a status question."""
        if self.conn.state not in (State.CONFIRMING, State.ONLINE):
            return
        self._send_outbox()
        while self._wanted and self.conn.room() > 0:
            question = next(iter(self._wanted))
            del self._wanted[question]
            self._asked.add(question)
            self._open.add(question)
            self.conn.ask_key(question)
        if self._asks_server():
            self._open.add(OF_SERVER)
            self.conn.ask_key(OF_SERVER)
        if self._to_ask and self.confirmed and self.conn.clock.monotonic() >= self._ask_at:
            entries = self._to_ask[:STATUS_ENTRIES_MAX]
            del self._to_ask[:STATUS_ENTRIES_MAX]
            self._status_questions[self.conn.ask_statuses(entries)] = entries
            self._ask_at = self.conn.clock.monotonic() + STATUS_QUESTION_SECONDS

    def _asks_server(self) -> bool:
        """Whether the server is to be asked for its successor now. Nobody waits for that answer."""
        clock = self.conn.clock
        is_quiet = self.conn.backlog_ended and not self._open
        is_time = clock.monotonic() >= self._ask_server_at
        return is_quiet and is_time and self.home.successor_due(clock.now())

    def _note_successor(self, successor: Successor | None):
        self.home.note_successor(successor, self.conn.server_key, self.conn.clock.now())

    def ask(self, phone: str):
        self._want(KeyQuestion(phone=phone))

    def _want(self, question: KeyQuestion):
        if question not in self._open:
            self._wanted[question] = None

    # Letters out.

    def _send_outbox(self):
        """To each person the oldest letter that waits, and the next one when the server has answered:
        so letters to one person keep their order, also where one is refused for a while."""
        now = self.conn.clock.monotonic()
        written_to = set()
        for uid, phone, content in self.home.outbox():
            if self.conn.room() <= QUESTIONS_RESERVE:
                return
            if phone in written_to:
                continue
            written_to.add(phone)
            if uid in self._sent or self._not_before.get(uid, 0) > now:
                continue
            contact = self.home.contact(phone)
            if contact is None or contact.user_id is None or self._stale(contact):
                self.ask(phone)
            elif contact.offered is None:
                self.conn.send_letter(self._packet_for(uid, contact, content))
                self._sent.add(uid)

    def _stale(self, contact: Contact) -> bool:
        """Whether the day's question about the contact is still to be asked."""
        return not 0 <= time.time() - contact.checked_at < CHECK_KEY_SECONDS

    def _packet_for(self, uid: bytes, contact: Contact, content: Content) -> bytes:
        """The letter as it was sent before, as long as it can be; else signed again and stored."""
        spki = contact.key.spki
        sealed = self.home.sealed(uid, spki)
        raw = self.home.last_packet(uid)
        if sealed and raw and uid not in self._sign_again:
            last = Packet(raw)
            fresh = abs(last.time - self.conn.clock.now()) <= FRESH_SECONDS
            ids = (self.conn.user_id, contact.user_id)
            same = (last.header.sender, last.header.recipient) == ids
            if fresh and same and last.payload == sealed:
                return raw
        self._sign_again.discard(uid)
        sealed = sealed or envelope.seal(self.home.me, contact.person, content)
        packet = self.conn.make_letter(contact.user_id, sealed)
        self.home.add_packet(uid, packet, sealed, spki)
        return packet.raw

    def _refused(self, event: connection.Refused):
        refusal = event.refusal
        if refusal.code in FATAL or refusal.packet_id is None:
            self.fatal = refusal
        uid = self.home.uid_of(refusal.packet_id) if refusal.packet_id else None
        if event.question:
            self._question_refused(event.question, refusal)
        elif uid:
            self._letter_refused(uid, refusal)
        elif refusal.code in LATER and refusal.packet_id in self._status_questions:
            self._to_ask = self._status_questions.pop(refusal.packet_id) + self._to_ask
            wait = max(STATUS_QUESTION_SECONDS, refusal.retry_after_s)
            self._ask_at = self.conn.clock.monotonic() + wait

    def _letter_refused(self, uid: bytes, refusal: Refusal):
        if refusal.code == Code.STALE_TIMESTAMP:
            if self.home.count_signed_again(uid) <= SIGN_AGAIN_MAX:
                self._sign_again.add(uid)
                self._sent.discard(uid)
                return
        elif refusal.code in LATER:
            self._try_later(uid, refusal.retry_after_s)
            return
        elif refusal.code == Code.UNKNOWN_RECIPIENT and uid not in self._moved:
            phone = self._phone_of(uid)
            if phone:
                self._lost_recipient[uid] = Packet(self.home.last_packet(uid)).header.recipient
                self.ask(phone)
            return
        self.home.refuse(uid, refusal.name)

    def _try_later(self, uid: bytes, retry_after_s: int):
        wait = self._backoff.setdefault(uid, Backoff()).failed(retry_after_s)
        self._not_before[uid] = self.conn.clock.monotonic() + wait
        self._sent.discard(uid)

    # Keys.

    def _key(self, question: KeyQuestion, answer: KeyAnswer):
        self._open.discard(question)
        if question.user_id == self.conn.user_id:
            return
        self._judge(question, answer)
        if answer.phone in self._conflicts:
            self._settle(answer.phone)

    def _judge(self, question: KeyQuestion, answer: KeyAnswer):
        """Pins the answer, or refuses it, and goes on with what waited for it."""
        self._asked |= {KeyQuestion(user_id=answer.user_id), KeyQuestion(phone=answer.phone)}
        try:
            contact = self.home.pin(answer)
        except PinConflict as conflict:
            other = KeyQuestion(phone=conflict.other)
            if conflict.by_id and other not in self._asked:
                # The other may have lost the id, after it had rested.
                self._conflicts[conflict.other] = (question, answer)
                self._want(other)
                return
            self.answers[answer.phone] = conflict
            self._give_up_letters_to(answer.phone, str(conflict))
        else:
            self.answers[answer.phone] = answer
            self._reopen(contact)
            self._find_lost_recipients(contact)
        self._unpark(question)

    def _find_lost_recipients(self, contact: Contact):
        for uid, old_id in list(self._lost_recipient.items()):
            if contact.phone != self._phone_of(uid):
                continue
            del self._lost_recipient[uid]
            if contact.user_id != old_id:
                self._moved.add(uid)
                self._sent.discard(uid)
            else:
                self.home.refuse(uid, Code.UNKNOWN_RECIPIENT.name)

    def _settle(self, phone: str):
        """The phone that had an id has been asked after: the conflict about the id is judged anew."""
        question, answer = self._conflicts.pop(phone)
        self._judge(question, answer)

    def _question_refused(self, question: KeyQuestion, refusal: Refusal):
        self._open.discard(question)
        if question == OF_SERVER:
            self._ask_server_at = self.conn.clock.monotonic() + ASK_SERVER_SECONDS
            # Anything else says nothing about the key.
            if refusal.code in (Code.UNKNOWN_USER, Code.MALFORMED):
                self._note_successor(None)
        if question.phone:
            self.answers[question.phone] = refusal
            if refusal.code == Code.UNKNOWN_USER:
                self.home.unpin_id(question.phone)
                self._give_up_letters_to(question.phone, refusal.name)
            else:
                for uid, phone, _ in self.home.outbox():
                    if phone == question.phone:
                        self._try_later(uid, refusal.retry_after_s)
            if question.phone in self._conflicts:
                self._settle(question.phone)
        self._unpark(question)

    def _give_up_letters_to(self, phone: str, reason: str):
        for uid, to, _ in self.home.outbox():
            if to == phone:
                self.home.refuse(uid, reason)

    def _phone_of(self, uid: bytes) -> str | None:
        return next((phone for u, phone, _ in self.home.outbox() if u == uid), None)

    # Letters in.

    def _letter(self, packet: Packet):
        sender = packet.header.sender
        for waiting in self._parked.values():
            if waiting[0].header.sender == sender:
                waiting.append(packet)
                return
        contact = self.home.contact_by_id(sender)
        if contact is None:
            self._park_or_keep(KeyQuestion(user_id=sender), packet, UNKNOWN_SENDER)
        elif packet.verify(contact.key):
            self._keep(contact.person, packet, LETTER)
            self._durable.append(packet.id)
        elif contact.offered and packet.verify(contact.offered):
            self._keep(Person(contact.phone, contact.offered), packet, HELD)
            self._durable.append(packet.id)
        else:
            self._park_or_keep(KeyQuestion(phone=contact.phone), packet, BAD_SIGNATURE)

    def _park_or_keep(self, question: KeyQuestion, packet: Packet, fate: str):
        """Waits for the key, unless it was asked for in this session already."""
        if question in self._asked:
            self.home.keep_unopened(packet, fate)
            self._durable.append(packet.id)
        else:
            self._parked[question] = [packet]
            self._want(question)

    def _unpark(self, question: KeyQuestion):
        for packet in self._parked.pop(question, []):
            self._letter(packet)

    def _keep(self, sender: Person, packet: Packet, fate: str):
        """Opens a letter whose signature was verified under the sender's key."""
        try:
            content = envelope.open_envelope(sender, self.home.me, self.home.key, packet.payload)
        except CannotOpen:
            self.home.keep_unopened(packet, "unreadable")
        except Unsupported as reason:
            self.home.keep_unopened(packet, str(reason))
        else:
            try:
                content.check()
            except Unsupported as reason:
                fate = str(reason)
            self.home.keep_letter(sender, packet, content, fate)

    def _reopen(self, contact: Contact):
        """Letters that came before the key of their sender."""
        for number, raw in self.home.unopened(contact.user_id):
            packet = Packet(raw)
            for person, fate in (
                (contact.person, LETTER),
                (contact.offered and Person(contact.phone, contact.offered), HELD),
            ):
                if person and packet.verify(person.key):
                    self.home.forget_unopened(number)
                    self._keep(person, packet, fate)
                    break
