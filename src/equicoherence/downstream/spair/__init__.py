"""Points on things of one category, found again on another thing of it."""
