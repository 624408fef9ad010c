"""The commands of `easel`, one file a noun. Each file's `add_to` puts its commands on the application."""
