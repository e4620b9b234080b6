-- name: raise_head
-- Last statement of a batch but the inserts: numbers follow the order of commits.
UPDATE log_head SET seq = seq + :count WHERE id = 1 RETURNING seq;

-- name: append_event
-- An entry with the number it was given.
INSERT INTO events (seq, at, kind, session_key, agent_id, turn_id, data, content_id)
VALUES (:seq, :at, :kind, :session_key, :agent_id, :turn_id, :data, :content_id);

-- name: read_events
-- A page after a number, with the words that are still there.
SELECT e.seq, e.at, e.kind, e.session_key, e.agent_id, e.turn_id, e.data, e.content_id, c.body
FROM events e LEFT JOIN contents c ON c.content_id = e.content_id AND e.content_id <> ''
WHERE e.seq > :after ORDER BY e.seq LIMIT :limit;

-- name: get_log_bounds
-- What is gone and what is newest.
SELECT floor, seq FROM log_head WHERE id = 1;
