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
SELECT session_key, agent_id, principal, created_at, last_active_at, label
FROM sessions WHERE session_key = :session_key;

-- name: list_sessions
-- A page, most recently active first, after the last row of the page before.
SELECT session_key, agent_id, principal, created_at, last_active_at, label
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

-- name: set_label
-- What people call it; its key stays.
UPDATE sessions SET label = :label WHERE session_key = :session_key;

-- name: expect_idle
-- Writes what is there already: only whether a row was touched counts.
UPDATE sessions SET label = label WHERE session_key = :session_key AND NOT EXISTS (
  SELECT 1 FROM inputs WHERE inputs.session_key = :session_key
    AND state IN ('queued', 'running', 'waiting'));

-- name: clear_transcript
-- The next turn starts at position 0.
DELETE FROM entries WHERE session_key = :session_key;

-- name: cut_transcript
-- The next turn goes on at the position.
DELETE FROM entries WHERE session_key = :session_key AND position >= :position AND NOT EXISTS (
  SELECT 1 FROM entries later
  WHERE later.session_key = :session_key AND later.position >= :revision);

-- name: move_entries
-- Positions stay; the primary key refuses a target that has its own.
UPDATE entries SET session_key = :to WHERE session_key = :session_key;

-- name: move_contents
-- Who deletes the session deletes these words.
UPDATE contents SET session_key = :session_key
WHERE content_id IN (SELECT content_id FROM entries WHERE session_key = :session_key);

-- name: move_inputs
-- Those that were merged go where they were answered.
UPDATE inputs SET session_key = :to WHERE session_key = :session_key AND (
  turn_id IN (SELECT turn_id FROM entries WHERE entries.session_key = :to)
  OR merged_into IN (SELECT turn_id FROM entries WHERE entries.session_key = :to))
  AND state NOT IN ('queued', 'running', 'waiting');

-- name: blank_session
-- Everything points at contents, so this is everywhere; the condition repeats the partial index's.
UPDATE contents SET body = NULL WHERE session_key = :session_key AND body IS NOT NULL;

-- name: drop_runs
-- A turn's run has the turn's id.
DELETE FROM runs WHERE run_id IN (SELECT turn_id FROM inputs WHERE session_key = :session_key);

-- name: drop_session
-- Inputs, deliveries and events stay, without words.
DELETE FROM sessions WHERE session_key = :session_key;

-- name: sessions_of_agent
-- A page of one agent's.
SELECT session_key, agent_id, principal, created_at, last_active_at, label
FROM sessions WHERE (last_active_at, session_key) < (:before_at, :before_key)
  AND agent_id = :agent_id
ORDER BY last_active_at DESC, session_key DESC LIMIT :limit;

-- name: sessions_of_principal
-- A page of one owner's.
SELECT session_key, agent_id, principal, created_at, last_active_at, label
FROM sessions WHERE principal = :principal
  AND (last_active_at, session_key) < (:before_at, :before_key)
  AND (:agent_id = '' OR agent_id = :agent_id)
ORDER BY last_active_at DESC, session_key DESC LIMIT :limit;

-- name: kept_sessions
-- By owner, which has an index; few of one owner's are kept.
SELECT s.session_key, s.label, s.last_active_at AS at,
  (SELECT count(*) FROM entries e WHERE e.session_key = s.session_key) AS entries
FROM sessions s WHERE s.principal = :principal
  AND substr(s.session_key, 1, length(:prefix)) = :prefix
ORDER BY s.last_active_at DESC, s.session_key DESC LIMIT :limit;

-- name: history_page
-- The newest entries first, because that is what people look at.
SELECT e.position, e.turn_id, e.at, c.body
FROM entries e LEFT JOIN contents c ON c.content_id = e.content_id
WHERE e.session_key = :session_key AND e.position < :before
ORDER BY e.position DESC LIMIT :limit;

-- name: last_entry_of_turn
-- From the end, where a turn somebody asks about usually is.
SELECT e.position, e.turn_id, e.at, c.body
FROM entries e LEFT JOIN contents c ON c.content_id = e.content_id
WHERE e.session_key = :session_key AND e.turn_id = :turn_id
ORDER BY e.position DESC LIMIT 1;
