"""SIP (RFC 3261) without a socket: texts, messages, transactions, dialogs, and what IMS adds to them."""
