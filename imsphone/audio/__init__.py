"""Sound in and out of calls: the media thread with its sockets, the sound card, files. Threads live here only."""
