"""What must be refused, and what must not."""

import random
import unittest

from waxwing_py import bodies, crypto, envelope, packet
from waxwing_py.crypto import CannotOpen, PublicKey, WeakKey
from waxwing_py.packet import Header, Malformed, Op

from peer import key


class Timestamps(unittest.TestCase):
    def test_those_of_the_calendar_are_read(self):
        for text, seconds in (
            (b"1970-01-01 00:00:00", 0),
            (b"2000-02-29 23:59:59", 951_868_799),
            (b"0000-02-29 00:00:00", -62_162_121_600),
            (b"9999-12-31 23:59:59", 253_402_300_799),
        ):
            self.assertEqual(packet.parse_timestamp(text), seconds)
            self.assertEqual(packet.format_timestamp(seconds), text)

    def test_all_others_are_malformed(self):
        for text in (
            b"1900-02-29 00:00:00", b"2026-02-29 00:00:00", b"2026-04-31 00:00:00",
            b"2026-00-01 00:00:00", b"2026-13-01 00:00:00", b"2026-01-00 00:00:00",
            b"2026-01-01 24:00:00", b"2026-01-01 00:60:00", b"2026-12-31 23:59:60",
            b"2026-01-01T00:00:00", b"2026-01-01 00:00:0 ", b"+026-01-01 00:00:00",
            "٢٠٢٦".encode() + b"-01 00:00:0", b"2026-01-01 00:00:00\n",
        ):  # fmt: skip
            with self.assertRaises(Malformed, msg=text):
                packet.parse_timestamp(text)

    def test_a_moment_out_of_range_is_moved_to_the_edge(self):
        self.assertEqual(packet.format_timestamp(10**15), b"9999-12-31 23:59:59")
        self.assertEqual(packet.format_timestamp(-(10**15)), b"0000-01-01 00:00:00")


class HeadersFromTheServer(unittest.TestCase):
    def check(self, op, size, recipient, sender=0):
        return Header(sender, recipient, b"2026-03-14 09:26:53", op, size).check_from_server()

    def test_the_table_of_op_codes_is_kept(self):
        for op, sizes, shared in (
            (Op.REJECTED, {32}, True),
            (Op.CODE, {32}, True),
            (Op.NEW_USER, {256}, False),
            (Op.SESSION_KEY, {256}, False),
            (Op.ACK, {48, 64, 2048}, False),
            (Op.ACK, {32, 48, 2048}, True),
            (Op.KEY_ANSWER, {336}, False),
            (Op.CLOSING, {32}, False),
            (Op.REFUSAL, {32, 48, 176}, False),
            (Op.REFUSAL, {6, 7, 150}, True),
            (Op.END_OF_BACKLOG, {32}, False),
            (Op.END_OF_BACKLOG, {32, 48, 2048}, True),
        ):
            for size in {0, 5, 6, 7, 16, 31, 32, 33, 48, 64, 150, 151, 176, 192, 256, 336,
                         528, 2047, 2048, 2064, 65535}:  # fmt: skip
                recipient = 0 if shared else 7
                if size in sizes:
                    self.assertEqual(self.check(op, size, recipient), op)
                elif not self.may_be(op, shared, size):
                    with self.assertRaises(Malformed, msg=(op, size, shared)):
                        self.check(op, size, recipient)

    @staticmethod
    def may_be(op, shared, size):
        """Sizes between the smallest and the largest of the table, in steps."""
        whole = size % 16 == 0
        if op == Op.REFUSAL:
            return 6 <= size <= 150 if shared else whole and 32 <= size <= 176
        if op == Op.ACK or (op == Op.END_OF_BACKLOG and shared):
            return whole and ((32 if shared else 48) <= size <= 2048)
        return False

    def test_a_letter_has_any_size(self):
        for size in (0, 1, 65535):
            self.assertEqual(self.check(Op.LETTER, size, 7, sender=8), Op.LETTER)

    def test_a_letter_has_two_people(self):
        for sender, recipient in ((0, 7), (7, 7), (8, 0)):
            with self.assertRaises(Malformed):
                self.check(Op.LETTER, 306, recipient, sender)

    def test_only_letters_come_from_users(self):
        with self.assertRaises(Malformed):
            self.check(Op.CLOSING, 32, 7, sender=8)

    def test_no_other_op_exists(self):
        known = {Op.REJECTED, Op.CODE, Op.NEW_USER, Op.SESSION_KEY, Op.LETTER, Op.ACK,
                 Op.KEY_ANSWER, Op.CLOSING, Op.REFUSAL, Op.END_OF_BACKLOG}  # fmt: skip
        for op in set(range(256)) - known:
            for size in (0, 32, 48, 256, 550):
                with self.assertRaises(Malformed):
                    self.check(op, size, 0)


