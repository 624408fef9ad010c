"""When a service changes its size: pure decisions, one rule a file. Times are seconds since 1970."""
