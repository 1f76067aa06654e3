"""How well the guard detects, measured on our own labelled sets and on clean code, beside other tools."""
