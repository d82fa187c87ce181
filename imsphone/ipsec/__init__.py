"""IPsec as TS 33.203 uses it between a phone and its P-CSCF: keys, associations, ESP packets. Nothing here does I/O."""
