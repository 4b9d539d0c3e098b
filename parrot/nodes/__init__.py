"""The ROS 2 nodes: thin, everything they do is called from elsewhere. Nothing outside this package imports rclpy."""
