"""RTP and RTCP (RFC 3550, RFC 3551): packets, reports, what a receiver counts, and what a capture holds."""