class Streams(unittest.TestCase):
    def packet(self, sender, size):
        header = Header(sender, 7, b"2026-03-14 09:26:53", Op.LETTER, size)
        return header.emit() + bytes(size + 256)

    def test_packets_come_out_whole_however_they_are_cut(self):
        stream = b"".join(self.packet(8 + n, n) for n in range(20))
        for seed in range(20):
            cuts = random.Random(seed)
            deframer, at, senders = packet.Deframer(), 0, []
            while at < len(stream):
                step = cuts.choice((1, 25, 26, 27, 300, 3000))
                deframer.feed(stream[at : at + step])
                at += step
                while (came := deframer.next()) is not None:
                    senders.append(came.header.sender)
            self.assertEqual(senders, list(range(8, 28)))

    def test_a_bad_header_is_refused_before_its_payload(self):
        deframer = packet.Deframer()
        deframer.feed(self.packet(0, 65535)[:26])
        with self.assertRaises(Malformed):
            deframer.next()


class Bodies(unittest.TestCase):
    def refused(self, parse, *cases):
        for case in cases:
            with self.assertRaises(Malformed, msg=case):
                parse(case)

    def test_a_phone_has_its_form_and_its_length(self):
        def parse(text):
            return bodies.Registration.parse(bytes(32) + bytes([len(text)]) + text)

        for good in (b"+1234567", b"+123456789012345"):
            self.assertEqual(parse(good).phone, good.decode())
        self.refused(parse, b"+123456", b"+1234567890123456", b"+01234567", b"12345678",
                     b"+123456a", b"", "+12345٣".encode())  # fmt: skip
        short = bytes(32) + b"\x09+1234567"
        self.refused(bodies.Registration.parse, short, bytes(32) + b"\x08+1234567\0", bytes(31))

    def test_a_phone_of_another_form_has_an_error_code_of_its_own_at_the_end_of_100_and_101(self):
        head = {bodies.Registration: bytes(32), bodies.Proof: bytes(32 + 6 + 16 + 32)}
        for body, before in head.items():
            with self.assertRaises(bodies.BadPhone):
                body.parse(before + b"\x07+123456")
            for bad in (b"\x07+123456\0", b"\x08+123456", b""):
                with self.assertRaises(Malformed) as refused:
                    body.parse(before + bad)
                self.assertNotIsInstance(refused.exception, bodies.BadPhone)

    def test_a_code_of_other_bytes_than_digits_is_well_formed_in_101(self):
        block = bytes(32) + b"12345\xff" + bytes(16 + 32) + b"\x08+1234567"
        self.assertEqual(bodies.Proof.parse(block).code, b"12345\xff")

    def test_a_code_has_six_digits_or_is_absent(self):
        head = bytes([44, 1, 3, 30, 0])
        self.refused(bodies.CodeIssued.parse, head, head + b"\x06" + b"12345", head + b"\x05" + b"12345",
                     head + b"\x06" + b"12345a", head + b"\0" + b"1")  # fmt: skip

    def test_other_reasons_are_malformed(self):
        self.refused(bodies.parse_rejection, b"", b"\0", b"\2", b"\1\1")
        self.refused(bodies.parse_closing, b"", b"\0", b"\5", b"\1\1")

    def test_a_key_answer_is_well_formed(self):
        spki = key("me").public.spki
        good = b"\x07\0" + b"\x08+1234567" + spki
        self.assertEqual(bodies.KeyAnswer.parse(good).user_id, 7)
        self.refused(bodies.KeyAnswer.parse, good[:-1], good + b"\0", b"\0\0" + good[2:],
                     good[:11] + b"\x31" + good[12:], good[:-5] + b"\x02\x03\x01\x00\x03")  # fmt: skip

    def test_statuses_are_counted_and_known(self):
        entry = bytes(16) + b"\1"
        self.assertEqual(len(bodies.parse_statuses(b"\x77\0" + entry * 119)), 119)
        self.refused(bodies.parse_statuses, b"", b"\0\0", b"\1\0" + entry + b"\0", b"\2\0" + entry,
                     b"\x78\0" + entry * 120, b"\1\0" + bytes(16) + b"\4")  # fmt: skip

    def test_a_refusal_has_an_id_or_not(self):
        parse = bodies.Refusal.parse
        self.assertEqual(parse(b"\x63\0\x66\0\0\0").code, 99)
        self.assertEqual(parse(b"\x01\0\x66\0\0\1" + bytes(16)).packet_id, bytes(16))
        self.refused(parse, b"\1\0\0\0\0", b"\1\0\0\0\0\2" + bytes(16), b"\1\0\0\0\0\1" + bytes(15),
                     b"\1\0\0\0\0\0" + b"x" * 129, b"\1\0\0\0\0\0\xff")  # fmt: skip


