"""How long the client waits. PROTOCOL.md, "Retry rules"."""

import unittest

from waxwing_py.backoff import Backoff


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


if __name__ == "__main__":
    unittest.main()
