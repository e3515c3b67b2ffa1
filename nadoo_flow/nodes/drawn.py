"""What a diagram shows of a node."""

from __future__ import annotations

import re

from ..drawing.parts import Box, Part


class Drawn:
    """The base of all nodes, as far as they are drawn.

    Attributes:
        node_id: The id of the node.
    """

    node_id: str

    def to_mermaid(self) -> str:
        """Write the node, or what the pipeline is made of, as a Mermaid flowchart.

        Example:
            >>> print((FunctionNode(str.strip) | FunctionNode(str.upper)).to_mermaid())
            flowchart TD
                node0["strip<br/>FunctionNode"]
                node1["upper<br/>FunctionNode"]
                node0 --> node1
        """
        from ..drawing.diagram import write_mermaid

        return write_mermaid(self._describe_parts())

    def _repr_svg_(self) -> str:
        from ..drawing.diagram import draw_diagram

        return draw_diagram(self.node_id, self._describe_parts())

    def _describe_parts(self) -> tuple[Part, ...]:
        """Say what the node is made of, to be drawn."""
        return (Part((self._describe_box(),)),)

    def _describe_box(self) -> Box:
        """Say what is to be drawn of a node that is one; policies around it are named."""
        policies: list[str] = []
        node: Drawn = self
        while isinstance(inner := getattr(node, "node", None), Drawn):
            policies.append(_name_policy(node))
            node = inner
        details = [
            node._describe_detail(),
            f"with {', '.join(reversed(policies))}" if policies else "",
        ]
        return Box(self.node_id, type(node).__name__, " · ".join(filter(None, details)))

    def _describe_detail(self) -> str:
        """Say what is special about the node, to be drawn."""
        return ""


def _name_policy(policy: Drawn) -> str:
    """Write ``rate_limit`` for a RateLimitNode."""
    name = type(policy).__name__.removesuffix("Node")
    return re.sub(r"(?<=.)(?=[A-Z])", "_", name).lower()
