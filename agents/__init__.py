"""What answers: the turn, its context, models, tools and resilience."""

DISTRIBUTION = "turngate"
