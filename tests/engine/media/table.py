"""The data plane's table as a host keeps it; every order must make sense to it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.media.rules import (
    AddRule,
    BindPorts,
    ChangeRule,
    MediaEffect,
    Port,
    ReleasePorts,
    RemoveRule,
    Rule,
    SecurePort,
    Security,
    SendMedia,
)


class Table:
    """Ports, and the rule and the keys of each."""

    def __init__(self) -> None:
        self.bound: set[Port] = set()
        self.rules: dict[Port, Rule] = {}
        self.secured: dict[Port, Security] = {}
        self.sent: list[SendMedia] = []

    def has_rule(self, port: Port) -> bool:
        """Whether one of a pair's ports has a rule."""
        return port in self.rules or Port(port.interface, port.number + 1) in self.rules

    def obey(self, effects: Sequence[MediaEffect]) -> None:
        for effect in effects:
            match effect:
                case BindPorts(port):
                    pair = {port, Port(port.interface, port.number + 1)}
                    assert not pair & self.bound
                    self.bound |= pair
                case ReleasePorts(port):
                    for each in (port, Port(port.interface, port.number + 1)):
                        self.bound.remove(each)
                        self.rules.pop(each, None)
                        self.secured.pop(each, None)
                case SecurePort(port, security):
                    assert port in self.bound
                    self.secured[port] = security
                case AddRule(port, rule):
                    assert port in self.bound
                    assert port not in self.rules
                    self.rules[port] = rule
                case ChangeRule(port, rule):
                    assert self.rules[port] != rule
                    self.rules[port] = rule
                case RemoveRule(port):
                    del self.rules[port]
                case SendMedia():
                    assert effect.port in self.bound
                    self.sent.append(effect)
