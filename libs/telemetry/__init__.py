"""Logs and traces, the same in every service and in the command line."""
