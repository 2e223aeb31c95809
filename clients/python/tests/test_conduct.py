"""What the real server does where PROTOCOL.md says what it does, and a client relies on it."""

import time
import unittest

from waxwing_py import bodies, connection, crypto, packet
from waxwing_py.bodies import Code, KeyQuestion, Reason, Status
from waxwing_py.connection import Clock, State
from waxwing_py.holder import Line, NetworkFailure
from waxwing_py.home import Home
from waxwing_py.packet import Op

from binaries import PYTHON, RealServer, require_binaries

ANN, BEN = "+15550001111", "+445550002222"
CONFIG = """
[letters]
life = "3s"
[storage]
expiry_interval = "1s"
"""


def setUpModule():
    require_binaries()


class TheServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = RealServer(CONFIG)
        cls.addClassCleanup(cls.server.demolish)
        cls.homes = []
        for name, phone in (("ann", ANN), ("ben", BEN)):
            home = Home(str(cls.server.person(name, phone, PYTHON).home))
            cls.addClassCleanup(home.close)
            cls.homes.append(home)
        cls.ann, cls.ben = cls.homes
        cls.ben_id = cls.ben.get("user_id")

    def connect(self, home: Home | None = None) -> Line:
        line = Line(home or self.ann, Clock())
        self.addCleanup(line.__exit__)
        return line

    def session(self, home: Home | None = None) -> Line:
        line = self.connect(home)
        line.conn.reconnect(None)
        self.until(line, connection.EndOfBacklog)
        return line

    def until(self, line: Line, kind):
        while not isinstance(event := line.answer(), kind):
            pass
        return event

    def letter(self, line: Line, recipient: int, payload: bytes = bytes(306), age: int = 0):
        stamp = packet.format_timestamp(int(time.time()) - age)
        sender, sign = line.conn.user_id, line.conn._key.sign
        return packet.make(sender, recipient, stamp, Op.LETTER, payload, sign)

    def status(self, line: Line, letter) -> Status:
        """The next word about this letter."""
        while True:
            entries = self.until(line, connection.Statuses).entries
            if said := [status for packet_id, status in entries if packet_id == letter.id]:
                return said[0]

    def refusal(self, line: Line) -> bodies.Refusal:
        return self.until(line, (connection.Refused, connection.AttemptFailed)).refusal

    def closes(self, line: Line):
        with self.assertRaises(NetworkFailure):
            while True:
                line.answer()

    def test_takes_a_letter_without_looking_into_it(self):
        line = self.session()
        for payload in (b"", b"\0", bytes(61_440)):
            letter = self.letter(line, self.ben_id, payload)
            line.conn.send_letter(letter.raw)
            self.assertEqual(self.status(line, letter), Status.STORED)

    def test_refuses_a_letter_and_forgets_it(self):
        line = self.session()
        for letter, code in (
            (self.letter(line, 999), Code.UNKNOWN_RECIPIENT),
            (self.letter(line, line.conn.user_id), Code.UNKNOWN_RECIPIENT),
            (self.letter(line, 0), Code.UNKNOWN_RECIPIENT),
            (self.letter(line, self.ben_id, bytes(61_441)), Code.TOO_LARGE),
            (self.letter(line, self.ben_id, age=310), Code.STALE_TIMESTAMP),
            (self.letter(line, self.ben_id, age=-310), Code.STALE_TIMESTAMP),
        ):
            for _ in range(2):
                line.conn.send_letter(letter.raw)
                refusal = self.refusal(line)
                self.assertEqual((refusal.code, refusal.packet_id), (code, letter.id))

    def test_says_that_a_letter_expired(self):
        line = self.session()
        letter = self.letter(line, self.ben_id)
        line.conn.send_letter(letter.raw)
        self.assertEqual(self.status(line, letter), Status.STORED)
        self.assertEqual(self.status(line, letter), Status.EXPIRED)

    def test_says_2_about_what_never_was_and_0_about_what_is_not_ours(self):
        ben = self.session(self.ben)
        letter = self.letter(ben, self.ann.get("user_id"))
        ben.conn.send_letter(letter.raw)
        self.status(ben, letter)
        for asked, status in (
            ((self.ben_id, crypto.random_bytes(16)), Status.DELIVERED),
            ((self.ann.get("user_id"), letter.id), Status.UNKNOWN),
        ):
            line = self.session()
            line.conn.ask_statuses([asked])
            entries = self.until(line, connection.Statuses).entries
            self.assertEqual(entries, [(asked[1], status)])

    def test_takes_one_status_question_a_second(self):
        line = self.session()
        line.conn.ask_statuses([(self.ben_id, bytes(16))])
        second = line.conn.ask_statuses([(self.ben_id, bytes(16))])
        refusal = self.refusal(line)
        self.assertEqual((refusal.code, refusal.packet_id), (Code.RATE_LIMITED, second))
        self.assertEqual(refusal.retry_after_s, 1)

    def test_answers_for_our_own_id_and_not_for_others(self):
        line = self.session()
        line.conn.ask_key(KeyQuestion(user_id=line.conn.user_id))
        answer = self.until(line, connection.Key).answer
        self.assertEqual((answer.phone, answer.key.spki), (ANN, self.ann.key.public.spki))
        line.conn.ask_key(KeyQuestion(user_id=self.ben_id))
        self.assertEqual(self.refusal(line).code, Code.UNKNOWN_USER)

    def test_closes_on_a_106_that_it_answered_before(self):
        line = self.connect()
        line.conn.reconnect(None)
        request = bytes(line.conn.out)
        self.until(line, connection.EndOfBacklog)
        again = self.connect()
        again.conn.out += request
        again.conn.state = State.RECONNECT
        self.closes(again)

    def test_refuses_an_unknown_id_like_a_bad_signature(self):
        line = self.connect()
        line.conn.user_id = 999
        line.conn.reconnect(None)
        refusal = self.refusal(line)
        self.assertEqual((refusal.code, refusal.packet_id), (Code.BAD_SIGNATURE, None))
        self.closes(line)

    def test_takes_any_reason_for_leaving(self):
        for reason in Reason:
            line = self.session()
            line.conn._seal(Op.CLOSING, bytes([reason]))
            line.conn.state = State.LEAVING
            self.assertEqual(line.answer(), connection.Closing(Reason.LEAVING))

    def test_wants_the_confirmation_first(self):
        for content, seq, code in (
            (b"\0\0", 0, Code.MALFORMED),
            (b"\0\x81", 0, Code.MALFORMED),
            (b"\0\1", 1, Code.BAD_SEQUENCE),
            (b"\1\0\0", 0, Code.UNEXPECTED_OP),
        ):
            line = self.connect()
            conn = line.conn

            def confirm(conn=conn, content=content, seq=seq):
                conn.state = State.CONFIRMING
                conn._seq_out = seq
                conn._seal(Op.ACK, content)

            conn.confirm = confirm
            conn.reconnect(None)
            refusal = self.refusal(line)
            self.assertEqual((refusal.code, refusal.packet_id), (code, None))


if __name__ == "__main__":
    unittest.main()
