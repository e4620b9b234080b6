-- name: begin_step
-- Work starts; again means another attempt; a completed step or another intent is left alone.
INSERT INTO steps (run_id, path, intent, kind, effect, fingerprint, status, attempts, started_at)
SELECT :run_id, :path, :intent, :kind, :effect, :fingerprint, 'running', 1, :at
WHERE EXISTS (SELECT 1 FROM runs
  WHERE run_id = :run_id AND epoch = :epoch AND status = 'running' /* FOR SHARE */)
ON CONFLICT (run_id, path) DO UPDATE SET status = 'running', attempts = steps.attempts + 1,
  started_at = excluded.started_at, completed_at = NULL, error = NULL
WHERE steps.status <> 'completed' AND steps.intent = excluded.intent;

-- name: note_step
-- What the next attempt finds if this one is cut; another beginning leaves it alone.
UPDATE steps SET result = :note
WHERE run_id = :run_id AND path = :path AND status = 'running'
  AND EXISTS (SELECT 1 FROM runs
    WHERE run_id = :run_id AND epoch = :epoch AND status = 'running' /* FOR SHARE */);

-- name: complete_step
-- The result of a begun step.
UPDATE steps SET status = 'completed', result = :result, completed_at = :at
WHERE run_id = :run_id AND path = :path AND status = 'running'
  AND EXISTS (SELECT 1 FROM runs
    WHERE run_id = :run_id AND epoch = :epoch AND status = 'running' /* FOR SHARE */)
RETURNING (SELECT cancel_requested FROM runs WHERE run_id = :run_id);

-- name: record_step
-- Begun and completed at once; the primary key refuses a second record.
INSERT INTO steps (run_id, path, intent, kind, effect, fingerprint, status, attempts, result,
  started_at, completed_at)
SELECT :run_id, :path, :intent, :kind, 'pure', :fingerprint, 'completed', 1, :result, :at, :at
WHERE EXISTS (SELECT 1 FROM runs
  WHERE run_id = :run_id AND epoch = :epoch AND status = 'running' /* FOR SHARE */)
ON CONFLICT (run_id, path) DO UPDATE SET status = 'completed', attempts = steps.attempts + 1,
  result = excluded.result, error = NULL, completed_at = excluded.completed_at
WHERE steps.status <> 'completed' AND steps.intent = excluded.intent
RETURNING (SELECT cancel_requested FROM runs WHERE run_id = :run_id);

-- name: fail_step
-- Kept for people; the step is executed again on the next attempt.
UPDATE steps SET status = 'failed', error = :error, completed_at = :at
WHERE run_id = :run_id AND path = :path AND status = 'running'
  AND EXISTS (SELECT 1 FROM runs
    WHERE run_id = :run_id AND epoch = :epoch AND status = 'running' /* FOR SHARE */);

-- name: load_steps
-- Everything recorded of a run.
SELECT path, intent, kind, effect, fingerprint, status, attempts,
  CASE WHEN substr(result, 1, 5) = 'blob:'
    THEN (SELECT body FROM blobs WHERE hash = substr(result, 6)) ELSE result END AS result,
  error, started_at, completed_at
FROM steps WHERE run_id = :run_id;

-- name: put_blob
-- The same text has the same hash: once is enough.
INSERT INTO blobs (hash, body) VALUES (:hash, :body) ON CONFLICT DO NOTHING;

-- name: get_blob
-- A text by its hash.
SELECT body FROM blobs WHERE hash = :hash;

-- name: put_step
-- A record that was made elsewhere.
INSERT INTO steps (run_id, path, intent, kind, effect, fingerprint, status, attempts, result, error,
  started_at, completed_at)
VALUES (:run_id, :path, :intent, :kind, :effect, :fingerprint, :status, :attempts, :result, :error,
  :started_at, :completed_at);

-- name: drop_step
-- Nobody executes it, so nobody is told other than what was recorded.
DELETE FROM steps WHERE run_id = :run_id AND path = :path
  AND EXISTS (SELECT 1 FROM runs WHERE run_id = :run_id AND status <> 'running');
