"""turngate beside nanobot and OpenClaw: the same chats, the same model server, one after the other.

Both are installed at a fixed version, from their own package registries, into a folder of their
own, and started with their own commands. Each is used through its own WebSocket protocol with its
own defaults; what is set differently, and why, stands as `changed` in its module and in the report.
"""
