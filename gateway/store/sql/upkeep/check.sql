-- name: the log has a hole, or more entries than its bounds say
-- Numbers are given in commit order, one after the other, and pruned from the old end.
SELECT 'head ' || h.seq || ', floor ' || h.floor || ', entries ' || count(e.seq)
FROM log_head h LEFT JOIN events e ON true GROUP BY h.id
HAVING count(e.seq) <> h.seq - h.floor
  OR (count(e.seq) > 0 AND (min(e.seq) <> h.floor + 1 OR max(e.seq) <> h.seq));

-- name: an input has ended without an end, or is open with one
-- One state, and a time exactly when it is an end.
SELECT turn_id FROM inputs
WHERE (state IN ('queued', 'running', 'waiting')) = (ended_at IS NOT NULL);

-- name: an input is merged into a turn that is not there
-- A merged input ends as its turn does, so it is forgotten first.
SELECT turn_id FROM inputs i WHERE state = 'merged'
  AND NOT EXISTS (SELECT 1 FROM inputs WHERE turn_id = i.merged_into);

-- name: an input is at work and its run is not
-- Both end in one unit.
SELECT turn_id FROM inputs i WHERE state IN ('running', 'waiting')
  AND NOT EXISTS (SELECT 1 FROM runs WHERE run_id = i.turn_id AND ended_at IS NULL);

-- name: a turn is unfinished and its input is not at work
-- The same from the other side.
SELECT run_id FROM runs r WHERE task = 'turn' AND ended_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM inputs WHERE turn_id = r.run_id AND state IN ('running', 'waiting'));

-- name: a delivery is on its way for a turn that is not there
-- It was planned in the unit that ended its turn.
SELECT delivery_id FROM deliveries d WHERE state IN ('pending', 'sending')
  AND NOT EXISTS (SELECT 1 FROM inputs WHERE turn_id = d.turn_id);

-- name: a run has ended and is still held, or has not and has an end
-- Only running runs have an owner; epochs count from one.
SELECT run_id FROM runs WHERE epoch < 1 OR (status <> 'running' AND holder <> '')
  OR (status IN ('running', 'suspended')) = (ended_at IS NOT NULL);

-- name: a step is complete without a result, or its long result is gone
-- A reference and what it names are written together.
SELECT run_id || ' ' || path FROM steps WHERE (status = 'completed' AND result IS NULL)
  OR (substr(result, 1, 5) = 'blob:'
    AND NOT EXISTS (SELECT 1 FROM blobs WHERE hash = substr(steps.result, 6)));

-- name: the long result of a run is gone
-- As of a step.
SELECT run_id FROM runs WHERE substr(result, 1, 5) = 'blob:'
  AND NOT EXISTS (SELECT 1 FROM blobs WHERE hash = substr(runs.result, 6));

-- name: words are gone that something points at
-- A deleted conversation leaves tombstones, never holes.
SELECT 'entry ' || session_key || ' ' || position FROM entries x
WHERE NOT EXISTS (SELECT 1 FROM contents WHERE content_id = x.content_id)
UNION ALL SELECT 'input ' || turn_id FROM inputs x
WHERE NOT EXISTS (SELECT 1 FROM contents WHERE content_id = x.content_id)
UNION ALL SELECT 'delivery ' || delivery_id FROM deliveries x
WHERE NOT EXISTS (SELECT 1 FROM contents WHERE content_id = x.content_id);

-- name: a transcript has a hole
-- Positions count from nought.
SELECT session_key FROM entries GROUP BY session_key
HAVING min(position) <> 0 OR max(position) <> count(*) - 1;
