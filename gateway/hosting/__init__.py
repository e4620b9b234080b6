"""Running channels: started, stopped and, after a failure, started again, each by itself."""
