-- name: put_standing
-- Several processes write what they learn; what was learnt last holds.
INSERT INTO profile_standings (profile, model, body, at) VALUES (:profile, :model, :body, :at)
ON CONFLICT (profile, model) DO UPDATE SET body = excluded.body, at = excluded.at
WHERE profile_standings.at <= excluded.at;

-- name: list_standings
-- By profile and model.
SELECT profile, model, body, at FROM profile_standings ORDER BY profile, model;
