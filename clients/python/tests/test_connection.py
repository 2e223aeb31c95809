"""One connection against a server that says what a test tells it to."""

import unittest

from waxwing_py import bodies, connection, crypto, packet
from waxwing_py.bodies import Code, KeyQuestion, Reason, Status
from waxwing_py.connection import ProtocolError, State
from waxwing_py.packet import SERVER, Op

from peer import NOW, OTHER_PHONE, PHONE, Peer, key

REPLY_KEY = bytes(range(32, 64))


class Registering(unittest.TestCase):
    def setUp(self):
        self.peer = Peer(user_id=0)

    def request(self):
        self.peer.conn.request_code(PHONE, REPLY_KEY)
        return self.peer.sent()[0]

    def reply(self, op, body):
        return self.peer.make(op, crypto.encrypt(REPLY_KEY, body), SERVER)

    def test_a_100_is_not_signed_and_opens_at_the_server(self):
        request = self.request()
        self.assertEqual((request.header.sender, request.header.recipient), (0, 0))
        self.assertEqual(request.signature, bytes(256))
        block = key("server").unwrap(b"waxwing/1:100", request.payload, 32 + 1 + len(PHONE))
        self.assertEqual(bodies.Registration.parse(block), bodies.Registration(REPLY_KEY, PHONE))

    def test_a_200_gives_the_code(self):
        self.request()
        issued = bodies.CodeIssued(300, 3, 30, "123456")
        self.assertEqual(self.peer.say(self.reply(Op.CODE, issued.emit())), [issued])

    def test_a_150_says_that_the_phone_exists(self):
        self.request()
        self.assertEqual(self.peer.say(self.reply(Op.REJECTED, b"\1")), [connection.PhoneExists()])

    def test_an_answer_under_another_key_closes(self):
        self.request()
        with self.assertRaises(ProtocolError):
            self.peer.say(self.peer.make(Op.CODE, crypto.encrypt(bytes(32), b"\1" * 7), SERVER))

    def prove(self):
        self.peer.conn.prove(PHONE, REPLY_KEY, "123456")
        (request,) = self.peer.sent()
        self.assertTrue(request.verify(self.peer.user_key.public))
        spki = self.peer.user_key.public.spki
        self.assertEqual(request.payload[256:], spki)
        size = 32 + 6 + 16 + 32 + 1 + len(PHONE)
        block = key("server").unwrap(b"waxwing/1:101", request.payload[:256], size)
        proof = bodies.Proof.parse(block)
        self.assertEqual((proof.reply_key, proof.code, proof.phone), (REPLY_KEY, b"123456", PHONE))
        self.assertEqual(proof.spki_hash, crypto.sha256(spki))
        return proof.nonce

    def test_a_201_gives_the_id_and_waits_for_it_to_be_stored(self):
        nonce = self.prove()
        self.peer.user_id = 7
        answer = self.peer.session_key_packet(Op.NEW_USER, nonce)
        self.assertEqual(self.peer.say(answer), [connection.Registered(7)])
        self.assertEqual(self.peer.sent(), [])
        self.peer.conn.confirm()
        (confirmation,) = self.peer.sent()
        self.assertEqual(confirmation.header.sender, 7)
        content = self.peer.open(confirmation)
        self.assertEqual(bodies.ClientAck.parse(content).window, connection.WINDOW)

    def test_a_201_with_another_nonce_closes(self):
        self.prove()
        self.peer.user_id = 7
        with self.assertRaises(ProtocolError):
            self.peer.say(self.peer.session_key_packet(Op.NEW_USER, bytes(16)))

    def test_a_206_is_no_answer_to_a_101(self):
        nonce = self.prove()
        self.peer.user_id = 7
        with self.assertRaises(ProtocolError):
            self.peer.say(self.peer.session_key_packet(Op.SESSION_KEY, nonce))

    def test_a_refusal_of_another_request_is_ignored(self):
        self.prove()
        self.assertEqual(self.peer.say(self.peer.clear_refusal(Code.OTP_WRONG, bytes(16))), [])

    def test_a_refusal_of_the_101_is_told(self):
        self.peer.conn.prove(PHONE, REPLY_KEY, "123456")
        (request,) = self.peer.sent()
        (event,) = self.peer.say(self.peer.clear_refusal(Code.OTP_WRONG, request.id))
        self.assertEqual(event.refusal.code, Code.OTP_WRONG)

    def test_each_101_has_a_nonce_of_its_own(self):
        self.assertNotEqual(self.prove(), self.prove())


