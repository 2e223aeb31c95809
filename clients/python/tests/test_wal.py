"""A home whose log has changed on the disk."""

import shutil
import sqlite3
import struct
import tempfile
import threading
import unittest
from pathlib import Path

from waxwing_py import wal
from waxwing_py.home import Home
from waxwing_py.schema import StorageError


class Log(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.home = self.directory / "home"
        Home(self.home, create=True).close()

    def write(self, db, numbers):
        for number in numbers:
            db.execute("INSERT INTO words VALUES (?, zeroblob(5000))", (number,))

    def open(self):
        db = sqlite3.connect(self.home / "waxwing-py.db", isolation_level=None)
        self.addCleanup(db.close)
        db.execute("CREATE TABLE IF NOT EXISTS words (number, room)")
        return db

    def killed(self):
        """The home as a process leaves it that is killed."""
        killed = self.directory / "killed"
        shutil.rmtree(killed, ignore_errors=True)
        shutil.copytree(self.home, killed)
        return killed

    def test_a_change_is_refused_before_it_hides_what_was_stored(self):
        self.write(self.open(), range(10))
        whole = (self.home / "waxwing-py.db-wal").read_bytes()
        for from_end, is_damaged in ((len(whole) // 2, True), (len(whole) - 40, True), (100, False)):
            killed = self.killed()
            changed = bytearray(whole)
            changed[len(whole) - from_end] ^= 1
            log = killed / "waxwing-py.db-wal"
            log.write_bytes(changed)
            if is_damaged:
                with self.assertRaisesRegex(StorageError, "is damaged.*nothing was changed"):
                    Home(killed)
                self.assertEqual(log.read_bytes(), changed)
            else:
                # What a power cut tears is a part of the last transaction.
                Home(killed).close()
                rest = sqlite3.connect(killed / "waxwing-py.db")
                self.assertEqual(rest.execute("SELECT count(*) FROM words").fetchone(), (9,))
                rest.close()

    def test_a_changed_header_hides_all_of_the_log(self):
        self.write(self.open(), range(3))
        whole = (self.home / "waxwing-py.db-wal").read_bytes()
        database = self.directory / "copy"
        copy = self.directory / "copy-wal"
        for at in range(wal.HEADER):
            changed = bytearray(whole)
            changed[at] ^= 0x40
            copy.write_bytes(changed)
            self.assertTrue(wal.is_damaged(database), at)
        # A full disk has taken half of the next one.
        count = struct.unpack_from(">I", whole, 12)[0] + 1
        copy.write_bytes(whole[:12] + struct.pack(">I", count) + whole[16:])
        self.assertFalse(wal.is_damaged(database))
        # One that was never written hides nothing.
        copy.write_bytes(bytes(wal.HEADER) + whole[wal.HEADER :])
        self.assertFalse(wal.is_damaged(database))

    def test_a_log_that_was_cut_off_is_not_damaged(self):
        self.write(self.open(), range(10))
        database = self.home / "waxwing-py.db"
        log = self.home / "waxwing-py.db-wal"
        whole = log.read_bytes()
        self.assertFalse(wal.is_damaged(database))
        copy = self.directory / "copy-wal"
        for length in (*range(0, 60), *range(60, len(whole), 1777)):
            copy.write_bytes(whole[:length])
            self.assertFalse(wal.is_damaged(self.directory / "copy"), length)
        self.assertFalse(wal.is_damaged(self.directory / "none"))

    def test_a_log_that_others_write_to_meanwhile_is_not_damaged(self):
        database = self.home / "waxwing-py.db"

        def write():
            db = sqlite3.connect(database, isolation_level=None)
            self.write(db, range(100))
            db.close()

        self.open()
        writing = threading.Thread(target=write)
        writing.start()
        while writing.is_alive():
            self.assertFalse(wal.is_damaged(database))
        writing.join()


if __name__ == "__main__":
    unittest.main()
