-- How each model does at each key: pauses outlive the process that learnt of them.
CREATE TABLE profile_standings (
  profile TEXT NOT NULL,
  model TEXT NOT NULL,
  body TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (profile, model)
) STRICT, WITHOUT ROWID;
