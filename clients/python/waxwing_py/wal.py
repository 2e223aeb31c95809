"""SQLite's write-ahead log, read without SQLite ("WAL-mode File Format" in SQLite's documentation).

SQLite takes the first page that is not whole for the end of its log, and writes over all that is behind it.
A power cut leaves such a page in the last transaction. A page that a disk has changed hides transactions that
were stored.
"""

import struct
from pathlib import Path

HEADER = 32
FRAME_HEADER = 24
# The last bit says that checksums take bytes for big-endian numbers.
MAGIC = 0x377F0682
# Sizes of a page, and the one that SQLite gives them.
PAGES = [2**bits for bits in range(9, 17)]
USUAL_PAGE = 4096


class _Log:
    def __init__(self, data: bytes):
        self.data = data
        self.header = data[:HEADER]
        self.order = ">" if data[3:4] and data[3] & 1 else "<"
        self.page = struct.unpack_from(">I", data, 8)[0] if len(data) >= HEADER else 0
        self.size = FRAME_HEADER + self.page

    def sum(self, parts: tuple[bytes, ...], sums: tuple[int, int]) -> tuple[int, int]:
        first, second = sums
        for part in parts:
            for one, other in struct.iter_unpack(self.order + "II", part[: len(part) // 8 * 8]):
                first = (first + one + second) & 0xFFFFFFFF
                second = (second + other + first) & 0xFFFFFFFF
        return first, second

    def is_log(self) -> bool:
        if len(self.header) < HEADER or self.page not in PAGES:
            return False
        return self.is_good(self.header)

    def is_good(self, header: bytes) -> bool:
        magic = struct.unpack_from(">I", header)[0] & ~1
        return magic == MAGIC and self.sum((header[:24],), (0, 0)) == self.written(header)

    def is_half_begun(self) -> bool:
        """A full disk may take a part of the next header, in the place of this one: SQLite counts two numbers in it on
        by one."""
        count, salt = (
            (number - 1 & 0xFFFFFFFF).to_bytes(4, "big")
            for number in struct.unpack_from(">II", self.header, 12)
        )
        former = self.header[:12] + count + self.header[16:]
        return self.is_good(former) or self.data[HEADER + 8 : HEADER + 12] == salt

    @staticmethod
    def written(end: bytes) -> tuple[int, int]:
        return struct.unpack(">II", end[-8:])

    def frames(self):
        """Of each frame: whether it is of this log, whether a transaction ends with it, its header and page."""
        for start in range(HEADER, len(self.data) - self.size + 1, self.size):
            head = self.data[start : start + FRAME_HEADER]
            is_ours = head[8:16] == self.header[16:24]
            yield is_ours, is_ours and head[4:8] != bytes(4), head, self.data[
                start + FRAME_HEADER : start + self.size
            ]

    def is_hidden_by_header(self) -> bool:
        """A header is written at once, and before all pages: one that has changed hides what is behind it."""
        size = self.size if self.page in PAGES else FRAME_HEADER + USUAL_PAGE
        if len(self.data) < HEADER + size or self.header == bytes(HEADER) or self.is_half_begun():
            return False
        ours = self.data[HEADER + 8 : HEADER + 16]
        for start in range(HEADER, len(self.data) - size + 1, size):
            if self.data[start + 8 : start + 16] != ours:
                return False
            if self.data[start + 4 : start + 8] != bytes(4):
                return True
        return False

    def whole_pages_before_damage(self) -> int | None:
        if not self.is_log():
            return 0 if self.is_hidden_by_header() else None
        whole, is_torn, follows = 0, False, False
        before: tuple[int, int] | None = self.written(self.header)
        for is_ours, is_end, head, page in self.frames():
            is_whole = (
                is_ours
                and before is not None
                and self.sum((head[:8], page), before) == self.written(head)
            )
            before = self.written(head) if is_ours else None
            if not is_torn and is_whole:
                whole += 1
                continue
            if not is_torn:
                is_torn, is_whole = True, False
            if follows and is_whole and is_end:
                return whole
            follows = (follows and is_whole) or is_end
        return None


def is_damaged(database: Path) -> bool:
    """Whether changes that were stored are hidden in the log of this database. Other processes may write to it:
    what looks damaged is looked at again."""
    log = database.with_name(database.name + "-wal")
    try:
        first = _Log(log.read_bytes())
        found = first.whole_pages_before_damage()
        if found is None:
            return False
        second = _Log(log.read_bytes())
        return second.header == first.header and second.whole_pages_before_damage() == found
    except FileNotFoundError:
        return False
