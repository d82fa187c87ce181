"""What tests of phones and networks are made with: pytest fixtures, ladders to assert, a phone that others wrote."""
