"""The Gymnasium environment: one task, a 48x48 RGB picture in, a 7-D action out (paper, section 5)."""

from __future__ import annotations

from functools import cache
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from parrot.errors import ConfigError
from parrot.sim import objectives
from parrot.sim.config import RobotConfig, SceneConfig, load_robot, load_scene
from parrot.sim.objects.catalogue import Catalogue, load_catalogue
from parrot.sim.scenes import sample_scene
from parrot.sim.scripted import NOISE, ScriptedPolicy, miss
from parrot.sim.tasks import get_task
from parrot.sim.world import World
from parrot.spaces import ACTION_DIM, EPISODE_STEPS, IMAGE_SHAPE, IMAGE_SIZE, check_action

__all__ = ["ManipulationEnv"]


@cache
def _catalogue() -> Catalogue:
    return load_catalogue()


class ManipulationEnv(gymnasium.Env[NDArray[np.uint8], NDArray[np.float32]]):
    """An arm, a table and three objects.

    Args:
        task: a name in `parrot.sim.tasks.TASKS`.
        robot: a name in `config/robots`, the path of a robot's YAML, or what was read from one.
        scene: a name in `sim/scenes`, the path of a scene's YAML, or what was read from one.
        terminate_on_success: end the episode on the first step that meets the objective.
        render_mode: only "rgb_array".
        render_size: pixels along each side of what `render` returns.
        catalogue: the objects; None: those of `sim/objects`.
        hide_unseen: do not draw what of the arm the camera never sees; the pictures are the same.

    Raises:
        ConfigError: an unknown task, robot or scene.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(
        self,
        task: str = "grasp_cap",
        robot: str | RobotConfig = "xarm6",
        scene: str | SceneConfig = "tabletop",
        terminate_on_success: bool = False,
        render_mode: str | None = None,
        render_size: int = 256,
        catalogue: Catalogue | None = None,
        hide_unseen: bool = True,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render_mode {render_mode!r} is not known; use rgb_array or leave it out")
        self.task = get_task(task)
        self.render_mode = render_mode
        self._render_size = render_size
        self._terminate = terminate_on_success
        self.catalogue = catalogue or _catalogue()
        config = robot if isinstance(robot, RobotConfig) else load_robot(robot)
        place = scene if isinstance(scene, SceneConfig) else load_scene(scene)
        self.world = World(config, place, hide_unseen)
        self.observation_space = gymnasium.spaces.Box(0, 255, IMAGE_SHAPE, np.uint8)
        self.action_space = gymnasium.spaces.Box(-1, 1, (ACTION_DIM,), np.float32)
        self._step = 0
        self._script: ScriptedPolicy | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """A new scene; `options={"noise": float}` sets the noise of `scripted_action`."""
        super().reset(seed=seed)
        self.scene = sample_scene(self.task, self.catalogue, self.world.scene.objects, self.np_random)
        self.world.place(self.scene.objects)
        if self.task.after_miss and not miss(self.world, self.scene.target, self.np_random):
            self.world.place(self.scene.objects)
        self._step = 0
        noise = float((options or {}).get("noise", NOISE))
        self._script = ScriptedPolicy(self.world, self.scene.target, self.scene.container, noise)
        return self._image(), self._info(False)

    def step(self, action: NDArray[np.floating]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """One control step; after 25 the episode is truncated.

        Raises:
            SpaceError: the action has another shape or is not finite; nothing moved.
        """
        self.world.step(check_action(action))
        self._step += 1
        success = objectives.met(self.world, self.task, self.scene)
        terminated = success and self._terminate
        truncated = self._step >= EPISODE_STEPS and not terminated
        return self._image(), float(success), terminated, truncated, self._info(success)

    def scripted_action(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """What the scripted policy does now, noise included; it reads privileged state."""
        if self._script is None:
            raise ConfigError("scripted_action before the first reset; call reset first")
        return self._script.action(rng)

    def render(self) -> NDArray[np.uint8]:
        """A larger picture from the same camera, with shadows: (render_size, render_size, 3) uint8."""
        return self.world.camera.picture(self._render_size, shadow=True)

    def close(self) -> None:
        """Ends the physics client."""
        self.world.close()

    def _image(self) -> NDArray[np.uint8]:
        return self.world.camera.picture(IMAGE_SIZE)

    def _info(self, success: bool) -> dict[str, Any]:
        return {
            "success": success,
            "task": self.task.name,
            "lifted": objectives.any_lifted(self.world),
            "ee": self.world.arm.tool(),
            "objects": {name: self.world.pose(name)[0] for name in self.world.objects},
        }
