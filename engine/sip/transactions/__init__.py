"""Transactions: RFC 3261 §17 and RFC 6026."""

from __future__ import annotations

from engine.sip.transactions.layer import TransactionLayer, TransactionUser
from engine.sip.transactions.own import Asker
from engine.sip.transactions.transaction import ClientTransaction, ClientUser, ServerTransaction

__all__ = ["Asker", "ClientTransaction", "ClientUser", "ServerTransaction", "TransactionLayer", "TransactionUser"]
