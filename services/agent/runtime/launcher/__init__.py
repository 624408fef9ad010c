"""The program above each process instance. It runs alone, on the standard library."""
