"""How long the client waits: PROTOCOL.md, "Retry rules"; and how long it takes to leave."""

import unittest
from unittest import mock

from waxwing_py.backoff import Backoff
from waxwing_py.connection import State
from waxwing_py.holder import SessionHolder


class Waiting(unittest.TestCase):
    def test_it_doubles_from_a_second_to_five_minutes_in_its_upper_half(self):
        backoff = Backoff()
        for longest in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300):
            wait = backoff.failed()
            self.assertTrue(longest / 2 <= wait <= longest, (longest, wait))

    def test_a_longer_advice_replaces_it_up_to_five_minutes(self):
        self.assertEqual(Backoff().failed(60), 60)
        self.assertEqual(Backoff().failed(65_535), 300)

    def test_success_begins_anew(self):
        backoff = Backoff()
        for _ in range(9):
            backoff.failed()
        backoff.reset()
        self.assertLessEqual(backoff.failed(), 1)


class Silence:
    """A line to a server that does not answer a goodbye. Its own connection, and its own clock."""

    state = State.ONLINE
    conn = property(lambda self: self)
    now = 1_000.0

    def leave(self):
        self.state = State.LEAVING

    def move(self, wait: float):
        self.now += wait

    def monotonic(self) -> float:
        return self.now


class Leaving(unittest.TestCase):
    def test_a_server_that_does_not_answer_keeps_nobody_for_long(self):
        holding = SessionHolder(None, print)
        holding._turn = lambda conn, session: None
        for deadline, least, most in ((1_000.0, 0.1, 0.9), (float("inf"), 1, 5)):
            line = Silence()
            with mock.patch("waxwing_py.holder.time", line):
                holding._leave(line, None, deadline)
            self.assertTrue(least <= line.now - Silence.now <= most, line.now)
