"""The media data plane of the real host: carries out what `engine.media.rules` orders, on UDP sockets.

    MediaPlane (signalling loop) ── Forwarder: a thread with the table of ports; native where built, else portable
         │                              ├─ strangers, STUN ──▶ the loop, bounded ──▶ engine
         │                              ├─ DTLS of a named peer ──▶ thread of hand-shakes ──▶ keys
         └──────────────────────────────└─ RTP to transcode ──▶ thread of codecs ──▶ out again

Established packets touch neither the engine nor its loop.
"""

from __future__ import annotations
