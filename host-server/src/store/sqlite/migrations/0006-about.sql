-- What a program has to know before it uses this file: the oldest schema that a program may know for
-- that, and the version that has written it last.
CREATE TABLE about (
    one        INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    schema     INTEGER NOT NULL,
    min_reader INTEGER NOT NULL,
    written_by TEXT NOT NULL
) STRICT;

INSERT INTO about VALUES (1, 6, 6, '');

-- When older states of this file came back. Until the moment in the second column, a letter that is
-- not there may be one that was lost.
CREATE TABLE restores (
    number                INTEGER PRIMARY KEY NOT NULL,
    restored_at           INTEGER NOT NULL,
    letters_missing_until INTEGER NOT NULL
) STRICT;
