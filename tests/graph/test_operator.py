"""operator_node in a real terminal: what is pressed is said."""

from __future__ import annotations

import os
import signal

import pytest
from graph_tools import Spy, World
from std_msgs.msg import String
from std_srvs.srv import SetBool
from test_teleop import Typist

from parrot.nodes import topics


@pytest.fixture
def typist(world: World):
    found = Typist(world, "-m", "parrot.nodes.operator_node")
    yield found
    found.end()


def test_each_key_says_its_word_and_the_e_stop_is_let_go_by_service(typist: Typist, spy: Spy):
    heard: list[str] = []
    released: list[bool] = []

    def release(request, response):
        released.append(request.data)
        response.success = True
        return response

    spy.node.create_subscription(String, topics.OPERATOR, lambda message: heard.append(message.data), 10)
    spy.node.create_service(SetBool, topics.ESTOP, release)
    spy.wait(lambda: "e-stop" in typist.said, what="the help")
    spy.wait(lambda: spy.node.count_publishers(topics.OPERATOR), what="the node")
    spy.wait(lambda: typist.type("s") or "success" in heard, what="a word")
    spy.spin(0.5)
    heard.clear()
    typist.type("frp x")
    spy.wait(lambda: len(heard) >= 4, what="words")
    assert heard == ["failure", "scene_ready", "pause", "estop"]
    typist.type("L")
    spy.wait(lambda: released, what="the release")
    assert released == [False]


def test_a_word_that_nobody_hears_is_told_and_ctrl_c_gives_the_terminal_back(typist: Typist, spy: Spy):
    spy.wait(lambda: "e-stop" in typist.said, what="the help")
    typist.type("s")
    spy.wait(lambda: "is arm_node running" in typist.said, what="the complaint")
    os.kill(typist.process.pid, signal.SIGINT)
    assert typist.process.wait(10) == 0
    assert not typist.raw()
