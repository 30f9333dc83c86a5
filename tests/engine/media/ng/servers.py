"""rtpengines under test: a client and its servers, with a test in the place of the network."""

from __future__ import annotations

from random import Random

from engine.boundary import Effect, Flow, Note, Send
from engine.media.ng.bencode import Told
from engine.media.ng.client import NgClient, Outcome, Silence
from engine.media.ng.servers import NgServer, NgServers
from engine.media.ng.settings import NgConfig, NgServerConfig
from engine.media.ng.wire import NgMessage, read_message, write_message
from engine.tally import Tally
from engine.timers import TimerQueue

ONE = NgServerConfig(name="one", host="127.0.0.1", port=2_223)
TWO = NgServerConfig(name="two", host="127.0.0.2", port=2_223)
PONG: Told = {"result": "pong"}


class Bench:
    """Time, and what goes over the wire."""

    def __init__(self, *servers: NgServerConfig, config: NgConfig | None = None) -> None:
        self.now = 0.0
        self.out: list[Effect] = []
        self.timers = TimerQueue()
        self.ended: list[Outcome] = []
        self.died: list[str] = []
        config = config or NgConfig(servers=servers or (ONE, TWO))
        tally = Tally(self.timers, self.out)
        interfaces = {"udp": "control", "tcp": "control-tcp"}
        self.client = NgClient(config, interfaces, self.timers, tally, self.out, Random(1))
        self.servers = NgServers(config, self.client, self.timers, self.out, Random(2), self._down, _nothing)

    def _down(self, server: NgServer, now: float) -> None:
        self.died.append(server.name)

    def order(self, server: NgServerConfig = ONE, content: Told | None = None) -> None:
        self.client.order(
            server, content or {"command": "ping"}, lambda outcome, _: self.ended.append(outcome), self.now
        )

    def run(self, until_s: float) -> None:
        """Let time pass with nobody answering."""
        while (due := self.timers.deadline()) <= until_s:
            self.now = max(self.now, due)
            self.timers.fire_due(self.now)
        self.now = until_s

    def answer(self, send: Send, content: Told = PONG, *, peer: tuple[str, int] | None = None) -> None:
        """The answer to what was sent."""
        flow = send.flow if peer is None else send.flow._replace(peer=peer)
        self.client.datagram(flow, write_message(read_message(send.data).cookie, content), self.now)

    def sent(self, command: str = "") -> list[Send]:
        """What was sent since the last look, and is to be of this sort."""
        found = [effect for effect in self.out if isinstance(effect, Send)]
        self.out[:] = [effect for effect in self.out if not isinstance(effect, Send)]
        wanted = command.encode()
        return [send for send in found if not command or read_message(send.data).text(b"command") == wanted]

    def notes(self) -> list[Note]:
        return [effect for effect in self.out if isinstance(effect, Note)]

    def live(self, until_s: float, *dead: str) -> None:
        """Let time pass with all servers but the dead answering pings."""
        hosts = {each.config.host for each in self.servers if each.name not in dead}
        while (due := self.timers.deadline()) <= until_s:
            self.now = max(self.now, due)
            self.timers.fire_due(self.now)
            for send in self.sent():
                if send.flow.peer[0] in hosts:
                    self.answer(send)
        self.now = until_s


def _nothing(server: NgServer, now: float) -> None:
    pass


def silent(outcome: Outcome) -> str:
    """Why there was no answer; an answer is a failure."""
    assert isinstance(outcome, Silence)
    return outcome.why


def result(outcome: Outcome) -> bytes:
    assert isinstance(outcome, NgMessage)
    return outcome.text(b"result")


def control(peer: tuple[str, int], stream: int = 0) -> Flow:
    return Flow("control-tcp" if stream else "control", peer, stream)
