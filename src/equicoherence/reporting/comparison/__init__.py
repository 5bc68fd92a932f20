"""One page that puts the scores of several encoders side by side."""