class Reconnecting(unittest.TestCase):
    def setUp(self):
        self.peer = Peer()

    def test_the_confirmation_follows_the_206(self):
        self.peer.establish()
        self.assertEqual(self.peer.conn.state, State.ONLINE)

    def test_the_short_form_uses_the_last_session_key(self):
        self.peer.conn.reconnect(self.peer.session_key)
        request = self.peer.take_reconnect()
        self.assertEqual(len(request.payload), 48)
        self.assertEqual(self.peer.issue(), [connection.Opened()])
        self.assertEqual(self.peer.conn.state, State.CONFIRMING)

    def test_an_unknown_session_brings_the_long_form_once(self):
        self.peer.conn.reconnect(self.peer.session_key)
        first = self.peer.take_reconnect()
        self.assertEqual(self.peer.say(self.peer.clear_refusal(Code.SESSION_UNKNOWN, first.id)), [])
        second = self.peer.take_reconnect()
        self.assertEqual(len(second.payload), 256)
        (event,) = self.peer.say(self.peer.clear_refusal(Code.SESSION_UNKNOWN, second.id))
        self.assertIsInstance(event, connection.AttemptFailed)
        self.assertEqual(self.peer.sent(), [])

    def test_whoever_leaves_before_the_proof_still_learns_that_the_attempt_failed(self):
        for proven in (False, True):
            peer = Peer()
            peer.conn.reconnect(None)
            peer.take_reconnect()
            peer.issue()
            peer.conn.leave()
            if proven:
                peer.say(peer.sealed(Op.END_OF_BACKLOG, bytes(4)))
            events = peer.say(peer.clear_refusal(Code.UNEXPECTED_OP))
            failed = [isinstance(event, connection.AttemptFailed) for event in events]
            self.assertEqual(failed, [] if proven else [True])
            self.assertEqual(peer.conn.state, State.LEAVING if proven else State.CLOSED)

    def test_a_206_with_another_nonce_closes(self):
        self.peer.conn.reconnect(None)
        self.peer.take_reconnect()
        self.peer.nonce = bytes(16)
        with self.assertRaises(ProtocolError):
            self.peer.issue()

    def test_a_206_for_another_user_closes(self):
        self.peer.conn.reconnect(None)
        self.peer.take_reconnect()
        self.peer.user_id = 8
        with self.assertRaises(ProtocolError):
            self.peer.issue()

    def test_a_packet_that_the_server_did_not_sign_closes(self):
        self.peer.conn.reconnect(None)
        self.peer.take_reconnect()
        with self.assertRaises(connection.NotTheServer):
            body = bodies.Refusal(Code.BAD_SIGNATURE, 0, 0, None).emit()
            self.peer.say(self.peer.make(Op.REFUSAL, body, SERVER, sign="other"))

    def test_a_206_sets_the_clock(self):
        self.peer.time = NOW + 5000
        self.peer.establish()
        self.assertEqual(self.peer.clock.offset, 5000)

    def test_a_late_206_does_not_set_the_clock(self):
        self.peer.time = NOW + 5000
        self.peer.conn.reconnect(None)
        self.peer.take_reconnect()
        self.peer.clock.sleep(16)
        self.peer.issue()
        self.assertEqual(self.peer.clock.offset, 0)

    def test_a_clear_refusal_ends_the_attempt_and_sets_no_clock(self):
        self.peer.time = NOW + 5000
        self.peer.conn.reconnect(None)
        self.peer.sent()
        (event,) = self.peer.say(self.peer.clear_refusal(Code.RATE_LIMITED))
        self.assertIsInstance(event, connection.AttemptFailed)
        self.assertEqual(self.peer.clock.offset, 0)

    def test_a_token_of_our_own_confirms_and_noise_does_not(self):
        self.peer.conn.reconnect(None)
        self.peer.take_reconnect()
        self.peer.issue()
        noise = crypto.random_bytes(16)
        self.assertEqual(self.peer.say(self.peer.shared(Op.END_OF_BACKLOG, noise)), [])
        own = self.peer.nonce[:12] + (3).to_bytes(4, "little")
        events = self.peer.say(self.peer.shared(Op.END_OF_BACKLOG, noise, own))
        confirmed = connection.Confirmed(self.peer.session_key)
        self.assertEqual(events, [confirmed, connection.EndOfBacklog(3)])

    def test_a_222_does_not_confirm(self):
        self.peer.conn.reconnect(None)
        self.peer.take_reconnect()
        self.peer.issue()
        events = self.peer.say(self.peer.sealed(Op.CLOSING, bytes([Reason.TAKEN_OVER])))
        self.assertEqual(events, [connection.Closing(Reason.TAKEN_OVER)])


