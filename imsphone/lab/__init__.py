"""TS 24.229 from the network's side, as machines: an IMS to hold a phone against."""
