"""Rules that improve one node whose sources have been improved already; pure functions, ``Node`` to ``Node``.

The order matters: what is empty is cut away first, so that later rules see only nodes that do something.
"""

from collections.abc import Callable
from typing import TypeAlias

from qdrantlite.plan.nodes import Node
from qdrantlite.plan.rules.cut_nothing import cut_nothing

Rule: TypeAlias = Callable[[Node], Node]

RULES: tuple[Rule, ...] = (cut_nothing,)
