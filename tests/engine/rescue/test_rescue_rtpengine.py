"""The death of a node where rtpengines relay the media."""

from __future__ import annotations

from engine.config import RegistrarConfig, RescueConfig
from engine.notes import MediaMoved
from tests.engine.harness import Peer
from tests.engine.media.ng.relay_world import RelayWorld
from tests.engine.media.test_media_edge import NODE
from tests.engine.media.written import BARESIP
from tests.engine.registrar.registering import WEB
from tests.engine.rescue.conversations import Conversation, in_dialog


def rescuing() -> RelayWorld:
    """An edge with two rtpengines, which rescues."""
    return RelayWorld(rescue=RescueConfig(), registrar=RegistrarConfig(), interfaces=WEB)


def moves(world: RelayWorld, conversation: Conversation, contact_of_a: str) -> None:
    """One rtpengine after another dies and comes back, so that all calls are moved. A answers from elsewhere."""
    peers: tuple[Peer, ...] = (conversation.a, conversation.b, conversation.node)
    known = {peer: len(peer.got("INVITE")) for peer in peers}
    for number in (1, 2):
        world.kill(number)
        for _ in range(2):  # one side is asked after the other has answered
            for peer in peers:
                for asked in peer.got("INVITE")[known[peer] :]:
                    known[peer] += 1
                    lines = (f"Contact: <{contact_of_a}>",) if peer is conversation.a else ()
                    peer.replies(asked, 200, *lines, body=NODE if peer is conversation.node else BARESIP)
        world.revive(number)


def test_the_edge_counts_on_from_what_it_has_asked_itself_and_knows_where_the_agent_answered() -> None:
    """An agent refuses a BYE whose number is below that of a re-INVITE it has had (RFC 3261 §12.2.2)."""
    world = rescuing()
    conversation = Conversation(world)
    moves(world, conversation, "sip:elsewhere@198.51.100.7:5060")
    assert world.told(MediaMoved)
    conversation.dies()
    for agent in (conversation.a, conversation.b):
        (bye,) = in_dialog(agent, "BYE")
        numbers = [int(wire["cseq"].split()[0]) for wire in agent.got("INVITE")]
        assert numbers
        assert int(bye["cseq"].split()[0]) > max(numbers)
    (bye,) = in_dialog(conversation.a, "BYE")
    assert bye.start.split()[1] == "sip:elsewhere@198.51.100.7:5060"