class InASession(unittest.TestCase):
    def setUp(self):
        self.peer = Peer()
        self.peer.establish()

    def closes(self, *packets):
        with self.assertRaises(ProtocolError):
            self.peer.say(*packets)
        self.assertEqual(self.peer.conn.state, State.CLOSED)
        self.assertEqual(self.peer.sent(), [])

    def test_a_number_that_is_not_the_next_closes(self):
        for step in (-1, 1):
            with self.subTest(step):
                self.setUp()
                self.peer.seq_out += step
                self.closes(self.peer.sealed(Op.ACK, bodies.emit_statuses([(bytes(16), 1)])))

    def test_a_seal_that_does_not_open_closes(self):
        self.closes(self.peer.make(Op.ACK, crypto.random_bytes(48), self.peer.user_id))

    def test_a_repeated_packet_closes(self):
        sealed = self.peer.sealed(Op.ACK, bodies.emit_statuses([(bytes(16), 1)]))
        self.peer.say(sealed)
        self.closes(sealed)

    def test_an_op_out_of_place_closes(self):
        self.closes(self.peer.session_key_packet(Op.SESSION_KEY, self.peer.nonce))

    def test_a_letter_for_somebody_else_closes(self):
        stamp = packet.format_timestamp(NOW)
        self.closes(packet.make(9, 8, stamp, Op.LETTER, bytes(306), key("other").sign))

    def test_an_answer_to_no_question_closes(self):
        self.closes(self.peer.key_answer(9, OTHER_PHONE, "other"))

    def test_an_answer_for_another_phone_closes(self):
        self.peer.conn.ask_key(KeyQuestion(phone=PHONE))
        self.peer.sent()
        self.closes(self.peer.key_answer(9, OTHER_PHONE, "other"))

    def test_an_answer_is_matched_to_its_question(self):
        by_id, by_phone = KeyQuestion(user_id=9), KeyQuestion(phone=PHONE)
        self.peer.conn.ask_key(by_phone)
        self.peer.conn.ask_key(by_id)
        self.assertEqual(
            [KeyQuestion.parse(self.peer.open(each)) for each in self.peer.sent()],
            [by_phone, by_id],
        )
        (event,) = self.peer.say(self.peer.key_answer(9, OTHER_PHONE, "other"))
        self.assertEqual(event.question, by_id)

    def test_a_refusal_names_the_question(self):
        question = KeyQuestion(phone=PHONE)
        self.peer.conn.ask_key(question)
        (asked,) = self.peer.sent()
        (event,) = self.peer.say(self.peer.refusal(Code.UNKNOWN_USER, asked.id, 105))
        self.assertEqual(event.question, question)

    def test_statuses_come_sealed_and_shared(self):
        self.peer.conn.watch([bytes(range(16))])
        entries = [(bytes(range(16)), Status.STORED)]
        expected = [connection.Statuses(entries)]
        self.assertEqual(
            self.peer.say(self.peer.sealed(Op.ACK, bodies.emit_statuses(entries))), expected
        )
        token = bytes(range(15)) + b"\1"
        shared = self.peer.shared(Op.ACK, crypto.random_bytes(16), token)
        self.assertEqual(self.peer.say(shared), expected)
        self.assertEqual(self.peer.say(shared), expected)

    def test_a_token_with_another_status_is_noise(self):
        self.peer.conn.watch([bytes(range(16))])
        self.assertEqual(self.peer.say(self.peer.shared(Op.ACK, bytes(range(15)) + b"\4")), [])

    def test_a_clear_refusal_is_ignored(self):
        self.assertEqual(self.peer.say(self.peer.clear_refusal(Code.BAD_SIGNATURE)), [])
        self.assertEqual(self.peer.say(self.peer.clear_refusal(Code.BUSY, bytes(16))), [])
        self.assertEqual(self.peer.say(self.peer.make(Op.REFUSAL, b"\xff" * 6, SERVER)), [])
        self.assertEqual(self.peer.conn.state, State.ONLINE)

    def test_a_stale_letter_sets_the_clock(self):
        letter = self.peer.conn.make_letter(9, bytes(306))
        self.peer.conn.send_letter(letter.raw)
        self.peer.time = NOW + 4000
        self.peer.say(self.peer.refusal(Code.STALE_TIMESTAMP, letter.id, 102))
        self.assertEqual(self.peer.clock.offset, 4000)

    def test_staleness_of_no_letter_of_ours_does_not_set_the_clock(self):
        self.peer.time = NOW + 4000
        self.peer.say(self.peer.refusal(Code.STALE_TIMESTAMP, bytes(16), 102))
        self.assertEqual(self.peer.clock.offset, 0)

    def test_whoever_leaves_takes_any_222_for_the_answer(self):
        self.peer.conn.leave()
        (closing,) = self.peer.sent()
        self.assertEqual(self.peer.open(closing), b"\1")
        (event,) = self.peer.say(self.peer.sealed(Op.CLOSING, b"\2"))
        self.assertEqual(event, connection.Closing(Reason.STOPPING))

    def test_a_letter_that_comes_while_leaving_is_left_for_the_next_session(self):
        self.peer.conn.leave()
        stamp = packet.format_timestamp(NOW)
        letter = packet.make(9, 7, stamp, Op.LETTER, bytes(306), key("other").sign)
        self.assertEqual(self.peer.say(letter), [])

    def test_silence_after_a_question_ends_the_connection(self):
        self.peer.conn.ask_key(KeyQuestion(phone=PHONE))
        self.peer.clock.sleep(14)
        self.peer.conn.tick()
        self.peer.clock.sleep(1)
        with self.assertRaises(ProtocolError):
            self.peer.conn.tick()

    def test_silence_after_a_letter_asks_for_our_own_key(self):
        letter = self.peer.conn.make_letter(9, bytes(306))
        self.peer.conn.send_letter(letter.raw)
        self.peer.sent()
        self.peer.clock.sleep(15)
        self.peer.conn.tick()
        (asked,) = self.peer.sent()
        self.assertEqual(KeyQuestion.parse(self.peer.open(asked)), KeyQuestion(user_id=7))

    def test_at_most_112_ids_stand_in_one_acknowledgment(self):
        ids = [bytes([n]) * 16 for n in range(120)]
        self.peer.conn.acknowledge(ids)
        held = [bodies.ClientAck.parse(self.peer.open(each)).held for each in self.peer.sent()]
        self.assertEqual(held, [ids[:112], ids[112:]])


