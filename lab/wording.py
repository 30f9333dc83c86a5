"""Faults, durations and shares in words, the same in tables, plots and warnings."""

from __future__ import annotations

from topologies.faults import Call, ChangeNetwork, Cut, Fault, Flap, Heal, Loss, Order, Originate, Partition, Slow


def fault_words(fault: Fault) -> str:
    """A fault in a few words, without its time.

    Examples
    --------
    >>> from topologies.faults import ProcessFault
    >>> fault_words(ProcessFault(kind="kill", target="FS1", at_s=30))
    'kill FS1'
    """
    match fault:
        case Partition():
            first, second = fault.between
            return f"partition {first} {'→' if fault.one_way else '↔'} {second}"
        case Cut():
            return f"cut {fault.between[0]} ↔ {fault.between[1]}{' silently' if fault.silent else ''}"
        case Loss():
            return f"loss {fault.share:.3g} {fault.between[0]} ↔ {fault.between[1]}"
        case Heal():
            return "heal" if fault.between == ("*", "*") else f"heal {fault.between[0]} ↔ {fault.between[1]}"
        case Flap():
            return f"flap {fault.target} {fault.times} x {fault.period_s:g} s"
        case Slow():
            return f"slow {fault.target} {fault.delay_s:g} s"
        case ChangeNetwork():
            return f"change network of {fault.target} to {fault.host}"
        case Call():
            return f"call {fault.target} → {fault.to}"
        case Originate():
            return f"originate {fault.target} → {fault.user}"
        case Order():
            return f"{fault.kind} {fault.target}"
        case _:
            return f"{fault.kind.replace('_', ' ')} {fault.target}"


def milliseconds(value_s: float | None) -> str:
    """A duration as milliseconds: ``2.3 ms``; "-" where there is none."""
    if value_s is None:
        return "-"
    value_ms = value_s * 1000
    return f"{value_ms:.1f} ms" if value_ms < 1000 else f"{value_ms:,.0f} ms"


def seconds(value_s: float | None, none: str = "-") -> str:
    """A duration as seconds: ``1.24 s``."""
    return none if value_s is None else f"{value_s:,.2f} s"


def share(part: float, whole: float) -> str:
    """A part of a whole: ``12.5 %``; "-" of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "-"
