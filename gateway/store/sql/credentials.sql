-- name: put_credential
-- The partial unique index refuses a second valid credential of one name.
INSERT INTO credentials (credential_id, name, token_hash, scopes, created_at)
VALUES (:credential_id, :name, :token_hash, :scopes, :at);

-- name: revoke_credential
-- Kept for the record.
UPDATE credentials SET revoked_at = :at WHERE credential_id = :credential_id AND revoked_at IS NULL;

-- name: list_credentials
-- In the order they were made.
SELECT credential_id, name, token_hash, scopes, created_at, revoked_at
FROM credentials ORDER BY created_at, credential_id;
