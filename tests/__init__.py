"""Every test folder is a package: otherwise tests/unit/gateway would shadow `gateway` itself."""
