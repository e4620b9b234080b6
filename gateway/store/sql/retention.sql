-- name: prune_events
-- From the old end only: the log never has holes.
DELETE FROM events WHERE seq <= (
  SELECT max(seq) FROM (SELECT seq, at FROM events ORDER BY seq LIMIT :limit) AS oldest
  WHERE at < :before OR seq <= (SELECT seq FROM log_head WHERE id = 1) - :keep);

-- name: raise_log_floor
-- Everything below the oldest entry is gone; with no entry left, all that ever was.
UPDATE log_head SET floor = coalesce((SELECT min(seq) - 1 FROM events), seq) WHERE id = 1;

-- name: prune_runs
-- Steps, run events and stream go with their run by foreign key.
DELETE FROM runs WHERE run_id IN (
  SELECT run_id FROM runs WHERE ended_at IS NOT NULL AND ended_at < :before
  ORDER BY ended_at LIMIT :limit);

-- name: prune_stream
-- Of runs that have ended long enough ago.
DELETE FROM stream WHERE (run_id, seq) IN (
  SELECT s.run_id, s.seq FROM runs r JOIN stream s ON s.run_id = r.run_id
  WHERE r.ended_at IS NOT NULL AND r.ended_at < :before LIMIT :limit);

-- name: prune_keys
-- Oldest first.
DELETE FROM idempotency WHERE (principal, method, key) IN (
  SELECT principal, method, key FROM idempotency WHERE at < :before ORDER BY at LIMIT :limit);

-- name: prune_deliveries
-- Oldest first.
DELETE FROM deliveries WHERE ordinal IN (
  SELECT ordinal FROM deliveries WHERE ended_at IS NOT NULL AND ended_at < :before
  ORDER BY ended_at LIMIT :limit);

-- name: prune_inputs
-- Oldest first.
DELETE FROM inputs WHERE ordinal IN (
  SELECT ordinal FROM inputs WHERE ended_at IS NOT NULL AND ended_at < :before
  ORDER BY ended_at LIMIT :limit);

-- name: content_page
-- Looked at by readers, a page at a time, so that no write waits behind it.
SELECT c.content_id,
  EXISTS (SELECT 1 FROM entries WHERE content_id = c.content_id)
  OR EXISTS (SELECT 1 FROM inputs WHERE content_id = c.content_id)
  OR EXISTS (SELECT 1 FROM deliveries WHERE content_id = c.content_id)
  OR EXISTS (SELECT 1 FROM events WHERE content_id = c.content_id AND content_id <> '') AS used
FROM contents c WHERE c.content_id > :after ORDER BY c.content_id LIMIT :limit;

-- name: prune_content
-- Asked again: something may point at it by now.
DELETE FROM contents WHERE content_id = :content_id
  AND NOT EXISTS (SELECT 1 FROM entries WHERE content_id = :content_id)
  AND NOT EXISTS (SELECT 1 FROM inputs WHERE content_id = :content_id)
  AND NOT EXISTS (SELECT 1 FROM deliveries WHERE content_id = :content_id)
  AND NOT EXISTS (SELECT 1 FROM events WHERE content_id = :content_id AND content_id <> '');

-- name: prune_blobs
-- The conditions repeat those of the partial indexes.
DELETE FROM blobs WHERE hash IN (SELECT hash FROM blobs b
  WHERE NOT EXISTS (SELECT 1 FROM steps
    WHERE result = 'blob:' || b.hash AND substr(result, 1, 5) = 'blob:')
  AND NOT EXISTS (SELECT 1 FROM runs
    WHERE result = 'blob:' || b.hash AND substr(result, 1, 5) = 'blob:')
  LIMIT :limit);
