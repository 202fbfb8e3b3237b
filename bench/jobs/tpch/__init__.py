"""TPC-H: the same 22 queries on several systems, side by side."""
