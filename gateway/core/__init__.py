"""What everything else stands on: ids, keys, clock, errors, content parts, supervised tasks."""
