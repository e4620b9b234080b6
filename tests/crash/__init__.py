"""Child processes killed between durable writes, then started again."""
