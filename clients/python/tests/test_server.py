"""Two people on two implementations, and the real server between them."""

import json
import os
import re
import signal
import socket
import sqlite3
import threading
import unittest

from waxwing_py import connection, crypto, envelope
from waxwing_py.holder import Line
from waxwing_py.connection import Clock, EndOfBacklog
from waxwing_py.home import Home

from binaries import PYTHON, RUST, Process, RealServer, require_binaries, wait_until


def setUpModule():
    require_binaries()


ANN, BEN = "+15550001111", "+445550002222"
STRANGER = "+15559999999"
# Stands for whoever calls.
OWN = object()


def has_session(person) -> bool:
    """Whether a process holds the session of this home."""
    home = Home(str(person.home))
    try:
        return not home.take_session()
    finally:
        home.close()


def rows(person, query: str) -> list:
    with sqlite3.connect(person.home / "waxwing-py.db") as db:
        return db.execute(query).fetchall()


class BothWays(unittest.TestCase):
    """Ann on this client, Ben on the other one."""

    @classmethod
    def setUpClass(cls):
        cls.server = RealServer()
        cls.addClassCleanup(cls.server.demolish)
        cls.ann = cls.server.person("ann", ANN, PYTHON)
        cls.ben = cls.server.person("ben", BEN, RUST)

    def pairs(self):
        return ((self.ann, self.ben), (self.ben, self.ann))

    def test_letters_wait_for_whoever_is_away(self):
        for sender, recipient in self.pairs():
            texts = ["Grüße", "line\nline", "x" * 20_000]
            for text in texts:
                self.assertTrue(sender.send(recipient, text).check().startswith("stored "))
            letters = recipient.receive()
            self.assertEqual([letter["text"] for letter in letters], texts)
            self.assertEqual({letter["from"] for letter in letters}, {sender.phone})
            self.assertEqual(recipient.receive(), [])

    def test_letters_come_at_once_to_whoever_is_there(self):
        for sender, recipient in self.pairs():
            following = recipient.follow()
            try:
                for text in ("one", "two"):
                    sent = sender.send(recipient, text, "--wait", "delivered", "--timeout", "30")
                    uid = sent.check().removeprefix("delivered ")
                    letter = json.loads(following.line())
                    self.assertEqual((letter["text"], letter["uid"]), (text, uid))
            finally:
                following.stop()

    def test_the_sender_learns_later_that_a_letter_was_delivered(self):
        self.ann.send(self.ben, "later").check()
        self.assertEqual(rows(self.ann, "SELECT status FROM sent ORDER BY number DESC")[0], (1,))
        self.ben.receive()
        self.ann.receive("--timeout", "1")
        self.assertEqual(rows(self.ann, "SELECT status FROM sent ORDER BY number DESC")[0], (2,))

    def test_both_see_the_same_safety_number(self):
        number = self.ann.verify(self.ben).check()
        self.assertRegex(number, r"^\d{5}( \d{5}){11}$")
        self.assertEqual(self.ben.verify(self.ann).check(), number)

    def test_nobody_has_a_letter_for_a_phone_without_an_account(self):
        result = self.ann.run("send", "+15559999999", "hello")
        self.assertEqual(result.code, 3)
        self.assertTrue(result.out.startswith("refused "))
        self.assertIn("the server knows nobody with this phone", result.err)
        history = self.ann.run("history", "+15559999999").check()
        self.assertIn("the server knows nobody with this phone", history)
        self.assertNotIn("UNKNOWN", result.err + history)
        self.assertEqual(self.ann.run("verify", "+15559999999").code, 3)

    def test_a_letter_of_this_process_goes_out_through_another_one(self):
        following = self.ann.follow()
        try:
            wait_until(lambda: has_session(self.ann))
            self.ann.send(self.ben, "through the other", "--wait", "stored").check()
            self.assertIn("through the other", [each["text"] for each in self.ben.receive()])
        finally:
            self.assertEqual(following.stop(), 0)

    def open(self) -> Line:
        home = Home(str(self.ann.home))
        self.addCleanup(home.close)
        line = Line(home, Clock())
        self.addCleanup(line.__exit__)
        return line

    def reach_end_of_backlog(self, line):
        while not isinstance(line.answer(), EndOfBacklog):
            pass

    def test_reconnects_in_both_forms(self):
        line = self.open()
        line.conn.reconnect(None)
        self.reach_end_of_backlog(line)
        # The server may store the key of a session later than it answers.
        line.conn.leave()
        self.assertEqual(line.answer().reason, 1)
        for key, forms in ((line.conn._session_key, 0), (bytes(32), 1)):
            refused = self.server.log.count("SessionUnknown")
            again = self.open()
            again.conn.reconnect(key)
            self.reach_end_of_backlog(again)
            again.conn.leave()
            again.answer()
            self.assertEqual(self.server.log.count("SessionUnknown") - refused, forms)

    def letter(self, conn, uid: bytes):
        home = Home(str(self.ann.home))
        self.addCleanup(home.close)
        if not home.contact(BEN):
            self.ann.verify(self.ben).check()
        ben = home.contact(BEN)
        content = envelope.Content(uid, envelope.TEXT, b"once")
        return conn.make_letter(ben.user_id, envelope.seal(home.me, ben.person, content))

    def status_of(self, line, packet):
        while True:
            event = line.answer()
            if isinstance(event, connection.Statuses):
                statuses = [status for packet_id, status in event.entries if packet_id == packet.id]
                if statuses:
                    return statuses[0]

    def test_a_letter_that_is_sent_twice_is_shown_once(self):
        line = self.open()
        line.conn.reconnect(None)
        self.reach_end_of_backlog(line)
        first = self.letter(line.conn, bytes(16))
        signed_again = self.letter(line.conn, bytes(16))
        for packet in (first, first, signed_again):
            line.conn.send_letter(packet.raw)
            self.assertEqual(self.status_of(line, packet), 1)
        line.conn.leave()
        line.answer()
        self.assertEqual([each["text"] for each in self.ben.receive()], ["once"])

    def test_a_newer_session_takes_over(self):
        line = self.open()
        line.conn.reconnect(None)
        self.reach_end_of_backlog(line)
        newer = self.open()
        newer.conn.reconnect(None)
        self.reach_end_of_backlog(newer)
        self.assertEqual(line.answer(), connection.Closing(3))
        newer.conn.leave()
        self.assertEqual(newer.answer(), connection.Closing(1))


