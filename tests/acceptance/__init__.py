"""What users were promised, tested from outside."""
