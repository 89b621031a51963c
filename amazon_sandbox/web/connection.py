"""Cutting a caller's connection, as a lost network would."""

import contextlib
import socket
from typing import Any

from flask import Response


def cut(environ: dict[str, Any]) -> Response:
    """Ends the connection at once; the response given back goes nowhere."""
    _end(_socket_of(environ))
    return Response(status=500, headers={"Connection": "close"})


def cut_within_body(environ: dict[str, Any], response: Response) -> Response:
    """Sends the head and half of the body, then ends the connection."""
    body = response.get_data()
    head = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in response.headers)]
    connection = _socket_of(environ)
    with contextlib.suppress(OSError):  # the caller may have left already
        connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body[: len(body) // 2])
    _end(connection)
    return Response(status=500, headers={"Connection": "close"})


def _socket_of(environ: dict[str, Any]) -> socket.socket:
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is None:
        raise RuntimeError("a connection can be cut only when a real server runs the sandbox")
    return connection


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the caller may have left already
        connection.shutdown(socket.SHUT_RDWR)