class Receipts(unittest.TestCase):
    """Each client believes the other one's receipts, and sends some if it is told to."""

    def setUp(self):
        self.server = RealServer()
        self.addCleanup(self.server.demolish)
        self.ann = self.server.person("ann", ANN, PYTHON)
        self.ben = self.server.person("ben", BEN, RUST)
        self.addCleanup(os.environ.pop, "WAXWING_RECEIPTS", None)
        os.environ["WAXWING_RECEIPTS"] = "true"

    def test_go_to_people_who_are_known(self):
        # They write to each other, and then both are known.
        self.ann.send(self.ben, "from Ann").check()
        self.ben.send(self.ann, "from Ben").check()
        self.assertEqual([each["text"] for each in self.ann.receive("--receipts")], ["from Ben"])
        self.assertEqual([each["text"] for each in self.ben.receive()], ["from Ann"])
        self.ann.receive("--timeout", "1")
        for person, other in ((self.ann, self.ben), (self.ben, self.ann)):
            with self.subTest(of=person.phone):
                (written,) = [each for each in person.history(other) if each["direction"] == "out"]
                self.assertEqual(written["status"], "delivered")
                self.assertIn("read_at", written)

    def test_go_to_no_stranger_and_not_without_being_wanted(self):
        self.ben.send(self.ann, "from a stranger").check()
        self.assertEqual(len(self.ann.receive("--receipts")), 1)
        self.ann.send(self.ben, "an answer").check()
        self.ben.send(self.ann, "from somebody who is known").check()
        self.assertEqual(len(self.ann.receive()), 1)
        self.assertEqual(rows(self.ann, "SELECT count(*) FROM sent WHERE kind = 2"), [(0,)])


