"""What the commands print of a stranger's letter, and what they take on the command line."""

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import unittest

from waxwing_py import bodies, cli, envelope, holder, refusals, schema, show
from waxwing_py.home import Home

NAMES = ("number", "phone", "uid", "sender_id", "sent_at", "received_at", "kind", "body", "fate")


def row(body: bytes, kind=envelope.TEXT, fate="letter") -> dict:
    values = (1, "+445550002", bytes(16), 9, 0, 0, kind, body, fate)
    return dict(zip(NAMES, values))


class Refusals(unittest.TestCase):
    def test_every_code_is_a_sentence_with_a_number_and_no_name(self):
        for code in bodies.Code:
            text = str(holder.refused(bodies.Refusal(code, 102, 7, None)))
            self.assertIn(f"(code {code.value})", text)
            self.assertNotIn(code.name, text)
            self.assertEqual(refusals.kept_words(code.name), refusals.words(code))
        self.assertIn("(code 999)", refusals.words(999))
        self.assertIn("try again in 7 s", str(holder.refused(
            bodies.Refusal(bodies.Code.RATE_LIMITED, 102, 7, None))))
        self.assertEqual(refusals.kept_words("another key"), "another key")
        for reason in bodies.Reason:
            self.assertNotIn(reason.name, refusals.closing_words(reason))


class Letters(unittest.TestCase):
    def test_terminal_escapes_do_not_get_through(self):
        line = show.text_line(row(b"a\x1b[2Jb\r\x07"))
        self.assertEqual(line, "1970-01-01 00:00 +445550002: a\ufffd[2Jb\ufffd\ufffd")

    def test_a_line_end_does_not_begin_another_letter(self):
        line = show.text_line(row(b"one\n1970-01-01 00:00 +15550001: two"))
        for part in line.split("\n")[1:]:
            self.assertTrue(part.startswith(" "))

    def test_what_is_unreadable_is_shown_as_such(self):
        line = json.loads(show.json_line(row(b"\xff", fate="text that is not UTF-8")))
        self.assertEqual((line["kind"], line["reason"]), ("unreadable", "text that is not UTF-8"))
        self.assertNotIn("text", line)

    def test_json_has_one_line(self):
        line = show.json_line(row("é\n\u2028".encode()))
        self.assertTrue(line.isascii() and "\n" not in line)
        self.assertEqual(json.loads(line)["text"], "é\n\u2028")


    def test_nothing_invisible_or_reordering_gets_through(self):
        for text, shown in (
            ("a\u202eb", "a\ufffdb"),
            ("a\U000e0041b", "a\ufffdb"),
            ("a\u200bb", "a\ufffdb"),
            ("a\u3164b\u2800c", "a\ufffdb\ufffdc"),
            ("a\u2028b", "a\ufffdb"),
            ("a\U000e0100\ufe00b", "a\ufffd\ufffdb"),
            ("\u2764\ufe0f\ufe0f 1\ufe0f\u20e3", "\u2764\ufe0f\ufffd 1\ufe0f\u20e3"),
            ("\U0001d159\U00016fe4\u180b", "\ufffd\ufffd\ufffd"),
            ("e\u0301", "e\u0301"),
            ("e" + "\u0301" * 50, "e" + "\u0301" * 8),
        ):
            self.assertTrue(show.text_line(row(text.encode())).endswith(f": {shown}"), ascii(text))

    def test_what_a_terminal_would_wrap_is_wrapped_behind_an_indent(self):
        parts = show.wrapped("x" * 25, 10, 5)
        self.assertEqual(parts, ["x" * 5, "x" * 10, "x" * 10])
        self.assertEqual(show.wrapped("\u4f60" * 6, 10, 0), ["\u4f60" * 5, "\u4f60"])

    def test_a_year_beyond_every_clock_is_shown_as_it_stands(self):
        late = row(b"late") | {"sent_at": 253_402_300_799}
        self.assertTrue(show.text_line(late).startswith("9999-12-31 23:59 "))


class Programs(unittest.TestCase):
    """The program itself, where its output goes nowhere or its input is none."""

    def setUp(self):
        from peer import OTHER_PHONE, PHONE, Peer, key

        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        home = Home(self.directory, create=True)
        home.put(key=key("me").der, phone=PHONE, user_id=7, server="127.0.0.1:1",
                 server_key=key("server").public.spki)  # fmt: skip
        peer = Peer()
        peer.establish()
        home.enqueue(OTHER_PHONE, envelope.Content(bytes(16), envelope.TEXT, b"one of ours"))
        sender = envelope.Person(OTHER_PHONE, key("other").public)
        content = envelope.Content(bytes([1]) * 16, envelope.TEXT, "🕊 Grüße".encode())
        letter = peer.conn.make_letter(9, b"")
        home.keep_letter(sender, letter, content, "letter")
        home.close()

    def run_program(self, *arguments, **options) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "waxwing_py", arguments[0], "--home", self.directory]
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.run([*command, *arguments[1:]], timeout=60, **given | options)

    def receive(self, **options) -> subprocess.CompletedProcess:
        return self.run_program("receive", "--timeout", "0", **options)

    def test_an_alphabet_that_lacks_a_character_ends_nothing(self):
        environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "POSIX"}
        first = self.receive(env=environment)
        self.assertIn(b"\\U0001f54a Gr\\xfc\\xdfe", first.stdout)
        self.assertNotIn(b"Traceback", first.stderr)
        self.assertNotIn(b"U0001f54a", self.receive(env=environment).stdout)

    def test_a_letter_that_cannot_be_printed_is_kept_for_the_next_time(self):
        with open("/dev/full", "wb") as full:
            failed = self.receive(stdout=full)
        self.assertEqual(failed.returncode, 1)
        self.assertIn(b"cannot write to standard output", failed.stderr)
        self.assertNotIn(b"Traceback", failed.stderr)
        self.assertIn("Grüße".encode(), self.receive().stdout)

    def test_nobody_to_hear_the_remarks_ends_nothing(self):
        with open("/dev/full", "wb") as full:
            done = self.receive(stderr=full)
        self.assertIn("Grüße".encode(), done.stdout)
        self.assertEqual(done.returncode, 3)

    def test_a_text_that_is_no_text_is_not_sent_in_part(self):
        for body, said in ((b"good\n\xff bad", b"not UTF-8 at byte 6"), (b" \n", b"nothing to read"),
                           ("\u200b\n".encode(), b"nothing to read"),
                           (b"x" * 70_000, b"61134 bytes at most")):  # fmt: skip
            done = self.run_program("send", "+445550002", "-", input=body, stdin=None)
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)
            self.assertRegex(done.stderr, b"nothing was sent|is not sent")


