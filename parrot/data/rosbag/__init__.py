"""rosbag2 bags to episodes and back."""
