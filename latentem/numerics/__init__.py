"""Functions and equations that numpy and scipy do not have, or not as exactly; and how the library computes."""
