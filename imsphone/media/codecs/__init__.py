"""The codecs, and how an SDP names them."""
