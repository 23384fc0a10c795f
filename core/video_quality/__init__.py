"""Quality score: how good a video looks, from 1 to 5, with no reference to compare with (METHODS 5)."""
