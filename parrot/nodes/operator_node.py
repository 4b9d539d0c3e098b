"""The operator's keys beside a real arm, in a terminal of its own: done, given up, table set, pause, e-stop."""

from __future__ import annotations

from dataclasses import dataclass

from std_msgs.msg import String
from std_srvs.srv import SetBool

from parrot.nodes import topics
from parrot.nodes.base import GraphNode, run
from parrot.nodes.keyboard import keys_in
from parrot.nodes.terminal import Terminal

__all__ = ["OperatorNode", "OperatorNodeConfig", "main"]

KEYS = {"s": "success", "f": "failure", "r": "scene_ready", "p": "pause", " ": "estop"}
"""Key -> the word that it says."""

HELP = """\
  s  the task is done     r  the table is set          space  e-stop
  f  give the episode up  p  pause, and go on          L      let go of the e-stop     Ctrl-C  end"""


@dataclass(frozen=True)
class OperatorNodeConfig:
    """operator_node has no parameters."""


class OperatorNode(GraphNode[OperatorNodeConfig]):
    """Says what is pressed."""

    NAME = "operator_node"
    CONFIG = OperatorNodeConfig

    def __init__(self) -> None:
        super().__init__()
        self.terminal = Terminal()
        self.words = self.create_publisher(String, topics.OPERATOR, 10)
        self.stopping = self.create_client(SetBool, topics.ESTOP)
        self.every(0.02, self.read)

    def read(self) -> None:
        """Takes what was typed."""
        if not self.terminal.is_open:
            self.terminal.open()
            print(HELP, flush=True)
        for key in keys_in(self.terminal.read()):
            if key == "L":
                self.stopping.call_async(SetBool.Request(data=False))
                print("let go of the e-stop", flush=True)
            elif (word := KEYS.get(key)) is not None:
                self.words.publish(String(data=word))
                heard = self.words.get_subscription_count() > 0
                print(word if heard else f"{word}: nobody hears it; is arm_node running?", flush=True)
        self.finished = self.finished or self.terminal.ended

    def close(self) -> None:
        """Gives the terminal back."""
        self.terminal.close()


def main() -> None:
    """Runs the node."""
    run(OperatorNode)


if __name__ == "__main__":
    main()
