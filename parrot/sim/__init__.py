"""The simulated world: PyBullet, an arm, a table, objects, a camera, and the tasks on them."""