class HistoryAndContacts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = RealServer()
        cls.addClassCleanup(cls.server.demolish)
        cls.ann = cls.server.person("ann", ANN, PYTHON)
        cls.ben = cls.server.person("ben", BEN, RUST)
        cls.ann.send(cls.ben, "one").check()
        cls.ben.receive()
        cls.ben.send(cls.ann, "two").check()
        cls.ann.receive()
        cls.ann.send(cls.ben, "three\x1b[2J").check()

    def test_history_says_the_same_in_both_clients(self):
        sides = [self.ann.history(self.ben), self.ben.history(self.ann)]
        self.ben.receive()
        sides[1] = self.ben.history(self.ann)
        ours = [(each["direction"], each["text"], each["uid"]) for each in sides[0]]
        turned = {"in": "out", "out": "in"}
        theirs = [(turned[each["direction"]], each["text"], each["uid"]) for each in sides[1]]
        self.assertEqual(ours, theirs)
        self.assertEqual([text for _, text, _ in ours], ["one", "two", "three\x1b[2J"])
        self.assertEqual([each["status"] for each in sides[0]], ["delivered", "received", "stored"])
        fields = lambda side: {each["direction"]: set(each) for each in side}
        self.assertEqual(fields(sides[0]), fields(sides[1]))

    def test_history_for_people_cannot_be_imitated(self):
        lines = self.ann.run("history", BEN).check().splitlines()
        self.assertRegex(lines[0], r"^\d{4}-\d\d-\d\d \d\d:\d\d me: one \[delivered\]$")
        self.assertRegex(lines[1], rf" \{BEN}: two$")
        self.assertIn("three\ufffd[2J [", lines[2])

    def test_contacts_are_those_whose_key_is_pinned(self):
        (line,) = self.ann.run("contacts", "--json").check().splitlines()
        contact = json.loads(line)
        (theirs,) = map(json.loads, self.ben.run("contacts", "--json").check().splitlines())
        self.assertEqual(contact["phone"], BEN)
        self.assertLess(set(contact), set(theirs))
        self.assertEqual((contact["verified"], contact["key_changed"]), (False, False))
        self.assertIn("not verified", self.ann.run("contacts").check())
        self.ann.verify(self.ben, "--match", self.ann.verify(self.ben).check()).check()
        self.assertNotIn("not verified", self.ann.run("contacts").check())


class ExitCodes(unittest.TestCase):
    """Both clients end with the code that README.md has for what went wrong."""

    @classmethod
    def setUpClass(cls):
        cls.server = RealServer()
        cls.addClassCleanup(cls.server.demolish)
        cls.people = [cls.server.person("ann", ANN, PYTHON), cls.server.person("ben", BEN, RUST)]

    def both(self, expected: int, name: str, *arguments):
        for person in self.people:
            with self.subTest(command=name, arguments=arguments, phone=person.phone):
                words = [person.phone if word is OWN else word for word in arguments]
                result = person.run(name, *words)
                self.assertEqual(result.code, expected, result.err)

    def register(self, expected: int, *arguments):
        self.both(expected, "register", "--server", self.server.address, *arguments)

    def test_are_the_same_in_both_clients(self):
        empty = self.server.directory / "empty"
        self.both(1, "receive", "--home", empty)
        self.both(1, "history", "--home", empty, STRANGER)
        self.both(2, "send", OWN, "to myself")
        self.both(2, "send", STRANGER, " ")
        self.both(2, "send", "12", "no phone")
        self.both(3, "send", STRANGER, "to nobody")
        self.both(3, "verify", STRANGER)
        self.both(1, "verify", STRANGER, "--accept", "1" * 60)
        self.both(2, "verify", STRANGER, "--accept", "12345")
        self.both(7, "receive")
        self.both(0, "history", STRANGER)
        self.both(0, "contacts")
        self.register(78, "--server-key", empty / "none.pem", OWN)
        self.register(1, "--server-key", self.server.key, STRANGER)
        self.register(3, "--server-key", self.server.key, "--home", self.server.directory / "new", ANN)
        self.register(74, "--server-key", self.server.key, "--home", "/dev/null/home", STRANGER)
        self.both(2, "register", "--server", "nowhere", "--server-key", self.server.key, OWN)

    def test_of_a_letter_that_is_stored_and_not_delivered(self):
        for person in self.people:
            other = next(each for each in self.people if each is not person)
            result = person.send(other, "hello", "--wait", "delivered", "--timeout", "2")
            self.assertEqual((result.code, result.out[:6]), (7, "stored"))

    def test_while_the_server_is_away(self):
        for person in self.people:
            person.receive()
            for other in self.people:
                if other is not person:
                    person.verify(other).check()
        self.server.stop()
        try:
            self.both(3, "receive")
            self.both(3, "send", "--timeout", "0", STRANGER, "hello")
            for person in self.people:
                for other in self.people:
                    if other is not person:
                        self.assertEqual(person.verify(other).code, 0)
            self.both(1, "verify", STRANGER)
        finally:
            self.server.start()

    def test_of_whoever_interrupts_a_question_to_the_server(self):
        ann = self.people[0]
        self.server.process.send(signal.SIGSTOP)
        try:
            asking = Process(*ann.command("verify", STRANGER))
            wait_until(lambda: has_session(ann))
            self.assertEqual(asking.stop(signal.SIGINT), 130)
        finally:
            self.server.process.send(signal.SIGCONT)


