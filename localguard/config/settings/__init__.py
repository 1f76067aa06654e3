"""Settings files of other programs, changed one value at a time: comments, order and formatting of everything else stay. Pure."""
