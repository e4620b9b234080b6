"""Durable runs: tasks whose finished steps are never executed twice."""
