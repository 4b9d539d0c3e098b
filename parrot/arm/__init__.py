"""The real arm: limits between policy and driver, and translations into what drivers speak. No rclpy in here."""
