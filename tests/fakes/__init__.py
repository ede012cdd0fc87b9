"""Servers at the outside edge: they speak a vendor's wire protocol, and fail on demand."""
