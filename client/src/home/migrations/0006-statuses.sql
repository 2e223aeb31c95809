-- The change of its conversation with which something else became known of a letter written here, so that
-- a program can be told of each such change, whoever made it.

ALTER TABLE outbox ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbox_by_change ON outbox (changed) WHERE changed > 0;

DROP TRIGGER written_item_changes;
CREATE TRIGGER written_item_changes AFTER UPDATE OF state, not_before, read_at ON outbox
WHEN new.item IS NOT NULL BEGIN
    UPDATE conversations SET changed = (SELECT max(changed) + 1 FROM conversations)
    WHERE phone = new.recipient;
    UPDATE outbox SET changed = (SELECT changed FROM conversations WHERE phone = new.recipient)
    WHERE id = new.id;
END;
