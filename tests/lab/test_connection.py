"""Connections by both of their sides."""

from __future__ import annotations

from imsphone.lab.connection import Connections
from imsphone.machine import Address, Flow

FLOW = Flow("TCP", Address("10.0.0.1", 5060), Address("10.0.0.2", 5060))


def test_a_connection_is_found_by_either_side_until_it_is_closed() -> None:
    connections = Connections()
    first = connections.opened("alice", FLOW)
    assert connections.opened("alice", FLOW) is first
    assert connections.accepted(first.mirrored) is first
    assert first.mirrored == Flow("TCP", FLOW.remote, first.passing)
    assert list(connections) == [first]
    connections.close(first)
    assert connections.accepted(first.mirrored) is None
    assert connections.opened("alice", FLOW).passing != first.passing


def test_two_that_open_from_one_host_pass_by_two_ports() -> None:
    connections = Connections()
    assert connections.opened("alice", FLOW).passing != connections.opened("bob", FLOW).passing
