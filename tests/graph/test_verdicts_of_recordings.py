"""What recorder_node calls kept is what `parrot data from-bags` yields, where a human judges episodes of sim_node."""

from __future__ import annotations

import re

import numpy as np
from graph_tools import Spy, World
from std_msgs.msg import String
from std_srvs.srv import Trigger

from parrot.cli import main
from parrot.data import Dataset
from parrot.nodes import topics


def test_the_recorders_count_is_the_datasets(world: World, spy: Spy, tmp_path):
    bag = world.folder / "bag"
    recorder = world.node("recorder_node", bag=bag, task="grasp_can", robot="xarm6", renderer="pybullet-tiny")
    world.node("sim_node", task="grasp_can", recorded=True)
    publisher = spy.node.create_publisher(String, topics.MARKER, topics.LOOP)
    spy.wait(lambda: publisher.get_subscription_count() > 0, what="the recorder's ear for markers")
    acted: list[int] = []
    marked = 0

    def call(name: str) -> str:
        answer = spy.call(Trigger, name, Trigger.Request())
        assert answer.success, answer.message
        return answer.message

    def all_recorded() -> bool:
        """Whether the recorder has all that was said: the topics have queues of their own."""
        shown, ended = len({stamp for stamp, _ in spy.images}), len(set(spy.stamps(topics.OUTCOME)))
        recorded = int(spy.status.get("recorder_node", {}).get("messages", 0))
        return spy.images[-1][0] > acted[-1] and recorded == 2 * shown + ended + len(acted) + marked

    def episode(steps: int) -> list[np.ndarray]:
        """Acts so many times; what was seen."""
        seen = []
        for _ in range(steps):
            spy.wait(lambda: spy.images and spy.images[-1][0] not in acted, what="an image")
            stamp, image = spy.images[-1]
            spy.wait(lambda: spy.matched(topics.ACTION), what="the simulator")
            acted.append(stamp)
            spy.act(stamp, [0.1 * len(acted) / 10] * 6 + [1.0])
            spy.wait(lambda s=stamp: s in spy.stamps(topics.OUTCOME), what="an outcome")
            seen.append(image)
        spy.wait(all_recorded, what="the recorder")
        return seen

    first = episode(3)
    marked += 1
    assert call("recorder_node/success").startswith("episodes kept: 1 (1 success, 0 failure)")
    call("reset")  # whose outcome says failure
    episode(2)
    marked += 1
    call("recorder_node/discard")
    call("reset")
    third = episode(2)
    call("reset")  # nobody says anything: a failure
    fourth = episode(2)
    publisher.publish(String(data="success"))  # without a service, as `ros2 topic pub` does
    spy.wait(lambda: spy.status.get("recorder_node", {}).get("success") == "2", what="the marker")
    assert call("recorder_node/failure").startswith("episodes kept: 3 (1 success, 2 failure)")  # thought better of
    call("reset")
    spy.wait(lambda: len([v for v in spy.vectors[topics.OUTCOME] if v[2][3]]) >= 4, what="the last reset")
    recorder.interrupt()
    assert recorder.wait(30) == 0, recorder.output
    assert re.search(r"bag: episodes kept: 3 \(1 success, 2 failure\), 1 discarded; \d+ messages", recorder.output)

    words = ["data", "from-bags", str(bag), "--out"]
    assert main([*words, str(tmp_path / "data")]) == 0
    (only,) = Dataset.open(tmp_path / "data")
    assert only.success
    assert np.array_equal(only.images, np.array(first))
    assert only.rewards.tolist() == [0.0, 0.0, 1.0]
    assert main([*words, str(tmp_path / "all"), "--keep-failures"]) == 0
    every = Dataset.open(tmp_path / "all")
    assert every.success.tolist() == [True, False, False]
    for found, seen in zip(every, (first, third, fourth), strict=True):
        assert np.array_equal(found.images, np.array(seen))
