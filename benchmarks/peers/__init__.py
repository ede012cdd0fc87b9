"""Servers that sttgate is compared with, each a program of its own."""
