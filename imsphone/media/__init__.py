"""From RTP packets to sound and back: codecs, the playout buffer, the figures. Pure; time is counted in pulls."""
