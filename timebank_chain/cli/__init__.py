"""How people use it: one file per noun, thin over the packages below.

Takes arguments, gives tables or versioned JSON, and ends with a documented exit code.
"""
