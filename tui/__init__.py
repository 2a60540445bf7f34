"""The visitor: the Textual console and the headless commands. It knows the HTTP contract only."""
