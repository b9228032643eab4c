"""Numbers in few bits: the formats of small state, and the random bits that round them.

The same bits come out of torch's operations (here), of the C kernel (kernels/cpu/formats.h) and of
the Triton kernel; tests/low_precision/test_rounding.py compares them.
"""
