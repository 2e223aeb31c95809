-- Letters that were found damaged, as they lie there, for whoever looks into it. There is nothing
-- that a damaged value could violate.
CREATE TABLE damaged_messages (
    queue_id          INTEGER PRIMARY KEY,
    message_id,
    sender_id,
    recipient_id,
    timestamp,
    accepted_at,
    signature,
    set_aside_at,
    encrypted_payload
);
