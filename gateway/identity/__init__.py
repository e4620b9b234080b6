"""Who is asking: principals, their credentials, and what those allow."""
