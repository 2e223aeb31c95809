"""The test values of PROTOCOL.md, both ways."""

import re
import unittest
from pathlib import Path

from waxwing_py import bodies, crypto, envelope, packet
from waxwing_py.bodies import KeyAnswer, KeyQuestion, Refusal, Status
from waxwing_py.crypto import sha256
from waxwing_py.envelope import Content
from waxwing_py.packet import Op

SESSION_KEY = bytes(range(0x00, 0x20))
IV = bytes(range(0x20, 0x30))
NONCE = bytes(range(0x40, 0x50))
REPLY_KEY = bytes(range(0x60, 0x80))
UID = bytes(range(0x80, 0x90))
MESSAGE_KEY = bytes(range(0xA0, 0xC0))
PACKET_ID = bytes.fromhex("240fe138ac1e6c5054260fd4d83fc40c")
OTHER_PACKET_ID = bytes(range(0xB0, 0xC0))
PHONES = ("+15550001", "+445550002")
HEAD = bytes.fromhex("30820122300d06092a864886f70d01010105000382010f003082010a0282010100")
SPKIS = [HEAD + bytes([byte]) * 256 + bytes.fromhex("0203010001") for byte in (0x81, 0xC3)]


class FakeKey:
    """The keys of the test values are no real ones: they have small factors."""

    def __init__(self, spki):
        self.spki = spki


def sealed(seq: int, content: bytes) -> str:
    return crypto.encrypt(SESSION_KEY, seq.to_bytes(4, "little") + content, IV)[16:].hex()


def opened(seq: int, hexadecimal: str) -> bytes:
    message = crypto.decrypt(SESSION_KEY, IV + bytes.fromhex(hexadecimal))
    assert message[:4] == seq.to_bytes(4, "little")
    return message[4:]


class TheHeader(unittest.TestCase):
    RAW = bytes.fromhex("07002c01323032362d30332d31342030393a32363a3533663201")

    def test_reads_and_writes_the_example(self):
        header = packet.Header.parse(self.RAW)
        expected = packet.Header(7, 300, b"2026-03-14 09:26:53", Op.LETTER, 306)
        self.assertEqual(header, expected)
        self.assertEqual(header.emit(), self.RAW)

    def test_a_packet_id_covers_header_and_payload(self):
        self.assertEqual(packet.Packet(self.RAW + bytes(306 + 256)).id, PACKET_ID)
        self.assertEqual(packet.Packet(self.RAW + bytes(306) + b"\1" * 256).id, PACKET_ID)


class Registration(unittest.TestCase):
    def test_100(self):
        block = bytes.fromhex(REPLY_KEY.hex() + "092b3135353530303031")
        self.assertEqual(bodies.Registration(REPLY_KEY, PHONES[0]).emit(), block)
        self.assertEqual(
            bodies.Registration.parse(block), bodies.Registration(REPLY_KEY, PHONES[0])
        )

    def test_101(self):
        proof = bodies.Proof(REPLY_KEY, b"123456", NONCE, sha256(SPKIS[0]), PHONES[0])
        block = bytes.fromhex(
            REPLY_KEY.hex() + "313233343536" + NONCE.hex() + sha256(SPKIS[0]).hex()
            + "092b3135353530303031"
        )  # fmt: skip
        self.assertEqual(proof.emit(), block)
        self.assertEqual(bodies.Proof.parse(block), proof)

    def test_106_in_its_short_form(self):
        payload = crypto.encrypt(SESSION_KEY, NONCE, IV)
        self.assertEqual(
            payload[16:].hex(), "86830e87591a75e9145ec6a106a30b2f5d3ff6dd89074c7ee1efe8365a16b21f"
        )

    def test_150(self):
        body = crypto.decrypt(REPLY_KEY, IV + bytes.fromhex("13ddfcdcbcf82a6b17ae74a384584798"))
        self.assertEqual(bodies.parse_rejection(body), bodies.PHONE_EXISTS)

    def test_200_with_and_without_a_code(self):
        for code, value in (
            (None, "9e5238c2f085452042bce4c51cddae1a"),
            ("123456", "5a833ec556d94d22b7a65d25dca30b79"),
        ):
            body = crypto.decrypt(REPLY_KEY, IV + bytes.fromhex(value))
            issued = bodies.CodeIssued.parse(body)
            self.assertEqual(issued, bodies.CodeIssued(300, 3, 30, code))
            self.assertEqual(issued.emit(), body)

    def test_201_and_206(self):
        block = bytes.fromhex(
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
            "404142434445464748494a4b4c4d4e4f"
        )
        self.assertEqual(bodies.parse_session_key(block), (SESSION_KEY, NONCE))


