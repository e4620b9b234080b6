-- How each model does at each key: pauses outlive the process that learnt of them.
CREATE TABLE profile_standings (
  profile text COLLATE "C" NOT NULL,
  model text COLLATE "C" NOT NULL,
  body text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (profile, model)
);
