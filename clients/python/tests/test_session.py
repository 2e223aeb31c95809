"""What a session does to a home, against a server that says what a test tells it to."""

import stat
import tempfile
import unittest
from pathlib import Path

from waxwing_py import bodies, connection, envelope, home, packet
from waxwing_py.bodies import Code, KeyQuestion, Reason, Status
from waxwing_py.envelope import Content, Person
from waxwing_py.holder import SessionHolder, Untrusted
from waxwing_py.home import BAD_SIGNATURE, LETTER, UNKNOWN_SENDER, Home
from waxwing_py.packet import Op, Packet
from waxwing_py.session import Session

from peer import NOW, OTHER_PHONE, PHONE, THIRD_PHONE, Peer, key

ME = 7
OTHER = 9


def text(number: int, body: bytes = b"hello") -> Content:
    return Content(bytes([number]) * 16, envelope.TEXT, body)


class WithHome(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.home = Home(f"{directory.name}/home", create=True)
        self.addCleanup(self.home.close)
        self.home.put(
            key=key("me").der, phone=PHONE, user_id=ME, server_key=key("server").public.spki,
            # It was asked a moment ago which key follows.
            successor_asked=NOW,
        )
        self.start()

    def start(self):
        """A new session of the same home."""
        self.peer = Peer(ME)
        self.turn(self.peer.establish(), start=True)

    def turn(self, events=(), start=False) -> list[Packet]:
        """One turn, as the session holder makes it. Gives what the client sent."""
        if start:
            self.session = Session(self.home, self.peer.conn)
        with self.home.transaction():
            for event in events:
                self.session.handle(event)
            self.session.fill()
        self.session.acknowledge()
        self.out = [self.read(each) for each in self.peer.sent()]
        return self.out

    def read(self, sent: Packet):
        """A letter as the packet that it is, anything sealed as what it says."""
        if sent.header.op == Op.LETTER:
            return sent
        content = self.peer.open(sent)
        if sent.header.op == Op.KEY_QUESTION:
            self.question_id = sent.id
            return KeyQuestion.parse(content)
        said = bodies.ClientAck.parse(content)
        if said.asked:
            self.status_question_id = sent.id
        return said

    def say(self, *packets: Packet):
        return self.turn(self.peer.say(*packets))

    def held(self, *packets):
        return bodies.ClientAck(held=[each.id for each in packets])

    def letter(self, content: Content, signed="other", sealed="other", sender=OTHER) -> Packet:
        """A letter of the other person to us."""
        writer = Person(OTHER_PHONE, key(sealed).public)
        payload = envelope.seal(writer, Person(PHONE, key("me").public), content)
        return self.raw_letter(payload, signed, sender)

    def raw_letter(self, payload: bytes, signed="other", sender=OTHER) -> Packet:
        stamp = packet.format_timestamp(self.peer.clock.now())
        return packet.make(sender, ME, stamp, Op.LETTER, payload, key(signed).sign)

    def know_other(self, name="other", user_id=OTHER, phone=OTHER_PHONE):
        return self.home.pin(bodies.KeyAnswer(user_id, phone, key(name).public))

    def answer(self, name="other", user_id=OTHER, phone=OTHER_PHONE):
        return self.say(self.peer.key_answer(user_id, phone, name))

    def fates(self):
        return [(row["phone"], row["fate"], row["body"]) for row in self.home.unshown()]


class LettersIn(WithHome):
    def test_a_letter_is_kept_and_then_acknowledged(self):
        self.know_other()
        letter = self.letter(text(1))
        self.assertEqual(self.say(letter), [self.held(letter)])
        self.assertEqual(self.fates(), [(OTHER_PHONE, LETTER, b"hello")])

    def test_a_letter_that_comes_twice_is_kept_once_and_acknowledged_twice(self):
        self.know_other()
        self.say(self.letter(text(1)))
        self.start()
        self.peer.clock.sleep(10)
        again = self.letter(text(1))
        self.assertEqual(self.say(again), [self.held(again)])
        self.assertEqual(len(self.fates()), 1)

    def test_a_letter_of_somebody_unknown_waits_for_the_key(self):
        letters = [self.letter(text(1)), self.letter(text(2))]
        self.assertEqual(self.say(*letters), [KeyQuestion(user_id=OTHER)])
        self.assertEqual(self.fates(), [])
        self.assertEqual(self.answer(), [self.held(*letters)])
        self.assertEqual([fate for _, fate, _ in self.fates()], [LETTER, LETTER])

    def test_a_letter_of_nobody_is_kept_raw_and_acknowledged(self):
        letter = self.letter(text(1))
        self.say(letter)
        refusal = self.peer.refusal(Code.UNKNOWN_USER, self.question_id, 105)
        self.assertEqual(self.say(refusal), [self.held(letter)])
        self.assertEqual(self.fates(), [(None, UNKNOWN_SENDER, None)])

    def test_a_raw_letter_opens_when_its_key_comes(self):
        self.say(self.letter(text(1)))
        self.say(self.peer.refusal(Code.UNKNOWN_USER, self.question_id, 105))
        self.session.ask(OTHER_PHONE)
        self.turn()
        self.answer()
        self.assertEqual(self.fates(), [(OTHER_PHONE, LETTER, b"hello")])

    def test_a_raw_letter_is_kept_once(self):
        letter = self.letter(text(1))
        for _ in range(2):
            self.say(letter)
            self.say(self.peer.refusal(Code.UNKNOWN_USER, self.question_id, 105))
            self.start()
        self.assertEqual(len(self.fates()), 1)

    def test_what_does_not_open_is_acknowledged(self):
        self.know_other()
        for payload, fate in (
            (bytes(306), "envelope of version 0, suite 0"),
            (b"", "unreadable"),
            (b"\1\1" + bytes(304), "unreadable"),
            (b"\1\2" + bytes(304), "envelope of version 1, suite 2"),
        ):
            letter = self.raw_letter(payload)
            self.assertEqual(self.say(letter), [self.held(letter)])
            self.assertEqual(self.fates()[-1][1], fate)

    def test_an_unknown_kind_is_reported_and_acknowledged(self):
        self.know_other()
        letter = self.letter(Content(bytes(16), 77, b"?"))
        self.assertEqual(self.say(letter), [self.held(letter)])
        self.assertEqual(self.fates(), [(OTHER_PHONE, "letter of kind 77", b"?")])

    def test_a_bad_signature_asks_once_in_a_session(self):
        self.know_other()
        first, second = self.letter(text(1), signed="third"), self.letter(text(2), signed="third")
        self.assertEqual(self.say(first), [KeyQuestion(phone=OTHER_PHONE)])
        self.assertEqual(self.answer(), [self.held(first)])
        self.assertEqual(self.say(second), [self.held(second)])
        self.assertEqual([fate for _, fate, _ in self.fates()], [BAD_SIGNATURE] * 2)

    def test_a_forgery_does_not_keep_the_true_letter_out(self):
        self.know_other()
        true = self.letter(text(1))
        forged = Packet(true.signed + bytes(256))
        self.assertEqual(forged.id, true.id)
        self.say(forged)
        self.answer()
        self.say(true)
        self.assertEqual([fate for _, fate, _ in self.fates()], [BAD_SIGNATURE, LETTER])

    def test_no_acknowledgment_goes_out_after_the_222(self):
        self.know_other()
        events = self.peer.say(self.letter(text(1)))
        self.peer.conn.leave()
        self.peer.sent()
        self.turn(events)
        self.assertEqual(self.out, [])


class Quotas(WithHome):
    def count(self, where: str) -> int:
        return self.home._db.execute(f"SELECT count(*) FROM received WHERE {where}").fetchone()[0]

    def stranger(self, number: int, size: int = 5):
        sender = Person(OTHER_PHONE, key("other").public)
        raw = packet.make(OTHER, ME, b"2026-03-14 09:26:53", Op.LETTER,
                          number.to_bytes(4, "little"), packet.unsigned)  # fmt: skip
        uid = number.to_bytes(16, "little")
        with self.home.transaction():
            self.home.keep_letter(
                sender, raw, Content(uid, envelope.TEXT, b"x" * size), LETTER
            )
        return raw

    def test_strangers_fill_so_much_and_no_more(self):
        with self.home.transaction():
            for number in range(home.STRANGERS_MAX + 5):
                self.stranger(number)
        self.assertEqual(self.count("uid IS NOT NULL"), home.STRANGERS_MAX)
        self.assertEqual(self.home.take_discarded(), 5)
        self.assertEqual(self.home.take_discarded(), 0)
        # One that is here and comes again is not discarded.
        self.stranger(0)
        self.assertEqual(self.home.take_discarded(), 0)
        # Whoever was written to is no stranger.
        self.home.enqueue(OTHER_PHONE, text(1))
        self.stranger(9_999)
        self.assertEqual(self.count("uid IS NOT NULL"), home.STRANGERS_MAX + 1)

    def test_strangers_fill_so_many_bytes_and_no_more(self):
        for number in range(home.STRANGERS_BYTES_MAX // 60_000 + 3):
            self.stranger(number, 60_000)
        self.assertLessEqual(self.count("uid IS NOT NULL") * 60_000, home.STRANGERS_BYTES_MAX)

    def test_of_what_nobody_can_open_the_oldest_goes(self):
        with self.home.transaction():
            for number in range(home.UNOPENED_MAX + 3):
                raw = packet.make(OTHER, ME, b"2026-03-14 09:26:53", Op.LETTER,
                                  number.to_bytes(4, "little"), packet.unsigned)  # fmt: skip
                self.home.keep_unopened(raw, UNKNOWN_SENDER)
        self.assertEqual(self.count("uid IS NULL"), home.UNOPENED_MAX)
        self.assertEqual(self.count("uid IS NULL AND number <= 3"), 0)
        self.assertEqual(self.home.take_discarded(), 3)


class ChangedKeys(WithHome):
    def setUp(self):
        super().setUp()
        self.know_other()
        self.home.mark_verified(OTHER_PHONE, key("other").public)

    def test_letters_under_it_are_held_back_until_it_is_accepted(self):
        letter = self.letter(text(1), signed="third", sealed="third")
        self.say(letter)
        self.assertEqual(self.answer("third"), [self.held(letter)])
        self.assertEqual(self.fates(), [])
        self.assertEqual(self.home.held_count(), 1)
        self.home.accept(OTHER_PHONE, key("third").public)
        self.assertEqual(self.fates(), [(OTHER_PHONE, LETTER, b"hello")])
        self.assertFalse(self.home.contact(OTHER_PHONE).verified)

    def test_letters_under_a_third_key_stay_held_back(self):
        self.say(self.letter(text(1), signed="third", sealed="third"))
        self.answer("third")
        self.know_other("fourth")
        self.home.accept(OTHER_PHONE, key("fourth").public)
        self.assertEqual(self.fates(), [])
        self.assertEqual(self.home.held_count(), 1)

    def test_sending_is_held_back(self):
        self.know_other("third")
        self.home.enqueue(OTHER_PHONE, text(1))
        self.assertEqual(self.turn(), [])
        self.home.accept(OTHER_PHONE, key("third").public)
        (letter,) = self.turn()
        content = envelope.open_envelope(
            self.home.me, Person(OTHER_PHONE, key("third").public), key("third"), letter.payload
        )
        self.assertEqual(content, text(1))

    def test_the_old_key_offered_again_ends_the_hold(self):
        self.know_other("third")
        self.assertIsNone(self.know_other().offered)
        self.assertTrue(self.home.contact(OTHER_PHONE).verified)


class Pins(WithHome):
    def setUp(self):
        super().setUp()
        self.know_other()

    def test_a_new_id_moves(self):
        self.know_other(user_id=11)
        self.assertEqual(self.home.contact_by_id(11).phone, OTHER_PHONE)
        self.assertIsNone(self.home.contact_by_id(OTHER))

    def ask(self, phone):
        self.session.ask(phone)
        return self.turn()

    def test_a_key_of_somebody_else_is_refused(self):
        for name in ("other", "server", "me"):
            self.ask(THIRD_PHONE)
            self.answer(name, 12, THIRD_PHONE)
            self.assertIsNone(self.home.contact(THIRD_PHONE))

    def test_an_id_of_somebody_else_is_refused_if_he_still_has_it(self):
        self.ask(THIRD_PHONE)
        question = self.answer("third", OTHER, THIRD_PHONE)
        self.assertEqual(question, [KeyQuestion(phone=OTHER_PHONE)])
        self.answer()
        self.assertIsNone(self.home.contact(THIRD_PHONE))
        self.assertEqual(self.home.contact(OTHER_PHONE).user_id, OTHER)

    def test_an_id_of_somebody_who_is_gone_is_taken(self):
        self.ask(THIRD_PHONE)
        self.answer("third", OTHER, THIRD_PHONE)
        self.say(self.peer.refusal(Code.UNKNOWN_USER, self.question_id, 105))
        self.assertEqual(self.home.contact(THIRD_PHONE).user_id, OTHER)
        gone = self.home.contact(OTHER_PHONE)
        self.assertEqual((gone.user_id, gone.key.spki), (None, key("other").public.spki))

    def test_a_letter_under_an_id_that_moved_on_finds_its_new_owner(self):
        payload = envelope.seal(Person(THIRD_PHONE, key("third").public), self.home.me, text(1))
        letter = self.raw_letter(payload, "third")
        self.assertEqual(self.say(letter), [KeyQuestion(phone=OTHER_PHONE)])
        refusal = self.peer.refusal(Code.UNKNOWN_USER, self.question_id, 105)
        self.assertEqual(self.say(refusal), [KeyQuestion(user_id=OTHER)])
        self.assertEqual(self.answer("third", OTHER, THIRD_PHONE), [self.held(letter)])
        self.assertEqual(self.fates(), [(THIRD_PHONE, LETTER, b"hello")])


class LettersOut(WithHome):
    def send(self) -> Packet:
        self.home.enqueue(OTHER_PHONE, text(1))
        (letter,) = self.turn()
        return letter

    def status(self):
        return self.home.status(text(1).uid)

    def test_first_contact_asks_for_the_key(self):
        self.home.enqueue(OTHER_PHONE, text(1))
        self.assertEqual(self.turn(), [KeyQuestion(phone=OTHER_PHONE)])
        self.assertEqual(self.turn(), [])
        (letter,) = self.answer()
        self.assertEqual((letter.header.sender, letter.header.recipient), (ME, OTHER))
        self.assertTrue(letter.verify(key("me").public))

    def test_somebody_unknown_gets_no_letter(self):
        self.home.enqueue(OTHER_PHONE, text(1))
        self.turn()
        self.say(self.peer.refusal(Code.UNKNOWN_USER, self.question_id, 105))
        self.assertEqual(self.status(), (None, "UNKNOWN_USER"))
        self.assertEqual(self.home.outbox(), [])

    def test_letters_to_one_person_keep_their_order(self):
        self.know_other()
        self.home.enqueue(OTHER_PHONE, text(1, b"a"))
        self.home.enqueue(OTHER_PHONE, text(2, b"b"))
        (first,) = self.turn()
        # The first is refused for a while, so the second waits behind it.
        self.say(self.peer.refusal(Code.MAILBOX_FULL, first.id, 102, 60))
        self.assertEqual(self.out, [])
        self.peer.clock.sleep(400)
        (again,) = self.turn()
        self.assertEqual(self.home.uid_of(again.id), text(1).uid)
        self.say(self.peer.sealed(Op.ACK, bodies.emit_statuses([(again.id, Status.STORED)])))
        (second,) = self.out
        self.assertEqual(self.home.uid_of(second.id), text(2).uid)

    def test_a_letter_refused_for_good_keeps_nobody_waiting(self):
        self.know_other()
        self.home.enqueue(OTHER_PHONE, text(1, b"a"))
        self.home.enqueue(OTHER_PHONE, text(2, b"b"))
        (first,) = self.turn()
        self.say(self.peer.refusal(Code.TOO_LARGE, first.id, 102))
        (second,) = self.out
        self.assertEqual(self.home.uid_of(second.id), text(2).uid)

    def test_a_status_only_rises_and_2_is_final(self):
        self.know_other()
        letter = self.send()
        for said, kept in ((1, 1), (0, 1), (3, 3), (1, 3), (2, 2), (3, 2), (0, 2)):
            self.say(self.peer.sealed(Op.ACK, bodies.emit_statuses([(letter.id, Status(said))])))
            self.assertEqual(self.status()[0], Status(kept))

    def test_without_an_answer_it_goes_out_again_as_it_was(self):
        self.know_other()
        letter = self.send()
        self.start()
        self.assertEqual([each.raw for each in self.out], [letter.raw])

    def test_after_300_seconds_it_is_signed_again_with_the_same_uid(self):
        self.know_other()
        letter = self.send()
        self.peer = Peer(ME)
        self.peer.clock.sleep(301)
        self.peer.time += 301
        self.turn(self.peer.establish(), start=True)
        (again,) = self.out
        self.assertNotEqual(again.id, letter.id)
        self.assertEqual(again.payload, letter.payload)
        # The server's word about either packet counts.
        token = letter.id[:15] + b"\2"
        self.say(self.peer.shared(Op.ACK, token))
        self.assertEqual(self.status()[0], Status.DELIVERED)

    def test_only_the_packet_that_was_stored_is_asked_after(self):
        self.know_other()
        self.send()
        self.peer = Peer(ME)
        self.peer.clock.sleep(301)
        self.peer.time += 301
        self.turn(self.peer.establish(), start=True)
        (again,) = self.out
        self.say(self.peer.sealed(Op.ACK, bodies.emit_statuses([(again.id, Status.STORED)])))
        self.start()
        self.assertEqual(self.out, [bodies.ClientAck(asked=[(OTHER, again.id)])])

    def test_a_stale_letter_is_signed_again_three_times_at_most(self):
        self.know_other()
        letter = self.send()
        for count in range(4):
            self.peer.time += 1000
            again = self.say(self.peer.refusal(Code.STALE_TIMESTAMP, letter.id, 102))
            self.assertEqual(len(again), 1 if count < 3 else 0)
            if again:
                self.assertEqual(again[0].time, self.peer.time)
                letter = again[0]
        self.assertEqual(self.status()[1], "STALE_TIMESTAMP")

    def test_a_recipient_with_a_new_id_gets_the_letter_again(self):
        self.know_other()
        letter = self.send()
        refusal = self.peer.refusal(Code.UNKNOWN_RECIPIENT, letter.id, 102)
        self.assertEqual(self.say(refusal), [KeyQuestion(phone=OTHER_PHONE)])
        (again,) = self.answer(user_id=11)
        self.assertEqual((again.header.recipient, again.payload), (11, letter.payload))
        self.say(self.peer.refusal(Code.UNKNOWN_RECIPIENT, again.id, 102))
        self.assertEqual(self.status()[1], "UNKNOWN_RECIPIENT")

    def test_a_recipient_with_the_old_id_is_gone(self):
        self.know_other()
        letter = self.send()
        self.say(self.peer.refusal(Code.UNKNOWN_RECIPIENT, letter.id, 102))
        self.assertEqual(self.answer(), [])
        self.assertEqual(self.status()[1], "UNKNOWN_RECIPIENT")

    def test_a_full_mailbox_is_tried_again_later(self):
        self.know_other()
        letter = self.send()
        self.assertEqual(self.say(self.peer.refusal(Code.MAILBOX_FULL, letter.id, 102, 60)), [])
        self.peer.clock.sleep(59)
        self.assertEqual(self.turn(), [])
        self.peer.clock.sleep(2)
        self.assertEqual([each.raw for each in self.turn()], [letter.raw])

    def test_a_letter_too_large_is_given_up(self):
        self.know_other()
        letter = self.send()
        self.say(self.peer.refusal(Code.TOO_LARGE, letter.id, 102))
        self.assertEqual(self.status(), (None, "TOO_LARGE"))

    def test_a_refusal_after_a_status_changes_nothing(self):
        self.know_other()
        letter = self.send()
        self.say(self.peer.sealed(Op.ACK, bodies.emit_statuses([(letter.id, Status.STORED)])))
        self.say(self.peer.refusal(Code.MAILBOX_FULL, letter.id, 102))
        self.say(self.peer.refusal(Code.TOO_LARGE, letter.id, 102))
        self.assertEqual(self.status(), (Status.STORED, None))
        self.assertEqual(self.turn(), [])

    def test_the_next_session_asks_after_the_packet_that_was_stored(self):
        self.know_other()
        letter = self.send()
        self.say(self.peer.sealed(Op.ACK, bodies.emit_statuses([(letter.id, Status.STORED)])))
        self.start()
        self.assertEqual(self.out, [bodies.ClientAck(asked=[(OTHER, letter.id)])])

    def test_a_status_question_refused_is_asked_again(self):
        self.know_other()
        letter = self.send()
        self.say(self.peer.sealed(Op.ACK, bodies.emit_statuses([(letter.id, Status.STORED)])))
        self.start()
        asked = self.out
        refusal = self.peer.refusal(Code.RATE_LIMITED, self.status_question_id, 203, 1)
        self.assertEqual(self.say(refusal), [])
        self.peer.clock.sleep(2)
        self.assertEqual(self.turn(), asked)

    def test_the_key_is_asked_for_once_a_day(self):
        self.know_other()
        self.home._db.execute("UPDATE contacts SET checked_at = checked_at - 86400")
        self.home.enqueue(OTHER_PHONE, text(1))
        self.assertEqual(self.turn(), [KeyQuestion(phone=OTHER_PHONE)])
        (letter,) = self.answer()
        self.assertEqual(letter.header.recipient, OTHER)

    def test_requests_without_an_answer_stay_below_128(self):
        self.know_other()
        for number in range(200):
            self.home.enqueue(OTHER_PHONE, text(number))
        self.assertLess(len(self.turn()), 128)
        self.assertGreaterEqual(self.peer.conn.room(), 0)


class Successors(WithHome):
    """PROTOCOL.md, "Keys"."""

    def announce(self, name: str, effective="2026-12-24 18:00:00"):
        self.home.put(successor_asked=None)
        self.assertEqual(self.turn(), [KeyQuestion(user_id=0)])
        successor = bodies.Successor(effective, key(name).public)
        return self.say(self.peer.sealed(Op.KEY_ANSWER, successor.emit()))

    def test_the_server_is_asked_once_a_day(self):
        self.announce("next")
        self.assertEqual(self.home.successor[0].spki, key("next").public.spki)
        self.assertEqual(self.home.successor[1], packet.parse_timestamp(b"2026-12-24 18:00:00"))
        self.start()
        self.assertEqual(self.out, [])
        self.assertTrue(self.home.successor_due(NOW + 86_400))

    def test_what_it_has_said_last_counts(self):
        self.announce("next")
        self.announce("last")
        self.assertEqual(self.home.successor[0].spki, key("last").public.spki)
        self.home.put(successor_asked=None)
        self.turn()
        self.say(self.peer.refusal(Code.UNKNOWN_USER, self.question_id))
        self.assertIsNone(self.home.successor)
        self.assertFalse(self.home.successor_due(NOW))

    def test_a_key_that_somebody_has_is_no_successor(self):
        for name in ("server", "me"):
            self.announce(name)
            self.assertIsNone(self.home.successor)

    def test_it_takes_the_place_of_the_pinned_key(self):
        self.announce("next")
        self.peer.conn.server_key = key("next").public
        self.turn([connection.Opened()])
        self.assertTrue(self.session.opened)
        self.assertEqual(self.home.server_key.spki, key("next").public.spki)
        self.assertIsNone(self.home.successor)
        self.assertIsNone(self.home.get("session_key"))

    def test_a_session_under_the_pinned_key_leaves_both_keys(self):
        self.announce("next")
        self.turn([connection.Opened()])
        self.assertEqual(self.home.server_key.spki, key("server").public.spki)
        self.assertEqual(self.home.successor[0].spki, key("next").public.spki)

    def test_only_a_refusal_that_answers_the_question_takes_it_away(self):
        self.announce("next")
        for code, kept in ((Code.BUSY, True), (Code.RATE_LIMITED, True), (Code.MALFORMED, False)):
            self.home.put(successor_asked=None)
            self.start()
            self.assertEqual(self.out, [KeyQuestion(user_id=0)])
            # It is not asked again at once.
            self.assertEqual(self.say(self.peer.refusal(code, self.question_id)), [])
            self.assertEqual(self.home.successor is not None, kept, code)

    def test_a_refusal_of_something_else_takes_nothing_away(self):
        self.announce("next")
        self.home.put(successor_asked=None)
        self.turn()
        self.say(self.peer.refusal(Code.MALFORMED, None))
        self.assertEqual(self.home.successor[0].spki, key("next").public.spki)

    def test_another_key_by_hand_takes_away_what_the_one_before_has_announced(self):
        self.announce("next")
        same = key("server").public
        self.home.trust_server("there:1", same)
        self.assertEqual(self.home.successor[0].spki, key("next").public.spki)
        self.assertEqual(self.home.get("session_key"), self.peer.session_key)
        self.home.trust_server("there:2", key("by hand").public)
        self.assertEqual(self.home.servers, ["there:2"])
        self.assertEqual(self.home.server_key.spki, key("by hand").public.spki)
        for name in ("successor", "effective", "successor_asked", "session_key"):
            self.assertIsNone(self.home.get(name), name)

    def test_a_connection_under_a_key_that_is_not_pinned_any_more_changes_no_key(self):
        self.announce("next")
        self.home.put(successor_asked=None)
        self.turn()
        self.home.trust_server("there:1", key("by hand").public)
        successor = bodies.Successor("2026-12-24 18:00:00", key("last").public)
        self.say(self.peer.sealed(Op.KEY_ANSWER, successor.emit()))
        self.assertIsNone(self.home.successor)
        self.peer.conn.server_key = key("next").public
        self.turn([connection.Opened()])
        self.assertEqual(self.home.server_key.spki, key("by hand").public.spki)

    def test_a_clock_that_is_days_behind_is_asked_about(self):
        self.announce("next")
        holder = SessionHolder(self.home, print)
        holder.clock = self.peer.clock
        for opened, left, asked in [
            (False, 86_401, True), (False, 86_400, False), (True, 86_401, False),
        ]:  # fmt: skip
            self.peer.clock.wall = self.home.successor[1] - left
            self.session.opened = opened
            failure = holder._broken(connection.NotTheServer("not signed"), self.session)
            self.assertIsInstance(failure, Untrusted)
            self.assertEqual("from 2026-12-24 18:00:00 UTC on" in str(failure), asked)
            self.assertEqual("is the clock right?" in str(failure), asked)

    def test_bad_bytes_in_a_session_are_no_reason_to_try_the_other_key_at_once(self):
        self.announce("next")
        holder = SessionHolder(self.home, print)
        holder.clock = self.peer.clock
        self.peer.clock.wall = self.home.successor[1]
        holder.session = self.session
        untrusted = Untrusted("not signed")
        self.assertEqual([holder._turns_over(untrusted) for _ in range(3)], [True, False, True])
        self.session.opened = True
        for _ in range(3):
            self.assertFalse(holder._turns_over(untrusted))
            self.assertFalse(holder._other_key)

    def test_which_key_comes_first_is_told_by_the_clock(self):
        self.announce("next")
        moment = self.home.successor[1]
        holder = SessionHolder(self.home, print)
        holder.clock = self.peer.clock
        for wall, free, first in [
            (moment - 86_401, False, False),
            (moment - 86_400, True, False),
            (moment - 1, True, False),
            (moment, True, True),
        ]:
            self.peer.clock.wall = wall
            self.assertEqual((holder._may_choose(), holder._takes_successor()), (free, first))
            holder._other_key = True
            self.assertEqual(holder._takes_successor(), free and not first)
            holder._other_key = False


class Endings(WithHome):
    def test_a_fatal_refusal_ends_the_session(self):
        self.say(self.peer.refusal(Code.BAD_SEQUENCE, None))
        self.assertEqual(self.session.fatal.code, Code.BAD_SEQUENCE)

    def test_a_closing_is_noted(self):
        self.say(self.peer.sealed(Op.CLOSING, bytes([Reason.TAKEN_OVER])))
        self.assertEqual(self.session.closing, Reason.TAKEN_OVER)

    def test_the_session_key_is_kept_once_the_server_has_answered_under_it(self):
        self.assertEqual(self.home.get("session_key"), self.peer.session_key)


class Files(WithHome):
    def test_nobody_else_may_read_the_home(self):
        self.assertEqual(stat.S_IMODE(self.home.directory.stat().st_mode), 0o700)
        self.assertTrue(self.home.take_session())
        for file in Path(self.home.directory).iterdir():
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600, file)

    def test_one_process_has_the_session(self):
        other = Home(str(self.home.directory))
        self.addCleanup(other.close)
        self.assertTrue(self.home.take_session())
        self.assertFalse(other.take_session())


if __name__ == "__main__":
    unittest.main()
