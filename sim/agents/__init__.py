"""Modelled peers of the edge: FreeSWITCH, softphones, call generators.

They are machines like the edge itself: hosted in virtual time by ``sim``, and on real sockets in a rehearsal.
"""
