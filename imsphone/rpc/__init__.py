"""A phone over JSON lines: the engine's end, the window's end, and what they say."""
