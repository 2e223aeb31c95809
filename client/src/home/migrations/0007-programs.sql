-- When a program has last said that it is done with something: by that its owner sees which ones do not
-- come back.
ALTER TABLE consumers ADD COLUMN acknowledged_at INTEGER;

-- The name of what a program has sent stays as long as the letter, and some time longer.
ALTER TABLE sent_keys ADD COLUMN is_letter_gone INTEGER NOT NULL DEFAULT 0 CHECK (is_letter_gone IN (0, 1));
UPDATE sent_keys SET is_letter_gone = 1 WHERE uid NOT IN (SELECT uid FROM outbox);
CREATE INDEX sent_keys_by_letter ON sent_keys (uid);
CREATE INDEX sent_keys_by_age ON sent_keys (sent_at) WHERE is_letter_gone = 1;
CREATE TRIGGER named_letter_goes AFTER DELETE ON outbox BEGIN
    UPDATE sent_keys SET is_letter_gone = 1 WHERE uid = old.uid;
END;
