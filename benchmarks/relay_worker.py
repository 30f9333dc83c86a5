"""siptwin's data plane by itself, holding the calls that a file lists, until its input ends."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from engine.live.loops import run
from engine.live.relay.certificate import new_certificate
from engine.live.relay.plane import MediaPlane
from engine.live.relay.settings import PlaneSettings
from engine.media.codecs import PayloadRule
from engine.media.rules import AddRule, BindPorts, Dtls, Port, PortsFailed, Rule, Sdes, SecurePort, Way
from engine.media.sdp.attributes import Crypto, Fingerprint

PASSED = {0: PayloadRule(0, 8_000, 8_000)}
TO_OPUS = {0: PayloadRule(96, 8_000, 48_000, b"pcmu", b"opus")}
FROM_OPUS = {96: PayloadRule(0, 48_000, 8_000, b"opus", b"pcmu")}


def set_up(plane: MediaPlane, call: dict[str, Any], config: dict[str, Any]) -> None:
    near, far = Port("near", call["near"]), Port("far", call["far"])
    caller, callee = tuple(call["caller"]), tuple(call["callee"])
    plane.carry_out(BindPorts(near))
    plane.carry_out(BindPorts(far))
    if config["keys"]:
        theirs, ours = (Crypto(1, config["suite"].encode(), bytes.fromhex(key)) for key in config["keys"])
        plane.carry_out(SecurePort(far, Sdes(theirs, ours)))
    elif config["fingerprint"]:
        fingerprint = Fingerprint(b"sha-256", bytes.fromhex(config["fingerprint"]))
        plane.carry_out(SecurePort(far, Dtls("passive", (fingerprint,), callee)))
    there, back = (TO_OPUS, FROM_OPUS) if config["opus"] else (PASSED, PASSED)
    to_caller, to_callee = Way(near, caller), Way(far, callee)
    plane.carry_out(AddRule(near, Rule(frozenset((caller,)), to_callee, to_callee, there, "")))
    plane.carry_out(AddRule(far, Rule(frozenset((callee,)), to_caller, to_caller, back, "")))


async def serve(path: Path) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    failed: list[PortsFailed] = []
    plane = MediaPlane(
        {"near": config["near"], "far": config["far"]},
        lambda event: failed.append(event) if isinstance(event, PortsFailed) else None,
        certificate=new_certificate(),
        settings=PlaneSettings(**config["settings"]),
    )
    plane.start()
    for call in config["calls"]:
        set_up(plane, call, config)
    await asyncio.sleep(0)
    if failed:
        sys.exit(f"ports failed: {failed[0]}")
    print("ready", flush=True)
    path.with_suffix(".ready").touch()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(15, stop.set)
    await stop.wait()
    path.with_suffix(".stats").write_text(json.dumps(plane.stats()._asdict()), encoding="utf-8")
    plane.stop()


if __name__ == "__main__":
    run(serve(Path(sys.argv[1])))
