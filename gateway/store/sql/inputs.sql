-- name: accept_input
-- Queued, unless the session's mailbox is full; the condition repeats the partial index's. What was
-- accepted before goes on to the unique key: a full mailbox must not make a duplicate look new.
INSERT INTO inputs (turn_id, session_key, agent_id, channel, account, external_id, principal,
  route_key, agent_override, source, barrier, destination, content_id, explanation, state,
  accepted_at, expires_at)
SELECT :turn_id, :session_key, :agent_id, :channel, :account, :external_id, :principal,
  :route_key, :agent_override, :source, :barrier, :destination, :content_id, :explanation, 'queued',
  :at, :expires_at
WHERE (SELECT count(*) FROM inputs WHERE session_key = :session_key
  AND state IN ('queued', 'running', 'waiting') AND state = 'queued') < :mailbox
  OR EXISTS (SELECT 1 FROM inputs WHERE turn_id = :turn_id)
  OR EXISTS (SELECT 1 FROM inputs WHERE channel = :channel AND account = :account
    AND external_id = :external_id AND external_id <> '')
RETURNING ordinal;

-- name: remember_key
-- The primary key refuses a second turn under one idempotency key.
INSERT INTO idempotency (principal, method, key, body_hash, turn_id, at)
VALUES (:principal, :method, :key, :body_hash, :turn_id, :at);

-- name: start_input
-- Claimed as the leading input of a turn, unless its conversation has a turn or an older input.
UPDATE inputs SET state = 'running' WHERE turn_id = :turn_id AND state = 'queued'
  AND NOT EXISTS (SELECT 1 FROM inputs other WHERE other.session_key = inputs.session_key
    AND other.state IN ('queued', 'running', 'waiting')
    AND (other.state <> 'queued' OR other.ordinal < inputs.ordinal));

-- name: merge_input
-- Claimed as part of another input's turn.
UPDATE inputs SET state = 'merged', merged_into = :into, ended_at = :at
WHERE turn_id = :turn_id AND state = 'queued';

-- name: pause_input
-- Its turn waits for something outside.
UPDATE inputs SET state = 'waiting', detail = :detail
WHERE turn_id = :turn_id AND state = 'running';

-- name: resume_input
-- Its turn goes on.
UPDATE inputs SET state = 'running', detail = ''
WHERE turn_id = :turn_id AND state = 'waiting';

-- name: end_input
-- The one end of a claimed input.
UPDATE inputs SET state = :state, detail = :detail, ended_at = :at
WHERE turn_id = :turn_id AND state IN ('running', 'waiting');

-- name: end_queued
-- The one end of an input nobody has claimed.
UPDATE inputs SET state = :state, ended_at = :at WHERE turn_id = :turn_id AND state = 'queued';

-- name: get_input
-- One input with its words.
SELECT i.ordinal, i.turn_id, i.session_key, i.agent_id, i.channel, i.account, i.external_id,
  i.principal, i.route_key, i.agent_override, i.source, i.barrier, i.destination, i.content_id,
  i.explanation, i.state, i.detail, i.merged_into, i.accepted_at, i.expires_at, i.ended_at, c.body
FROM inputs i LEFT JOIN contents c ON c.content_id = i.content_id
WHERE i.turn_id = :turn_id;

-- name: find_input
-- One input by its channel's own id.
SELECT i.ordinal, i.turn_id, i.session_key, i.agent_id, i.channel, i.account, i.external_id,
  i.principal, i.route_key, i.agent_override, i.source, i.barrier, i.destination, i.content_id,
  i.explanation, i.state, i.detail, i.merged_into, i.accepted_at, i.expires_at, i.ended_at, c.body
FROM inputs i LEFT JOIN contents c ON c.content_id = i.content_id
WHERE i.channel = :channel AND i.account = :account AND i.external_id = :external_id
  AND i.external_id <> '';

-- name: find_key
-- What an idempotency key stands for.
SELECT body_hash, turn_id FROM idempotency
WHERE principal = :principal AND method = :method AND key = :key;

