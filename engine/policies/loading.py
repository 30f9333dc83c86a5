"""Find a policy by the name of a stock one, by ``module:Class``, or by the path of a file.

Every world loads its policies here, so what a notebook tried is what production runs.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from engine.config import PolicyConfig
from engine.policy import Policy


class PolicyError(ValueError):
    """A policy that cannot be loaded; the text says in one line why, and what to do."""

    def __init__(self, why: str) -> None:
        super().__init__(" ".join(why.split()))  # an author's own errors may have many lines


def stock_policies() -> dict[str, type[Policy]]:
    """The policies that come with siptwin, by name."""
    package = importlib.import_module("engine.policies")
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        classes = _classes_in(importlib.import_module(f"engine.policies.{module.name}"))
        if classes:
            found[module.name] = classes[0]
    return found


def load_policy(config: PolicyConfig) -> Policy:
    """Make the policy that ``config`` names, with its options.

    Raises
    ------
    PolicyError
        With one line that says what is wrong and how to mend it.
    """
    policy_class = find_policy(config.use)
    try:
        policy = policy_class(**config.options)
    except TypeError as error:
        accepted = ", ".join(inspect.signature(policy_class).parameters) or "none"
        raise PolicyError(f"policy {config.use!r}: {error} - its options are: {accepted}") from error
    except Exception as error:  # the author's own checks
        raise PolicyError(f"policy {config.use!r} refuses its options: {error}") from error
    return policy


def find_policy(use: str) -> type[Policy]:
    """The class that a reference means. A file may hold several: ``file.py:Class`` picks one."""
    stock = stock_policies()
    if use in stock:
        return stock[use]
    place, colon, class_name = use.rpartition(":")
    if not colon:
        place, class_name = use, ""
    if place.endswith(".py") or use.endswith(".py"):
        module = _load_file(Path(place if place.endswith(".py") else use))
    elif colon:
        module = _import(place)
    else:
        names = ", ".join(sorted(stock))
        raise PolicyError(f"unknown policy {use!r} - use one of {names}, module:Class, or path/to/file.py")
    return _pick(module, class_name, use)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise PolicyError(f"policy file {str(path)!r} does not exist - give its path from where you stand")
    spec = importlib.util.spec_from_file_location(f"siptwin_policy_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise PolicyError(f"policy file {str(path)!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as an import does: dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise PolicyError(f"{path}:{error.lineno}: {error.msg}") from error
    except Exception as error:  # the author's own code
        raise PolicyError(f"policy file {str(path)!r} fails to load: {type(error).__name__}: {error}") from error
    return module


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # the author's own code
        raise PolicyError(f"cannot import {name!r}: {error} - is it installed, or on PYTHONPATH?") from error


def _pick(module: ModuleType, class_name: str, use: str) -> type[Policy]:
    if class_name:
        found = getattr(module, class_name, None)
        if not (isinstance(found, type) and issubclass(found, Policy)):
            raise PolicyError(f"policy {use!r}: {class_name} is not a subclass of engine.policy.Policy there")
        return found
    classes = _classes_in(module)
    if len(classes) != 1:
        names = ", ".join(found.__name__ for found in classes) or "none"
        raise PolicyError(f"policy {use!r} needs :Class, for the file holds several or none ({names})")
    return classes[0]


def _classes_in(module: ModuleType) -> list[type[Policy]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Policy)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    ]
