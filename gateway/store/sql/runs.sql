-- name: open_run
-- A new run with its first lease.
INSERT INTO runs (run_id, task, manifest_hash, session_key, input, status, epoch, holder,
  lease_until, created_at, updated_at, principal, root, tags)
VALUES (:run_id, :task, :manifest_hash, :session_key, :input, 'running', 1, :holder,
  clock(:at) + :lease_until - :at, :at, :at, :principal, :root, :tags);

-- name: take_run
-- The next epoch, if nobody else's lease is live; the old owner's writes stop counting here.
UPDATE runs SET epoch = epoch + 1, holder = :holder,
  lease_until = clock(:now) + :lease_until - :now, status = 'running', reason = '',
  wake_at = NULL, updated_at = :now
WHERE run_id = :run_id AND (status = 'suspended'
  OR (status = 'running' AND (lease_until <= clock(:now) OR holder = :holder)))
RETURNING epoch;

-- name: count_recovery
-- Takeovers without progress in between.
UPDATE runs SET recoveries = :recoveries, recovered_steps = :steps
WHERE run_id = :run_id AND epoch = :epoch AND status = 'running';

-- name: end_run
-- The one end of a run, by its owner only.
UPDATE runs SET status = :status, result = :result, error = :error, outcome = :outcome,
  ended_at = :at, updated_at = :at, holder = '', lease_until = 0, wake_at = NULL
WHERE run_id = :run_id AND epoch = :epoch AND status = 'running';

-- name: release_run
-- Given back in order: whoever takes it next need not wait, and counts no interruption.
UPDATE runs SET holder = '', lease_until = 0, reason = :reason, updated_at = :at
WHERE run_id = :run_id AND epoch = :epoch AND status = 'running';

-- name: park_run
-- Without owner until something wakes it.
UPDATE runs SET status = 'suspended', reason = :reason, wake_at = :wake_at, holder = '',
  lease_until = 0, updated_at = :at
WHERE run_id = :run_id AND epoch = :epoch AND status = 'running';

-- name: await_key
-- Naming it twice is once.
INSERT INTO run_waits (run_id, key) VALUES (:run_id, :key) ON CONFLICT DO NOTHING;

-- name: forget_keys
-- The run goes on or has ended.
DELETE FROM run_waits WHERE run_id = :run_id;

-- name: request_cancel
-- A wish, seen by the owner with its next write or at once when it is in this process.
UPDATE runs SET cancel_requested = 1, updated_at = :at
WHERE run_id = :run_id AND status IN ('running', 'suspended');

-- name: emit_run_event
-- The first wins; later ones change nothing and get no row.
INSERT INTO run_events (run_id, key, payload, emitted_at)
VALUES (:run_id, :key, :payload, :at) ON CONFLICT DO NOTHING RETURNING key;

-- name: append_stream
-- A repeated number is the same piece again.
INSERT INTO stream (run_id, seq, body, at) VALUES (:run_id, :seq, :body, :at)
ON CONFLICT DO NOTHING;

-- name: renew_leases
-- One statement for all runs of a worker; a lease already over stays over.
UPDATE runs SET lease_until = clock(:now) + :lease_until - :now
WHERE status = 'running' AND lease_until > clock(:now) AND holder = :holder;

-- name: release_leases
-- Run once when the file is opened: the lock proves that every former owner is dead.
UPDATE runs SET epoch = epoch + 1, holder = '', lease_until = 0 WHERE status = 'running';

-- name: get_run
-- One run.
SELECT run_id, task, manifest_hash, session_key, input, status, epoch, holder, lease_until,
  recoveries, recovered_steps, cancel_requested, reason, wake_at, created_at, updated_at, ended_at,
  CASE WHEN substr(result, 1, 5) = 'blob:'
    THEN (SELECT body FROM blobs WHERE hash = substr(result, 6)) ELSE result END AS result,
  error, principal, root, tags, outcome, origin
