"""Objects in poses: 3DIEBench's layout, what its renders show, and which of them are seen together."""
