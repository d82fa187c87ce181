"""One file a command; `main` loads the one that is called."""
