"""Media: what the two sides of a call are told of each other, and the table of rules by which their packets go.

Pure decisions only. Packets are forwarded by the host, in its fastest loop, by the rules that this room sets
(``rules``); the engine sees the exceptional ones: unknown source, STUN, DTLS, and summaries.

=================  ==================================================================================
``sdp``            parser and editor of session descriptions, multipart bodies (RFC 8866, RFC 5621)
``offer_answer``   what is an offer and what its answer, per dialog (RFC 3264, RFC 6337)
``profiles``       what each side can take, and the rewriting of one side's description for the other
``codecs``         pass through, renumber or transcode
``ports``          pairs of ports per interface
``latching``       whose packets are believed
``ice``            the ICE-lite agent (RFC 8445)
``rules``          the boundary with the data plane
``mos``            the E-model (ITU-T G.107)
=================  ==================================================================================
"""
