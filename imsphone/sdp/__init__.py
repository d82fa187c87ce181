"""Session descriptions (RFC 8866) and how two of them make an agreement (RFC 3264)."""
