"""`turngate init`: a first workspace with settings that explain themselves."""
