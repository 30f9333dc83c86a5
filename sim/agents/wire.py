"""From the host's inputs to transactions: framing, checking and answering what cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from engine.boundary import (
    Close,
    Datagram,
    Effect,
    Flow,
    Input,
    Interface,
    Send,
    StreamClosed,
    StreamData,
    StreamOpened,
    Unreachable,
)
from engine.proxy.forward import note_source
from engine.sip.errors import SipError
from engine.sip.framing import BoundaryLostError, StreamFramer, parse_datagram
from engine.sip.message import Request, Response, respond
from engine.sip.transactions import TransactionLayer
from engine.sip.validate import validate_request, validate_response

SourceRule: TypeAlias = Callable[[Request, Flow], Flow]
"""Writes into the top Via where a request came from; the result is the way for its responses."""

PING, PONG = b"\r\n\r\n", b"\r\n"  # RFC 5626 §3.5.1
ADDRESSING = frozenset({"via", "from", "to", "call-id", "cseq"})


class Wire:
    """What every modelled peer does with what comes in, before its own logic sees it."""

    __slots__ = ("_framers", "_layer", "_note_source", "_out", "_whole")

    def __init__(
        self,
        layer: TransactionLayer,
        out: list[Effect],
        interfaces: Iterable[Interface],
        source_rule: SourceRule = note_source,
    ) -> None:
        self._layer = layer
        self._out = out
        self._note_source = source_rule
        self._framers: dict[Flow, StreamFramer] = {}
        self._whole = frozenset(interface.name for interface in interfaces if interface.whole_messages)

    def receive(self, event: Input, now: float) -> None:
        """Take one input of the network; others are ignored."""
        if type(event) is Datagram:
            self._take_whole(event.flow, event.data, now)
        elif isinstance(event, StreamData):
            if event.flow.interface not in self._whole:
                self._feed(event, now)
            elif event.data == PING:
                self._out.append(Send(event.flow, PONG))
            else:
                self._take_whole(event.flow, event.data, now)
        elif isinstance(event, StreamOpened):
            if event.flow.interface not in self._whole:
                self._framers[event.flow] = StreamFramer()
        elif isinstance(event, StreamClosed):
            self._framers.pop(event.flow, None)
            self._layer.unreachable(event.flow, event.reason, now)
        elif isinstance(event, Unreachable):
            self._layer.unreachable(event.flow, event.reason, now)

    def _take_whole(self, flow: Flow, data: bytes, now: float) -> None:
        try:
            message = parse_datagram(data)
        except SipError:
            return
        if message is not None:
            self._take(message, flow, now)

    def _feed(self, event: StreamData, now: float) -> None:
        flow = event.flow
        framer = self._framers.setdefault(flow, StreamFramer())
        lost = False
        try:
            messages: Iterable[Request | Response] = framer.feed(event.data)
        except BoundaryLostError as error:
            messages, lost = error.messages, True
        for message in messages:
            self._take(message, flow, now)
        while framer.pongs_due:
            framer.pongs_due -= 1
            self._out.append(Send(flow, PONG))
        if lost:
            self._framers.pop(flow, None)
            self._out.append(Close(flow))

    def _take(self, message: Request | Response, flow: Flow, now: float) -> None:
        try:
            if isinstance(message, Request):
                validate_request(message)
                flow = self._note_source(message, flow)
            else:
                validate_response(message)
        except SipError as error:
            if isinstance(message, Request) and message.method != b"ACK":
                self._refuse(message, flow, error)
            return
        self._layer.receive(message, flow, now)

    def _refuse(self, request: Request, flow: Flow, error: SipError) -> None:
        if ADDRESSING.issubset(request.names):  # else no one could match the answer
            self._out.append(Send(flow, bytes(respond(request, error.status))))


def reliable_among(interfaces: Iterable[Interface]) -> Callable[[str], bool]:
    """What a TransactionLayer asks: whether the interface of this name retransmits by itself."""
    reliable = frozenset(interface.name for interface in interfaces if interface.reliable)
    return reliable.__contains__
