"""The console and the headless commands: a visitor that knows the HTTP contract only."""