FROM runs WHERE run_id = :run_id;

-- name: get_run_event
-- The winning payload of a key.
SELECT key, payload, emitted_at FROM run_events WHERE run_id = :run_id AND key = :key;

-- name: load_stream
-- Live output after a cursor.
SELECT seq, body, at FROM stream WHERE run_id = :run_id AND seq > :after ORDER BY seq LIMIT :limit;

-- name: abandoned_runs
-- Running, and nobody's: a poll, so it must never walk over all the runs there ever were.
SELECT run_id, task, manifest_hash, session_key, input, status, epoch, holder, lease_until,
  recoveries, recovered_steps, cancel_requested, reason, wake_at, created_at, updated_at, ended_at,
  result, error, principal, root, tags, outcome, origin
FROM runs INDEXED BY runs_leased
WHERE status = 'running' AND lease_until <= clock(:now) AND run_id > :after
ORDER BY run_id LIMIT :limit;

-- name: runs_to_stop
-- Asked for at another process's door.
SELECT run_id FROM runs WHERE status = 'running' AND holder = :holder AND cancel_requested = 1;

-- name: wakeable_runs
-- Parked, and the timer is due, the event is there, or it shall stop; a poll as well.
SELECT run_id, task, manifest_hash, session_key, input, status, epoch, holder, lease_until,
  recoveries, recovered_steps, cancel_requested, reason, wake_at, created_at, updated_at, ended_at,
  result, error, principal, root, tags, outcome, origin
FROM runs INDEXED BY runs_parked WHERE status = 'suspended' AND run_id > :after AND (
  wake_at <= :now OR cancel_requested = 1
  OR EXISTS (SELECT 1 FROM run_waits w JOIN run_events e ON e.run_id = w.run_id AND e.key = w.key
    WHERE w.run_id = runs.run_id))
ORDER BY run_id LIMIT :limit;

-- name: list_runs
-- A page; ids sort by the time they were made. What is long is left out.
SELECT run_id, task, manifest_hash, session_key, 'null' AS input, status, epoch, holder, lease_until,
  recoveries, recovered_steps, cancel_requested, reason, wake_at, created_at, updated_at, ended_at,
  'null' AS result, error, principal, root, tags, outcome, origin
FROM runs WHERE run_id < :before AND (:status = '' OR status = :status)
  AND (:task = '' OR task = :task)
ORDER BY run_id DESC LIMIT :limit;

-- name: run_waits
-- Keys a parked run has named.
SELECT key FROM run_waits WHERE run_id = :run_id ORDER BY key;

-- name: run_events
-- The winners of all keys.
SELECT key, payload, emitted_at FROM run_events WHERE run_id = :run_id ORDER BY key;

-- name: put_run
-- Without owner and lease; whoever takes it gets epoch 2.
INSERT INTO runs (run_id, task, manifest_hash, session_key, input, status, epoch, holder,
  lease_until, reason, wake_at, created_at, updated_at, ended_at, result, error, principal, root,
  tags, outcome, origin)
VALUES (:run_id, :task, :manifest_hash, :session_key, :input, :status, 1, '', 0, :reason, :wake_at,
  :created_at, :updated_at, :ended_at, :result, :error, :principal, :root, :tags, :outcome, :origin);

-- name: reopen_run
-- Due now, so that the watch hands it out; whatever ended it is forgotten.
UPDATE runs SET status = 'suspended', epoch = epoch + 1, reason = '', wake_at = :at,
  updated_at = :at, ended_at = NULL, result = 'null', error = '', outcome = 'null',
  cancel_requested = 0, recoveries = 0, recovered_steps = 0
WHERE run_id = :run_id AND epoch = :epoch AND status <> 'running';

-- name: drop_run_event
-- Nobody executes it, so nobody has acted on it since.
DELETE FROM run_events WHERE run_id = :run_id AND key = :key
  AND EXISTS (SELECT 1 FROM runs WHERE run_id = :run_id AND status <> 'running');