class ManyLetters(unittest.TestCase):
    """More than a window, and more than may be unanswered."""

    COUNT = 300

    @classmethod
    def setUpClass(cls):
        cls.server = RealServer()
        cls.addClassCleanup(cls.server.demolish)
        cls.ann = cls.server.person("ann", ANN, PYTHON)
        cls.ben = cls.server.person("ben", BEN, RUST)
        cls.cy = cls.server.person("cy", "+335550003", PYTHON)

    def send_many(self, to):
        home = Home(str(self.ann.home))
        for number in range(self.COUNT):
            uid = crypto.random_bytes(16)
            home.enqueue(to.phone, envelope.Content(uid, envelope.TEXT, b"%d" % number))
        home.close()
        self.ann.send(to, "last").check()

    def expected(self):
        return [str(number) for number in range(self.COUNT)] + ["last"]

    def test_come_to_the_other_client_in_their_order(self):
        self.send_many(self.ben)
        self.assertEqual([each["text"] for each in self.ben.receive()], self.expected())

    def received(self) -> int:
        return rows(self.cy, "SELECT count(*) FROM received")[0][0]

    def test_come_once_to_a_client_that_is_killed_again_and_again(self):
        self.send_many(self.cy)
        kills = 0
        while (before := self.received()) <= self.COUNT:
            following = self.cy.follow()
            wait_until(lambda before=before: self.received() > before)
            following.stop(signal.SIGKILL)
            kills += 1
        self.assertGreater(kills, 0)
        self.cy.receive("--timeout", "1")
        texts = rows(self.cy, "SELECT body FROM received ORDER BY number")
        self.assertEqual([text.decode() for (text,) in texts], self.expected())


