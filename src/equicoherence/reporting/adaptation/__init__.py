"""What an encoder gained and what it kept: one table, one chart, one page."""
