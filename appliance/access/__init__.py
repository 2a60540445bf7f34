"""Access: passwords, sessions, tokens, roles."""
