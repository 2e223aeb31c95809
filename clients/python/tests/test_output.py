"""What the commands print of a stranger's letter, and what they take on the command line."""

import contextlib
import io
import json
import tempfile
import unittest

from waxwing_py import cli, envelope
from waxwing_py.home import Home

NAMES = ("number", "phone", "uid", "sender_id", "sent_at", "received_at", "kind", "body", "fate")


def row(body: bytes, kind=envelope.TEXT, fate="letter") -> dict:
    values = (1, "+445550002", bytes(16), 9, 0, 0, kind, body, fate)
    return dict(zip(NAMES, values))


class Letters(unittest.TestCase):
    def test_terminal_escapes_do_not_get_through(self):
        line = cli._text_line(row(b"a\x1b[2Jb\r\x07"))
        self.assertEqual(line, "1970-01-01 00:00 +445550002: a\ufffd[2Jb\ufffd\ufffd")

    def test_a_line_end_does_not_begin_another_letter(self):
        line = cli._text_line(row(b"one\n1970-01-01 00:00 +15550001: two"))
        for part in line.split("\n")[1:]:
            self.assertTrue(part.startswith(" "))

    def test_what_is_unreadable_is_shown_as_such(self):
        line = json.loads(cli._json_line(row(b"\xff", fate="text that is not UTF-8")))
        self.assertEqual((line["kind"], line["reason"]), ("unreadable", "text that is not UTF-8"))
        self.assertNotIn("text", line)

    def test_json_has_one_line(self):
        line = cli._json_line(row("é\n\u2028".encode()))
        self.assertTrue(line.isascii() and "\n" not in line)
        self.assertEqual(json.loads(line)["text"], "é\n\u2028")


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
            ("register", "--server-key", "x", "--otp", "12345", "+15550001"),
        ):
            self.assertEqual(self.run_main(*arguments), 2, arguments)  # fmt: skip

    def test_a_home_that_is_not_there_is_74(self):
        with tempfile.TemporaryDirectory() as directory:
            self.assertEqual(self.run_main("receive", "--home", f"{directory}/none"), 74)

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


if __name__ == "__main__":
    unittest.main()
