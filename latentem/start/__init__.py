"""Where runs begin, and where empty clusters begin again."""
