-- name: expect_idle_lock
-- Whoever accepts an input touches its session first: the check sees it, or it waits for us.
SELECT 1 FROM sessions WHERE session_key = :session_key FOR UPDATE;
