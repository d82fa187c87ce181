"""TS 24.229 from the phone's side, as machines."""