class Keys(unittest.TestCase):
    def test_one_form_is_taken(self):
        spki = key("me").public.spki
        self.assertEqual(PublicKey(spki).spki, spki)
        for other in (
            spki[:-1], spki + b"\0", b"", spki[:33] + b"\x7f" + spki[34:],
            spki[:288] + b"\x02" + spki[289:], b"\x31" + spki[1:], spki[:-1] + b"\x03",
        ):  # fmt: skip
            with self.assertRaises(WeakKey):
                PublicKey(other)

    def test_small_factors_are_refused(self):
        largest_small_prime = 65_521
        n = largest_small_prime * ((1 << 2047) // largest_small_prime | 1)
        n += 2 * largest_small_prime * (n.bit_length() < 2048)
        spki = key("me").public.spki
        with self.assertRaisesRegex(WeakKey, "small factor"):
            PublicKey(spki[:33] + n.to_bytes(256, "big") + spki[-5:])

    def test_a_signature_is_below_the_modulus(self):
        private = key("me")
        signature = private.sign(b"m")
        self.assertTrue(private.public.verify(b"m", signature))
        self.assertFalse(private.public.verify(b"n", signature))
        modulus = int.from_bytes(private.public.spki[33:289], "big")
        larger = int.from_bytes(signature, "big") + modulus
        if larger < 1 << 2048:
            self.assertFalse(private.public.verify(b"m", larger.to_bytes(256, "big")))
        self.assertFalse(private.public.verify(b"m", signature[:-1]))
        self.assertFalse(private.public.verify(b"m", b"\xff" * 256))

    def test_the_digest_info_has_its_null(self):
        from Crypto.PublicKey import RSA

        rsa = RSA.import_key(key("me").der)
        digest = crypto.sha256(b"m")
        info = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + digest
        encoded = b"\0\1" + b"\xff" * (256 - 3 - len(info)) + b"\0" + info
        signature = pow(int.from_bytes(encoded, "big"), rsa.d, rsa.n).to_bytes(256, "big")
        self.assertFalse(key("me").public.verify(b"m", signature))

    def test_oaep_has_its_label_and_its_length(self):
        block = key("me").public.wrap(b"waxwing/1:206", bytes(48))
        self.assertEqual(key("me").unwrap(b"waxwing/1:206", block, 48), bytes(48))
        for label, length in ((b"waxwing/1:201", 48), (b"waxwing/1:206", 47)):
            with self.assertRaises(CannotOpen):
                key("me").unwrap(label, block, length)

    def test_padding_is_whole(self):
        sealed = crypto.encrypt(bytes(32), bytes(16))
        self.assertEqual(len(sealed), 48)
        for bad in (sealed[:-1], sealed[:16], sealed[:32], b""):
            with self.assertRaises(CannotOpen):
                crypto.decrypt(bytes(32), bad)


class Envelopes(unittest.TestCase):
    def setUp(self):
        self.me = envelope.Person("+1234567", key("me").public)
        self.other = envelope.Person("+7654321", key("other").public)
        self.content = envelope.Content(bytes(16), envelope.TEXT, b"hello")
        self.sealed = envelope.seal(self.other, self.me, self.content)

    def open(self, sealed, sender=None):
        return envelope.open_envelope(sender or self.other, self.me, key("me"), sealed)

    def test_opens_for_the_two_people_alone(self):
        self.assertEqual(self.open(self.sealed), self.content)
        for sender in (
            envelope.Person("+7654322", self.other.key),
            envelope.Person("+7654321", key("third").public),
        ):
            with self.assertRaises(CannotOpen):
                self.open(self.sealed, sender)

    def test_no_length_breaks_it(self):
        for length in range(0, len(self.sealed)):
            with self.assertRaises((CannotOpen, envelope.Unsupported)):
                self.open(self.sealed[:length])

    def test_other_versions_and_suites_are_named(self):
        for at in (0, 1):
            changed = bytearray(self.sealed)
            changed[at] = 2
            with self.assertRaises(envelope.Unsupported):
                self.open(bytes(changed))

    def test_a_body_fits_its_kind(self):
        for kind, body in ((1, b"\xff"), (2, bytes(15)), (2, bytes(17)), (0, b""), (3, b"")):
            with self.assertRaises(envelope.Unsupported):
                envelope.Content(bytes(16), kind, body).check()
        envelope.Content(bytes(16), 1, b"").check()
        envelope.Content(bytes(16), 2, bytes(16)).check()


if __name__ == "__main__":
    unittest.main()