class CommandLine(unittest.TestCase):
    def run_main(self, *arguments) -> int:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            try:
                return cli.main(arguments)
            except SystemExit as end:
                return end.code

    def test_what_makes_no_sense_is_2(self):
        for arguments in (
            (),
            ("send",),
            ("send", "5550001", "hi"),
            ("receive", "--timeout", "-1"),
            ("receive", "--timeout", "nan"),
            ("receive", "--timeout", "inf"),
            ("receive", "--timeout", "18446744073709551615"),
            ("register", "--server-key", "x", "--otp", "12345", "+15550001"),
        ):
            self.assertEqual(self.run_main(*arguments), 2, arguments)  # fmt: skip

    def test_a_home_that_is_not_there_is_1(self):
        with tempfile.TemporaryDirectory() as directory:
            self.assertEqual(self.run_main("receive", "--home", f"{directory}/none"), 1)

    def test_a_home_of_a_later_version_is_74_and_stays_as_it_is(self):
        with tempfile.TemporaryDirectory() as directory:
            Home(directory, create=True).close()
            with contextlib.closing(sqlite3.connect(f"{directory}/waxwing-py.db")) as db:
                db.execute("PRAGMA user_version = 99")
            self.assertEqual(self.run_main("receive", "--home", directory), 74)
            with contextlib.closing(sqlite3.connect(f"{directory}/waxwing-py.db")) as db:
                self.assertEqual(db.execute("PRAGMA user_version").fetchone(), (99,))

    def test_a_key_file_that_cannot_be_used_is_78(self):
        with tempfile.TemporaryDirectory() as directory:
            command = ("register", "--home", directory, "--server-key", f"{directory}/none")
            self.assertEqual(self.run_main(*command, "+15550001"), 78)

    def test_a_server_that_is_not_there_is_3(self):
        from peer import key

        with tempfile.TemporaryDirectory() as directory:
            home = Home(directory, create=True)
            home.put(key=key("me").der, phone="+15550001", user_id=7, server="127.0.0.1:1",
                     server_key=key("server").public.spki)  # fmt: skip
            home.close()
            command = ("send", "--home", directory, "--timeout", "0", "+445550002", "hi")
            self.assertEqual(self.run_main(*command), 3)


class OldHomes(unittest.TestCase):
    def test_a_home_of_the_first_version_keeps_its_letters_and_gets_a_history(self):
        from peer import NOW, OTHER_PHONE, Peer, key

        peer = Peer()
        peer.establish()
        packet = peer.conn.make_letter(9, b"")
        with tempfile.TemporaryDirectory() as directory:
            with contextlib.closing(sqlite3.connect(f"{directory}/waxwing-py.db")) as db:
                db.executescript(schema.SCHEMA)
                values = [(bytes([n]) * 16, OTHER_PHONE, text) for n, text in enumerate((b"a", b"c"))]
                db.executemany("INSERT INTO sent (uid, phone, kind, body) VALUES (?, ?, 1, ?)", values)
                db.execute("INSERT INTO packets (packet_id, uid, recipient, raw) VALUES (?, ?, 9, ?)",
                           (packet.id, values[0][0], packet.raw))  # fmt: skip
                db.execute("INSERT INTO received (phone, uid, packet_id, sender_id, sent_at, received_at,"
                           " kind, body, fate) VALUES (?, ?, ?, 9, 0, ?, 1, ?, 'letter')",
                           (OTHER_PHONE, bytes(16), bytes(16), NOW + 1, b"b"))  # fmt: skip
                db.execute("INSERT INTO contacts (phone, user_id, spki, checked_at) VALUES (?, 9, ?, 0)",
                           (OTHER_PHONE, key("other").public.spki))  # fmt: skip
                db.commit()
            for _ in range(2):
                home = Home(directory)
                self.addCleanup(home.close)
                entries = home.history(OTHER_PHONE)
                self.assertEqual([entry["body"] for entry in entries], [b"a", b"b", b"c"])
                self.assertEqual(entries[0]["created_at"], NOW)
                self.assertEqual(home.contact(OTHER_PHONE).since, None)


if __name__ == "__main__":
    unittest.main()
