-- name: enqueue_delivery
-- The unique key refuses a second copy of one message.
INSERT INTO deliveries (delivery_id, key, destination, session_key, turn_id, part, parts,
  content_id, state, next_at, created_at, expires_at, ended_at)
VALUES (:delivery_id, :key, :destination, :session_key, :turn_id, :part, :parts,
  :content_id, :state, :at, :at, :expires_at,
  CASE WHEN :state = 'available' THEN CAST(:at AS BIGINT) END)
RETURNING ordinal;

-- name: mark_pulled
-- The first time only.
UPDATE deliveries SET state = 'sent', attempts = 1, ended_at = :at
WHERE key = :key AND state = 'available';

-- name: retry_delivery
-- As if it had just been made; its place in the order it keeps.
UPDATE deliveries SET state = 'pending', attempts = 0, next_at = :at, error = '', receipt = '',
  expires_at = :expires_at, ended_at = NULL
WHERE delivery_id = :delivery_id AND state IN ('dead', 'expired', 'unknown');

-- name: purge_delivery
-- Only what nobody works on.
DELETE FROM deliveries
WHERE delivery_id = :delivery_id AND state NOT IN ('pending', 'sending');

-- name: purge_failed
-- The condition repeats the partial index's.
DELETE FROM deliveries WHERE ordinal IN (
  SELECT ordinal FROM deliveries WHERE state IN ('dead', 'expired', 'unknown')
  ORDER BY ordinal LIMIT :limit);

-- name: begin_send
-- One attempt more; while it is on its way `next_at` says when it left.
UPDATE deliveries SET state = 'sending', attempts = attempts + 1, next_at = :at
WHERE delivery_id = :delivery_id AND state = 'pending';

-- name: retry_send
-- Nothing was shown, or showing it twice is impossible.
UPDATE deliveries SET state = 'pending', next_at = :next_at, error = :error
WHERE delivery_id = :delivery_id AND state = 'sending';

-- name: take_send
-- While it is on its way `next_at` says when it left.
UPDATE deliveries SET attempts = attempts + 1, next_at = :at
WHERE delivery_id = :delivery_id AND state = 'sending' AND next_at < :before;

-- name: end_send
-- The one end of a delivery.
UPDATE deliveries SET state = :state, receipt = :receipt, error = :error, ended_at = :at
WHERE delivery_id = :delivery_id AND state IN ('pending', 'sending');

-- name: open_deliveries
-- A page of what has not ended.
SELECT d.ordinal, d.delivery_id, d.key, d.destination, d.session_key, d.turn_id, d.part, d.parts,
  d.content_id, d.state, d.attempts, d.next_at, d.error, d.receipt, d.created_at, d.expires_at,
  d.ended_at, c.body
FROM deliveries d LEFT JOIN contents c ON c.content_id = d.content_id
WHERE d.state IN ('pending', 'sending') AND d.ordinal > :after
ORDER BY d.ordinal LIMIT :limit;

-- name: deliveries_of_turn
-- What one turn has sent.
SELECT d.ordinal, d.delivery_id, d.key, d.destination, d.session_key, d.turn_id, d.part, d.parts,
  d.content_id, d.state, d.attempts, d.next_at, d.error, d.receipt, d.created_at, d.expires_at,
  d.ended_at, c.body
FROM deliveries d LEFT JOIN contents c ON c.content_id = d.content_id
WHERE d.turn_id = :turn_id ORDER BY d.ordinal;

-- name: count_deliveries
-- How many there are in each state.
SELECT state, count(*) FROM deliveries GROUP BY state ORDER BY state;

-- name: count_attempts
-- One number over all of them.
SELECT CAST(coalesce(sum(attempts), 0) AS BIGINT) AS attempts FROM deliveries;

-- name: get_delivery
-- One delivery with its words.
SELECT d.ordinal, d.delivery_id, d.key, d.destination, d.session_key, d.turn_id, d.part, d.parts,
  d.content_id, d.state, d.attempts, d.next_at, d.error, d.receipt, d.created_at, d.expires_at,
  d.ended_at, c.body
FROM deliveries d LEFT JOIN contents c ON c.content_id = d.content_id
WHERE d.delivery_id = :delivery_id;

-- name: list_deliveries
-- A page, newest first.
SELECT d.ordinal, d.delivery_id, d.key, d.destination, d.session_key, d.turn_id, d.part, d.parts,
  d.content_id, d.state, d.attempts, d.next_at, d.error, d.receipt, d.created_at, d.expires_at,
  d.ended_at, c.body
FROM deliveries d LEFT JOIN contents c ON c.content_id = d.content_id
WHERE d.ordinal < :before AND (:state = '' OR d.state = :state)
ORDER BY d.ordinal DESC LIMIT :limit;
