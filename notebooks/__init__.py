"""The notebooks: a package, so that they come along where siptwin is installed. `siptwin lab` opens them."""

from __future__ import annotations
