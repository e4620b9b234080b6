-- name: put_content
-- A body under a fresh id.
INSERT INTO contents (content_id, session_key, body) VALUES (:content_id, :session_key, :body);

-- name: touch_session
-- New, or active again; the owner stays who made it.
INSERT INTO sessions (session_key, agent_id, principal, created_at, last_active_at)
VALUES (:session_key, :agent_id, :principal, :at, :at)
ON CONFLICT (session_key) DO UPDATE SET last_active_at = excluded.last_active_at;

-- name: append_entry
-- The primary key refuses a position taken by another turn.
INSERT INTO entries (session_key, position, turn_id, content_id, at)
VALUES (:session_key, :position, :turn_id, :content_id, :at);

-- name: get_session
-- One session by its key.
SELECT session_key, agent_id, principal, created_at, last_active_at
FROM sessions WHERE session_key = :session_key;

-- name: list_sessions
-- A page, most recently active first, after the last row of the page before.
SELECT session_key, agent_id, principal, created_at, last_active_at
FROM sessions WHERE (last_active_at, session_key) < (:before_at, :before_key)
ORDER BY last_active_at DESC, session_key DESC LIMIT :limit;

-- name: load_body
-- The words an event points at, when another batch wrote them.
SELECT body FROM contents WHERE content_id = :content_id;

-- name: load_transcript
-- All entries of a session with their words.
SELECT e.position, e.turn_id, e.content_id, c.body
FROM entries e LEFT JOIN contents c ON c.content_id = e.content_id
WHERE e.session_key = :session_key ORDER BY e.position;