class SealedByTheClient(unittest.TestCase):
    def check(self, seq, content, value):
        self.assertEqual(sealed(seq, content), value)
        self.assertEqual(opened(seq, value), content)

    def test_confirmation(self):
        self.check(0, bodies.emit_confirmation(128), "a046aa820941d7e024fce74e863324d5")

    def test_203_kind_1(self):
        content = bodies.emit_held([PACKET_ID])
        value = "6490c5ff92f33c898c7ca2920da506d7f2cb0197ecd434bc5e62444e85f8ff46"
        self.check(1, content, value)

    def test_203_kind_1_empty(self):
        self.check(2, bodies.emit_held([]), "196acf573bd39afeeade718a6e9eb793")

    def test_203_kind_2(self):
        content = bodies.emit_status_question([(300, PACKET_ID)])
        value = "ec92b6b634390c6f8aecdc270086f58b3cdb71586df3164903ca3043451b80d6"
        self.check(3, content, value)

    def test_105_by_id(self):
        self.check(4, KeyQuestion(user_id=300).emit(), "5580b28e159af8f3d3a694d8e0084a26")

    def test_105_by_phone(self):
        self.check(5, KeyQuestion(phone=PHONES[0]).emit(), "7776163b1ca12a010fe8befa02d92e19")

    def test_222(self):
        self.check(6, bytes([bodies.Reason.LEAVING]), "856d353db57fc030e32462d37e67e90e")


class SealedByTheServer(unittest.TestCase):
    def test_203(self):
        value = (
            "90b43a752772118a4fd578e43729605237e41bde1583b70758ca1ca1afa92825"
            "7399b338541a15c189cdbeeb0f4ee97a"
        )
        entries = [(PACKET_ID, Status.DELIVERED), (OTHER_PACKET_ID, Status.STORED)]
        self.assertEqual(bodies.parse_statuses(opened(0, value)), entries)
        self.assertEqual(sealed(0, bodies.emit_statuses(entries)), value)

    def test_204(self):
        content = KeyAnswer(300, PHONES[1], FakeKey(SPKIS[1])).emit()
        payload = IV + bytes.fromhex(sealed(1, content))
        self.assertEqual(len(payload), 336)
        self.assertEqual(
            sha256(payload).hex(),
            "31236d1a6bf527c3376b3af0b54812db5e438b583193129ffe1b46b1ab1fdb69",
        )

    def test_255(self):
        self.assertEqual(opened(2, "f8f236b702f9e54e5ba10a04bb12eb8b"), (3).to_bytes(4, "little"))

    def test_222(self):
        content = opened(3, "4947ec0d62195df0ce8213c6b0822b7c")
        self.assertEqual(bodies.parse_closing(content), bodies.Reason.TAKEN_OVER)

    def test_244(self):
        value = (
            "9540a3143a7219899fe43328bb1189fd8a17ee689642eb40ff6b2f0430d41d50"
            "e0d4793f812fefd25595b62a09ce0d77"
        )
        body = "0b00693c0001240fe138ac1e6c5054260fd4d83fc40c526174654c696d69746564"
        self.assertEqual(opened(4, value).hex(), body)
        refusal = Refusal(bodies.Code.RATE_LIMITED, 105, 60, PACKET_ID, "RateLimited")
        self.assertEqual(Refusal.parse(bytes.fromhex(body)), refusal)
        self.assertEqual(refusal.emit().hex(), body)

    def test_244_shared(self):
        body = bytes.fromhex("0400000000004261645369676e6174757265")
        refusal = Refusal(bodies.Code.BAD_SIGNATURE, 0, 0, None, "BadSignature")
        self.assertEqual(Refusal.parse(body), refusal)

    def test_tokens(self):
        for plaintext, token in (
            ("240fe138ac1e6c5054260fd4d83fc402", "36ce29e7505ae4ce1a625eb6db49d8cd"),
            ("404142434445464748494a4b03000000", "56ba30f090b7e644ae4f5658fba1b51e"),
        ):
            # Beside the token of somebody else.
            payload = IV + bytes(16) + bytes.fromhex(token)
            self.assertEqual(crypto.open_tokens(SESSION_KEY, payload)[1].hex(), plaintext)


class PersonToPerson(unittest.TestCase):
    def test_fingerprints_and_safety_number(self):
        people = [envelope.Person(*pair) for pair in zip(PHONES, map(FakeKey, SPKIS))]
        prints = [person.fingerprint for person in people]
        self.assertEqual(
            [each.hex() for each in prints],
            [
                "dcb93592ef1622b37332e54bb4178aa8fed3741eb6fffca3ee4f7775a415c9fb",
                "b440895ae4c889983a84cdfe19fe10e32849d2d858edb3327ee41bf174a0a857",
            ],
        )
        number = "53914 43537 41220 20973 85927 45914 38109 95007 31917 97447 36818 31142"
        self.assertEqual(envelope.safety_number(*prints), number)
        self.assertEqual(envelope.safety_number(*reversed(prints)), number)

    def test_what_is_inside_an_envelope(self):
        text = Content(UID, envelope.TEXT, "Grüße".encode())
        receipt = Content(UID, envelope.READ_RECEIPT, bytes(range(0xD0, 0xE0)))
        for content, value in (
            (text, "3f43d9cefe914242c55fbfd6af2a9771aea11c975506a56895c53addb36bce78"),
            (
                receipt,
                "3f43d9cefe914242c55fbfd6af2a977102307de99c847a15fa975f53a07fb791"
                "883223aa4572ab474b37434b01ab03c5",
            ),
        ):
            ciphertext = crypto.encrypt(MESSAGE_KEY, envelope.emit_content(content), IV)[16:]
            self.assertEqual(ciphertext.hex(), value)
            self.assertEqual(envelope.parse_content(envelope.emit_content(content)), content)
            content.check()


