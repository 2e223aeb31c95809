#!/bin/sh
# Answers a letter with its own words:
#
#     waxwing receive --follow --exec client/examples/echo.sh
#
# The letter is on standard input. Under its key the answer goes out once, however often this runs for the
# letter. WAXWING names the program, if it is not `waxwing`.
exec "${WAXWING:-waxwing}" --home "$LETTER_HOME" send --key "echo $LETTER_FROM $LETTER_UID" "$LETTER_FROM" -
