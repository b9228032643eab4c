"""The elementwise step as one kernel: C on the CPU (cpu.py), Triton on CUDA (triton_step.py).

Nothing here knows groups or options: scalars come in, arrays are changed.
"""