class Hostile(unittest.TestCase):
    """A server's packets with one byte changed: refused or ignored, and never something else."""

    def test_a_changed_byte_never_breaks_it(self):
        for at in (*range(0, 27), 40, 60, 80, 100, 200, -1):
            peer = Peer()
            peer.establish()
            raw = bytearray(peer.sealed(Op.END_OF_BACKLOG, bytes(4)).raw)
            raw[at] ^= 1
            peer.conn.feed(bytes(raw))
            try:
                while peer.conn.poll() is not None:
                    pass
            except ProtocolError:
                continue
            # A larger size waits for more; all else is noticed.
            self.assertEqual(peer.conn.state, State.ONLINE)

    def test_a_signed_but_senseless_content_closes(self):
        for op in (Op.ACK, Op.KEY_ANSWER, Op.CLOSING, Op.REFUSAL, Op.END_OF_BACKLOG):
            for content in (b"", b"\xff", b"\xff" * 27, b"\xff" * 310):
                peer = Peer()
                peer.establish()
                with self.assertRaises(ProtocolError, msg=(op, len(content))):
                    peer.say(peer.sealed(op, content))


class Bounds(unittest.TestCase):
    """What the other end of a connection can make the client hold, and for how long."""

    def setUp(self):
        self.peer = Peer()
        self.peer.establish()

    def letter(self, number: int, size: int = 306) -> packet.Packet:
        payload = number.to_bytes(4, "little") + bytes(size - 4)
        stamp = packet.format_timestamp(NOW)
        # Nobody has signed it: who sits in the middle can make as many as he likes.
        return packet.make(9, 7, stamp, Op.LETTER, payload, packet.unsigned)

    def test_no_more_letters_than_the_window(self):
        letters = [self.letter(number) for number in range(connection.WINDOW + 1)]
        events = self.peer.say(*letters[:-1])
        self.assertEqual(len(events), connection.WINDOW)
        self.peer.conn.acknowledge([letters[3].id])
        self.assertEqual(len(self.peer.say(letters[-1])), 1)
        with self.assertRaises(ProtocolError):
            self.peer.say(self.letter(1_000))

    def test_no_more_bytes_of_letters_than_may_be_handed_over(self):
        large = [self.letter(number, 60_000) for number in range(5)]
        self.assertEqual(len(self.peer.say(*large[:4])), 4)
        with self.assertRaises(ProtocolError):
            self.peer.say(large[4])

    def test_the_same_letter_again_counts_again(self):
        for _ in range(connection.WINDOW):
            self.peer.say(self.letter(1))
        with self.assertRaises(ProtocolError):
            self.peer.say(self.letter(1))

    def drip(self, raw: bytes, seconds: float):
        """A byte now and then."""
        for at in range(len(raw)):
            self.peer.conn.feed(raw[at : at + 1])
            self.assertIsNone(self.peer.conn.poll())
            self.peer.clock.sleep(seconds)
            self.peer.conn.tick()

    def test_a_packet_that_has_begun_ends(self):
        with self.assertRaises(ProtocolError):
            self.drip(self.letter(1).raw[:-1], 5)

    def test_a_large_letter_on_a_slow_line_gets_through(self):
        raw = self.letter(1, 60_000).raw
        for at in range(0, len(raw), 1_000):
            self.peer.clock.sleep(1)
            self.peer.conn.tick()
            self.peer.conn.feed(raw[at : at + 1_000])
        self.assertEqual(type(self.peer.conn.poll()), connection.Letter)

    def test_an_answer_that_is_withheld_while_letters_come_ends_it(self):
        self.peer.conn.ask_key(KeyQuestion(phone=OTHER_PHONE))
        with self.assertRaises(ProtocolError):
            for number in range(50):
                self.peer.say(self.letter(number))
                self.peer.clock.sleep(5)
                self.peer.conn.tick()

    def test_a_backlog_that_does_not_come_ends_it(self):
        peer = Peer()
        peer.conn.reconnect(None)
        peer.take_reconnect()
        peer.issue()
        with self.assertRaises(ProtocolError):
            for _ in range(30):
                peer.clock.sleep(10)
                peer.conn.feed(b"")
                peer.conn.tick()


if __name__ == "__main__":
    unittest.main()