-- name: open_inputs
-- A page of what has not ended, over all sessions.
SELECT i.ordinal, i.turn_id, i.session_key, i.agent_id, i.channel, i.account, i.external_id,
  i.principal, i.route_key, i.agent_override, i.source, i.barrier, i.destination, i.content_id,
  i.explanation, i.state, i.detail, i.merged_into, i.accepted_at, i.expires_at, i.ended_at, c.body
FROM inputs i INDEXED BY inputs_open LEFT JOIN contents c ON c.content_id = i.content_id
WHERE i.state IN ('queued', 'running', 'waiting') AND i.ordinal > :after
ORDER BY i.ordinal LIMIT :limit;

-- name: queued_inputs
-- What one session has waiting.
SELECT i.ordinal, i.turn_id, i.session_key, i.agent_id, i.channel, i.account, i.external_id,
  i.principal, i.route_key, i.agent_override, i.source, i.barrier, i.destination, i.content_id,
  i.explanation, i.state, i.detail, i.merged_into, i.accepted_at, i.expires_at, i.ended_at, c.body
FROM inputs i LEFT JOIN contents c ON c.content_id = i.content_id
WHERE i.session_key = :session_key AND i.state IN ('queued', 'running', 'waiting')
  AND i.state = 'queued'
ORDER BY i.ordinal LIMIT :limit;

-- name: session_turn
-- At most one has begun and not ended.
SELECT turn_id FROM inputs WHERE session_key = :session_key
  AND state IN ('queued', 'running', 'waiting') AND state <> 'queued';

-- name: stale_inputs
-- Nothing is in their way and nobody has claimed them, or they expire behind what is in their way.
SELECT i.ordinal, i.turn_id, i.session_key, i.agent_id, i.channel, i.account, i.external_id,
  i.principal, i.route_key, i.agent_override, i.source, i.barrier, i.destination, i.content_id,
  i.explanation, i.state, i.detail, i.merged_into, i.accepted_at, i.expires_at, i.ended_at, c.body
FROM inputs i INDEXED BY inputs_open LEFT JOIN contents c ON c.content_id = i.content_id
WHERE i.state IN ('queued', 'running', 'waiting') AND i.state = 'queued'
  AND i.accepted_at < :before
  AND (i.expires_at BETWEEN 1 AND :now OR NOT EXISTS (SELECT 1 FROM inputs other
    WHERE other.session_key = i.session_key
    AND other.state IN ('queued', 'running', 'waiting') AND other.state <> 'queued'))
ORDER BY i.ordinal LIMIT :limit;

-- name: inputs_of_turn
-- The leading input and those merged into it.
SELECT i.ordinal, i.turn_id, i.session_key, i.agent_id, i.channel, i.account, i.external_id,
  i.principal, i.route_key, i.agent_override, i.source, i.barrier, i.destination, i.content_id,
  i.explanation, i.state, i.detail, i.merged_into, i.accepted_at, i.expires_at, i.ended_at, c.body
FROM inputs i LEFT JOIN contents c ON c.content_id = i.content_id
WHERE i.turn_id = :turn_id OR (i.merged_into = :turn_id AND i.merged_into <> '')
ORDER BY i.ordinal;

-- name: list_turns
-- A page over everybody's, newest first.
SELECT ordinal, turn_id, session_key, agent_id, channel, principal, state, detail, merged_into,
  accepted_at, ended_at
FROM inputs WHERE ordinal < :before ORDER BY ordinal DESC LIMIT :limit;

-- name: turns_of_session
-- A page of one conversation, newest first.
SELECT ordinal, turn_id, session_key, agent_id, channel, principal, state, detail, merged_into,
  accepted_at, ended_at
FROM inputs WHERE session_key = :session_key AND ordinal < :before ORDER BY ordinal DESC LIMIT :limit;

-- name: turns_of_principal
-- A page of one sender, newest first.
SELECT ordinal, turn_id, session_key, agent_id, channel, principal, state, detail, merged_into,
  accepted_at, ended_at
FROM inputs WHERE principal = :principal AND ordinal < :before ORDER BY ordinal DESC LIMIT :limit;