class AServerThatChanges(unittest.TestCase):
    CONFIG = ""

    def setUp(self):
        self.server = RealServer(self.CONFIG)
        self.addCleanup(self.server.demolish)

    def test_letters_wait_while_the_server_is_away(self):
        ann = self.server.person("ann", ANN, PYTHON)
        ben = self.server.person("ben", BEN, RUST)
        ben.send(ann, "before").check()
        self.server.stop()
        result = ann.send(ben, "meanwhile", "--timeout", "0")
        self.assertEqual((result.code, result.out[:6]), (3, "queued"))
        self.assertEqual(ann.run("receive").code, 3)
        self.server.start()
        self.assertEqual([each["text"] for each in ann.receive()], ["before"])
        self.assertEqual([each["text"] for each in ben.receive()], ["meanwhile"])

    def test_a_session_comes_back_when_the_server_does(self):
        ann = self.server.person("ann", ANN, PYTHON)
        ben = self.server.person("ben", BEN, RUST)
        following = ann.follow()
        try:
            wait_until(lambda: "session confirmed" in self.server.log)
            self.server.stop()
            self.server.start()
            ben.send(ann, "still there").check()
            self.assertEqual(json.loads(following.line())["text"], "still there")
        finally:
            self.assertEqual(following.stop(), 0)

    def test_a_changed_key_holds_back_until_it_is_accepted(self):
        ann = self.server.person("ann", ANN, PYTHON)
        ben = self.server.person("ben", BEN, RUST)
        ann.send(ben, "one").check()
        ben.receive()
        self.server.stop()
        self.server.remove_user(BEN)
        self.server.start()
        ben = self.server.person("ben-again", BEN, RUST)
        ben.send(ann, "it is me").check()
        self.assertEqual(ann.verify(ben).code, 4)
        result = ann.send(ben, "two")
        self.assertEqual((result.code, result.out[:6]), (4, "queued"))
        self.assertEqual(ann.receive(), [])
        number = ben.verify(ann).check()
        last = str((int(number[-1]) + 1) % 10)
        self.assertEqual(ann.verify(ben, "--accept", number[:-1] + last).code, 4)
        self.assertEqual(ann.receive(), [])
        # Whatever the server would say now, nobody has compared: it is not asked.
        self.server.stop()
        self.assertEqual(ann.verify(ben, "--accept", number).check(), number)
        self.server.start()
        self.assertEqual([each["text"] for each in ann.receive()], ["it is me"])
        self.assertEqual([each["text"] for each in ben.receive()], ["two"])

    def test_an_account_that_was_removed_is_believed_after_three_refusals(self):
        ann = self.server.person("ann", ANN, PYTHON)
        self.server.stop()
        self.server.remove_user(ANN)
        self.server.start()
        result = ann.run("receive")
        self.assertEqual(result.code, 3)
        self.assertIn("the server does not know this account", result.err)
        self.assertEqual(self.server.log.count("code=BadSignature"), 3)
        # Somebody else has the phone meanwhile: registering again says so, and what to do.
        self.server.person("elsewhere", ANN, RUST)
        self.assertIn("registered the phone from another home", ann.run("receive").err)
        again = ann.register()
        self.assertEqual(again.code, 3)
        self.assertIn("has an account already, with another key", again.err)

    def test_another_server_is_not_trusted(self):
        ann = self.server.person("ann", ANN, PYTHON)
        other = RealServer()
        self.addCleanup(other.demolish)
        self.assertEqual(ann.run("receive", "--server", other.address).code, 4)
        ann.server = other
        refused = ann.register()
        self.assertEqual(refused.code, 4)
        # Only the key that was shown is taken; then the account, which this server has not, is made.
        wrong = ann.register("--accept-server-key", "0" * 64)
        self.assertEqual(wrong.code, 4)
        fingerprint = re.search(r"In the file: ([0-9a-f]{64})", refused.err)[1]
        # What the key before has announced does not follow the one that was taken by hand.
        home = Home(str(ann.home))
        self.addCleanup(home.close)
        home.put(successor=home.key.public.spki, effective=0)
        again = ann.register("--accept-server-key", fingerprint)
        self.assertEqual(again.check(), f"registered {ANN} as 1")
        self.assertIn("does not know this account", again.err)
        self.assertIsNone(home.successor)
        ben = other.person("ben", BEN, RUST)
        ann.send(ben, "from here on").check()
        self.assertEqual([each["text"] for each in ben.receive()], ["from here on"])

    def test_an_address_is_remembered_once_the_server_has_answered_there(self):
        ann = self.server.person("ann", ANN, PYTHON)
        other = RealServer()
        self.addCleanup(other.demolish)
        for wrong in (other.address, "127.0.0.1:1"):
            self.assertIn(ann.run("receive", "--server", wrong, "--timeout", "1").code, (3, 4))
            self.assertEqual(ann.run("receive").code, 7)
        self.server.stop()
        self.server.address = "127.0.0.1:0"
        self.server.start()
        self.assertEqual(ann.run("receive", "--server", self.server.address).code, 7)
        self.assertEqual(ann.run("receive").code, 7)

    def test_a_server_with_several_addresses_is_found_at_the_one_that_serves(self):
        ann = self.server.person("ann", ANN, PYTHON)
        # One refuses connections, the other takes them and says nothing any more.
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        threading.Thread(target=lambda: silent.accept()[0].close(), daemon=True).start()
        ends = f"127.0.0.1:{silent.getsockname()[1]}"
        servers = f"127.0.0.1:1, {ends}, {self.server.address}"
        self.assertEqual(ann.run("receive", "--server", servers).code, 7)
        # It is tried first from now on.
        home = Home(str(ann.home))
        self.addCleanup(home.close)
        self.assertEqual(home.servers, [self.server.address, "127.0.0.1:1", ends])
        self.server.stop()
        failed = ann.run("receive", "--server", "127.0.0.1:1,127.0.0.1:2", "--timeout", "1")
        self.assertEqual(failed.code, 3)
        self.assertRegex(failed.err, "127.0.0.1:1: .*, nor 127.0.0.1:2: ")
        for wrong in ("127.0.0.1:1,", "127.0.0.1:1,127.0.0.1:1", ",".join(f"a:{n}" for n in range(9))):
            self.assertEqual(ann.run("receive", "--server", wrong).code, 2)

    def test_registering_again_asks_the_server(self):
        ann = self.server.person("ann", ANN, PYTHON)
        self.assertEqual(ann.register().check(), f"registered {ANN} as 1")
        self.server.stop()
        self.assertEqual(ann.register().code, 3)
        self.server.start()

    def test_an_account_that_the_server_has_lost_comes_back_under_the_same_key(self):
        ann = self.server.person("ann", ANN, PYTHON)
        ben = self.server.person("ben", BEN, RUST)
        ann.send(ben, "before").check()
        self.assertEqual([each["text"] for each in ben.receive()], ["before"])
        number = ann.verify(ben).check()
        self.server.stop()
        self.server.remove_user(ANN)
        self.server.start()
        self.assertEqual(ann.register().check(), f"registered {ANN} as 3")
        ann.send(ben, "after").check()
        self.assertEqual([each["text"] for each in ben.receive()], ["after"])
        self.assertEqual(ben.verify(ann).check(), number)

    def test_a_follower_gives_up_a_server_with_another_key(self):
        ann = self.server.person("ann", ANN, PYTHON)
        other = RealServer()
        self.addCleanup(other.demolish)
        result = ann.run("receive", "--follow", "--server", other.address)
        self.assertEqual(result.code, 4)
        self.assertIn("not signed with the server's key", result.err)

    def test_who_stands_still_with_the_session_is_named(self):
        ann = self.server.person("ann", ANN, PYTHON)
        following = ann.follow()
        try:
            lock = ann.home / "session.lock"
            # It writes its number down after it has taken the lock.
            wait_until(lambda: has_session(ann) and lock.read_text() == str(following.pid))
            following.send(signal.SIGSTOP)
            old = lock.stat().st_mtime - 60
            os.utime(lock, (old, old))
            result = ann.run("receive", "--timeout", "5")
            self.assertEqual(result.code, 3)
            self.assertIn(f"process {following.pid} (", result.err)
        finally:
            following.send(signal.SIGCONT)
            self.assertEqual(following.stop(), 0)

    def test_nobody_registers_while_another_process_has_the_session(self):
        ann = self.server.person("ann", ANN, PYTHON)
        following = ann.follow()
        try:
            wait_until(lambda: has_session(ann))
            refused = ann.register()
            self.assertEqual(refused.code, 1)
            self.assertIn("another process has the session", refused.err)
        finally:
            following.stop()
        self.assertEqual(ann.register().check(), f"registered {ANN} as 1")

    def test_two_processes_print_each_letter_once(self):
        ann = self.server.person("ann", ANN, PYTHON)
        ben = self.server.person("ben", BEN, RUST)
        followers = [ann.follow(), ann.follow()]
        try:
            texts = [f"letter {number}" for number in range(20)]
            for text in texts:
                ben.send(ann, text, "--wait", "delivered").check()
            wait_until(lambda: sum(follower.waiting for follower in followers) >= len(texts))
        finally:
            printed = [json.loads(line)["text"] for f in followers for line in f.drain()]
        self.assertEqual(sorted(printed), sorted(texts))


