"""What is wrong with a service or an instance, and what to do about it. Pure, but for the logs it shows."""