class HashedAndSigned(unittest.TestCase):
    def test_the_encoding_under_a_signature(self):
        digest = "240fe138ac1e6c5054260fd4d83fc40c8d0dbdf3f6430be48c680f1225ac5dd1"
        signed = TheHeader.RAW + bytes(306)
        self.assertEqual(sha256(signed).hex(), digest)
        head = "0001" + "ff" * 202 + "003031300d060960864801650304020105000420"
        self.assertEqual(crypto._ENCODING_HEAD.hex(), head)

    def test_labels(self):
        for op, text, digest in (
            (Op.REGISTRATION, "77617877696e672f313a313030",
             "752f20eb7e0708db4aedeedadceda4f07a09797796e5963a77c56f1ce4b77343"),
            (Op.PROOF, "77617877696e672f313a313031",
             "54a1a1af1281ee5fc7c5ffdeab9ff5a5db7a871032ee4b1e5573dd5daad3aae9"),
            (Op.RECONNECT, "77617877696e672f313a313036",
             "1e8e289b17cd439e937fdcfebb130259bf436036778e56ad540ca681d5e9706e"),
            (Op.NEW_USER, "77617877696e672f313a323031",
             "70bc399e65c06c2dcfba31c66162793bd344d52567b3303f5904208299b4a603"),
            (Op.SESSION_KEY, "77617877696e672f313a323036",
             "fe2451952d95dd1084f4386ab8169f640c97e21d68ec67eca2b84367c263dbf4"),
        ):  # fmt: skip
            self.assertEqual(crypto.label(op).hex(), text)
            self.assertEqual(sha256(crypto.label(op)).hex(), digest)

    def test_the_label_of_a_letter(self):
        one, other = (envelope.Person(*pair) for pair in zip(PHONES, map(FakeKey, SPKIS)))
        label = envelope._label(one, other)
        self.assertEqual(len(label), 77)
        digest = "487111e7e88391e240c462fb8ca5fda27fe63a9a5d19a38163c8dc0a5355e3d2"
        self.assertEqual(sha256(label).hex(), digest)

    def test_the_hash_of_a_key(self):
        digest = "06909da55c941258c3e0a15db0fbc702582e0185710027b8c2f7101f04eb157d"
        self.assertEqual(sha256(SPKIS[0]).hex(), digest)

    def test_a_clear_refusal(self):
        body = "14006a000001240fe138ac1e6c5054260fd4d83fc40c53657373696f6e556e6b6e6f776e"
        refusal = Refusal(bodies.Code.SESSION_UNKNOWN, Op.RECONNECT, 0, PACKET_ID, "SessionUnknown")
        self.assertEqual(refusal.emit().hex(), body)

    def test_contents_in_clear(self):
        entries = [(PACKET_ID, Status.DELIVERED), (OTHER_PACKET_ID, Status.STORED)]
        answer = KeyAnswer(300, PHONES[1], FakeKey(SPKIS[1])).emit()
        self.assertEqual(len(answer), 307)
        for content, value in (
            (KeyQuestion(user_id=300).emit(), "012c01"),
            (KeyQuestion(phone=PHONES[0]).emit(), "02092b3135353530303031"),
            (bodies.emit_confirmation(128), "0080"),
            (bodies.emit_held([PACKET_ID]), "010100240fe138ac1e6c5054260fd4d83fc40c"),
            (bodies.emit_status_question([(300, PACKET_ID)]),
             "0201002c01240fe138ac1e6c5054260fd4d83fc40c"),
            (bodies.emit_statuses(entries), "0200240fe138ac1e6c5054260fd4d83fc40c02"
             "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf01"),
            (answer[:13], "2c010a2b343435353530303032"),
        ):  # fmt: skip
            self.assertEqual(content.hex(), value)


class TheDocument(unittest.TestCase):
    """The hexadecimal values of this file stand in the document, so that they cannot drift apart."""

    def test_has_the_values_that_are_tried_here(self):
        root = Path(__file__).resolve().parents[3]
        section = (root / "PROTOCOL.md").read_text().split("## 28. Test values")[1]
        section = re.sub(r"\s", "", section)
        here = Path(__file__).read_text()
        here = re.sub(r'"\s+"', "", here)  # literals that go on in the next line
        values = re.findall(r'"([0-9a-f]{24,})"', here)
        self.assertGreater(len(values), 40)
        built_from_parts = {TheHeader.RAW.hex(), HEAD.hex()}
        for value in set(values) - built_from_parts:
            self.assertIn(value, section)


if __name__ == "__main__":
    unittest.main()
