"""`parrot launch`: runs our ROS 2 launch files where `launch` is not installed (PyPI has rclpy, but no `launch`).

`substitutions` and `actions` hold small stand-ins for those documented classes of `launch` and `launch_ros` that our
launch files use, `modules` lets a launch file import them under their real names, `loading` reads a launch file and
its arguments, `supervisor` runs the processes, `command` is the command line.
"""
