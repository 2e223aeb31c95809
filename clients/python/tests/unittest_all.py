"""Runs every test here. Fails if one fails, and also if one was skipped or none was found."""

import sys
import unittest

tests = unittest.defaultTestLoader.discover(".", top_level_dir=".")
result = unittest.TextTestRunner(verbosity=2).run(tests)
for test, reason in result.skipped:
    print(f"SKIPPED: {test}: {reason}", file=sys.stderr)
complete = result.wasSuccessful() and not result.skipped and result.testsRun > 0
sys.exit(0 if complete else 1)
