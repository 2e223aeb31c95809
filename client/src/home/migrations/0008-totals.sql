-- What the letters of a quota take up, of each sender and of all (for whom sender is empty), so that nothing
-- is counted for each letter that comes. Kept by triggers: no way of changing letters can forget it.
CREATE TABLE quota_totals (
    quota   TEXT NOT NULL,
    sender  TEXT NOT NULL,
    letters INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    PRIMARY KEY (quota, sender)
) STRICT, WITHOUT ROWID;

INSERT INTO quota_totals (quota, sender, letters, bytes)
SELECT quota, '', count(*), sum(bytes) FROM letters WHERE quota IS NOT NULL GROUP BY quota
UNION ALL
SELECT quota, sender, count(*), sum(bytes) FROM letters
WHERE quota IS NOT NULL AND sender IS NOT NULL GROUP BY quota, sender;

CREATE TRIGGER letter_begins_to_count AFTER INSERT ON letters WHEN new.quota IS NOT NULL BEGIN
    INSERT INTO quota_totals (quota, sender, letters, bytes)
    SELECT new.quota, column1, 1, new.bytes FROM (VALUES (''), (new.sender)) WHERE column1 IS NOT NULL
    ON CONFLICT DO UPDATE SET letters = letters + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER letter_counts_no_more AFTER DELETE ON letters WHEN old.quota IS NOT NULL BEGIN
    UPDATE quota_totals SET letters = letters - 1, bytes = bytes - old.bytes
    WHERE quota = old.quota AND sender IN ('', old.sender);
    DELETE FROM quota_totals WHERE quota = old.quota AND sender IN ('', old.sender) AND letters = 0;
END;
CREATE TRIGGER letter_counts_otherwise
AFTER UPDATE OF quota, sender, content, text_bytes, packet ON letters
WHEN old.quota IS NOT new.quota OR old.sender IS NOT new.sender OR old.bytes <> new.bytes BEGIN
    UPDATE quota_totals SET letters = letters - 1, bytes = bytes - old.bytes
    WHERE quota = old.quota AND sender IN ('', old.sender);
    INSERT INTO quota_totals (quota, sender, letters, bytes)
    SELECT new.quota, column1, 1, new.bytes FROM (VALUES (''), (new.sender))
    WHERE column1 IS NOT NULL AND new.quota IS NOT NULL
    ON CONFLICT DO UPDATE SET letters = letters + 1, bytes = bytes + excluded.bytes;
    DELETE FROM quota_totals WHERE quota = old.quota AND sender IN ('', old.sender) AND letters = 0;
END;

-- The oldest letter of a quota that was printed: the next one to go.
CREATE INDEX letters_to_go ON letters (quota, id) WHERE quota IS NOT NULL AND printed = 1;
