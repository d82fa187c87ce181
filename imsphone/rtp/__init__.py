"""RTP and RTCP (RFC 3550, RFC 3551): packets, reports, and what a receiver counts."""
