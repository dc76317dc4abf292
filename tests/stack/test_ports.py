from __future__ import annotations

import socket

from stack.ports import HOST, free_ports, is_free, is_open


def test_free_ports_are_different_and_free() -> None:
    """Each of them can be listened on."""
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) for port in ports)


def test_a_port_with_a_listener_is_open_and_not_free() -> None:
    """Seen from both sides, and after the listener has gone."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert is_open(port)
    assert is_free(port)
    assert not is_open(port)
