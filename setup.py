"""The C kernel; everything else is in pyproject.toml, which cannot look at the environment.

The extension is optional: without a compiler the installation succeeds, and `fused=True` says why
it cannot. ADABELIEF_REQUIRE_KERNEL=1 makes a failed build fatal, for CI and wheels.
ADABELIEF_SANITIZE=1 builds it for AddressSanitizer and UndefinedBehaviorSanitizer.
"""

import os
import sys

from setuptools import Extension, setup

FOLDER = "src/adabelief/kernels/csrc/"
SOURCES = ["batch.c", "tensors.c", "choose.c", "kernel_baseline.c", "kernel_avx2.c"]
INCLUDED = ["row.h", "tensors.h", "dlpack.h"]
INCLUDED += ["kernel.inc", "arithmetic.inc", "formats.inc", "narrow.inc", "narrow_avx2.inc"]
# No contraction and no -ffast-math: the same bits on every machine. Without errno and traps sqrtf
# is one instruction, and vectorised.
FLAGS = ["-std=c11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]
FLAGS += ["-fvisibility=hidden", "-Wall", "-Wextra", "-g0"]
LINK: list[str] = []
if os.environ.get("ADABELIEF_SANITIZE"):
    SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g"]
    FLAGS += SANITIZE
    LINK += SANITIZE

setup(
    ext_modules=[
        Extension(
            "adabelief.kernels._cpu",
            sources=[FOLDER + name for name in SOURCES],
            depends=[FOLDER + name for name in INCLUDED],
            extra_compile_args=[] if sys.platform == "win32" else FLAGS,
            extra_link_args=LINK,
            py_limited_api=True,
            optional=not os.environ.get("ADABELIEF_REQUIRE_KERNEL"),
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
