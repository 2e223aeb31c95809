"""How long to wait before the next attempt. PROTOCOL.md, "Retry rules"."""

import random

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 300.0


class Backoff:
    def __init__(self):
        self._next = FIRST_SECONDS

    def reset(self):
        self._next = FIRST_SECONDS

    def failed(self, retry_after_s: int = 0) -> float:
        """Seconds to wait after one more failure."""
        wait = random.uniform(self._next / 2, self._next)
        self._next = min(2 * self._next, LONGEST_SECONDS)
        return max(wait, min(retry_after_s, LONGEST_SECONDS))
