"""Showreel's core library: the five video tools, without a user interface."""