class CodesByAnotherWay(unittest.TestCase):
    def setUp(self):
        self.server = RealServer('[otp]\ndelivery = "console"\n')
        self.addCleanup(self.server.demolish)
        self.ann = self.server.person("ann", ANN, PYTHON, register=False)

    def code(self) -> str:
        found = []
        wait_until(lambda: found.extend(re.findall(r"\b\d{6}\b(?!Z)", self.codes())) or found)
        return found[-1]

    def codes(self) -> str:
        """The lines of the log that are no entries of it."""
        return "\n".join(line for line in self.server.log.splitlines() if " INFO " not in line)

    def test_a_code_is_typed_in(self):
        self.assertEqual(self.ann.register().code, 6)
        code = self.code()
        wrong = "000000" if code != "000000" else "111111"
        self.assertEqual(self.ann.register("--otp", wrong).code, 6)
        # A number that was mistyped does not spoil the code of the right one.
        right, self.ann.phone = self.ann.phone, BEN
        result = self.ann.register("--otp", code)
        self.assertEqual(result.code, 6)
        self.assertIn("nothing was done: a code was asked for " + ANN, result.err)
        self.ann.phone = right
        self.assertEqual(self.ann.register("--otp", code).check(), f"registered {ANN} as 1")
        self.assertEqual(self.ann.register().check(), f"registered {ANN} as 1")

    def test_an_account_whose_answer_got_lost_is_found_again(self):
        self.ann.register()
        self.ann.register("--otp", self.code()).check()
        # As if the process had died before the 201 came.
        home = Home(str(self.ann.home))
        home.put(user_id=None, reply_key=bytes(32), proved=1)
        home.close()
        self.assertEqual(self.ann.register().check(), f"registered {ANN} as 1")


if __name__ == "__main__":
    unittest.main()
