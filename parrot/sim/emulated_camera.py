"""The emulated arm's camera in a process of its own: drawing holds Python's lock, and physics must not wait for it.

`python -m parrot.sim.emulated_camera ROBOT SCENE WIDTH HEIGHT` reads a snapshot as a line of JSON and answers with the
picture's raw RGB bytes. It ends when its input does, and so with whoever started it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from typing import IO

import numpy as np
from numpy.typing import NDArray

from parrot.errors import ParrotError
from parrot.sim.config import load_robot, load_scene
from parrot.sim.emulated import Snapshot
from parrot.sim.objects.catalogue import load_catalogue
from parrot.sim.world import World

__all__ = ["CameraProcess"]


class CameraProcess:
    """The other end: draws a snapshot in the process.

    Args:
        robot: a name in `config/robots` or the path of a YAML file.
        scene: a name in `sim/scenes` or the path of a YAML file.
        width: pixels; the picture's height spans what the simulator's own square picture shows.
        height: pixels.
    """

    def __init__(self, robot: str, scene: str, width: int, height: int) -> None:
        self.shape = (height, width, 3)
        words = [sys.executable, "-m", "parrot.sim.emulated_camera", robot, scene, str(width), str(height)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def picture(self, snapshot: Snapshot) -> NDArray[np.uint8]:
        """What the camera sees: (height, width, 3) uint8 RGB. Blocks, without holding Python's lock.

        Raises:
            ParrotError: the process has died.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        data = b""
        try:
            self.process.stdin.write(json.dumps(dataclasses.asdict(snapshot)).encode() + b"\n")
            self.process.stdin.flush()
            data = self.process.stdout.read(int(np.prod(self.shape)))
        except (OSError, ValueError):
            pass
        if len(data) != np.prod(self.shape):
            raise ParrotError(f"the emulated camera's process {self.process.pid} has ended; start the node again")
        return np.frombuffer(data, np.uint8).reshape(self.shape)

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.wait()


def serve(robot: str, scene: str, width: int, height: int, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Draws until there are no more requests."""
    world, catalogue, placed = World(load_robot(robot), load_scene(scene)), load_catalogue(), 0
    for line in requests:
        shown = Snapshot(**json.loads(line))
        if shown.scene != placed:
            world.place([(catalogue[name], (x, y), yaw) for name, x, y, yaw in shown.objects], home=False)
            placed = shown.scene
        world.arm.set_joints(shown.joints)
        world.set_bodies(shown.bodies)
        answers.write(world.camera.wide(width, height).tobytes())
        answers.flush()


def main() -> None:
    """Serves standard input and output."""
    # Ctrl-C in a terminal reaches the whole process group; this process ends with its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the physics engine prints must not get among the pictures
    robot, scene, width, height = sys.argv[1:]
    try:
        serve(robot, scene, int(width), int(height), sys.stdin.buffer, answers)
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
