# SPDX-License-Identifier: BSD-3-Clause
"""Build the kernels: one source, compiled once per instruction set, with OpenMP where it is."""

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# -fassociative-math lets sums vectorise; NaN and infinity stay honest, unlike under -ffast-math.
MATH = [
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fassociative-math",
    "-fno-signed-zeros",
    "-ffp-contract=fast",
]
AVX2 = ["-mavx2", "-mfma"]
# 256-bit vectors: as fast at memory speed, and shorter loops leave shorter remainders.
AVX512 = ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mprefer-vector-width=256"]

# name: (flags of GCC and Clang, flags of MSVC)
INSTRUCTION_SETS: dict[str, tuple[list[str], list[str]]] = {"baseline": ([], [])}
if platform.machine().lower() in ("x86_64", "amd64") and "arm64" not in os.environ.get(
    "ARCHFLAGS", ""
):
    INSTRUCTION_SETS["avx2"] = (AVX2, ["/arch:AVX2"])
    INSTRUCTION_SETS["avx512"] = (AVX2 + AVX512, ["/arch:AVX512"])

# How compilers spell OpenMP, (compile, link); the first that works is taken.
OPENMP_SPELLINGS = {
    "win32": [(["/openmp"], [])],
    "darwin": [(["-Xpreprocessor", "-fopenmp"], ["-lomp"]), (["-fopenmp"], ["-fopenmp"])],
}
OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"


def libomp_folders() -> tuple[list[str], list[str]]:
    """Find libomp on macOS: LIBOMP_PREFIX, or where Homebrew put it."""
    if sys.platform != "darwin":
        return [], []
    prefix = os.environ.get("LIBOMP_PREFIX")
    if prefix is None:
        try:
            found = subprocess.run(
                ["brew", "--prefix", "libomp"], capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return [], []
        prefix = found.stdout.strip()
    return [f"-I{prefix}/include"], [f"-L{prefix}/lib"]


class BuildKernels(build_ext):
    """Chooses the compiler's flags when the compiler is known."""

    def build_extensions(self) -> None:
        msvc = self.compiler.compiler_type == "msvc"
        compile_flags, link_flags = self.find_openmp()
        for extension in self.extensions:
            instructions = INSTRUCTION_SETS[extension.name.rpartition("_")[2]]
            extension.extra_compile_args = (
                ["/O2", *instructions[1]] if msvc else [*MATH, *instructions[0]]
            ) + compile_flags
            extension.extra_link_args = link_flags
        super().build_extensions()

    def find_openmp(self) -> tuple[list[str], list[str]]:
        """Return the flags with which a program that uses OpenMP compiles and links."""
        include, library = libomp_folders()
        spellings = OPENMP_SPELLINGS.get(sys.platform, [(["-fopenmp"], ["-fopenmp"])])
        for compile_flags, link_flags in spellings:
            flags = include + compile_flags, library + link_flags
            with tempfile.TemporaryDirectory() as folder:
                source = Path(folder, "probe.c")
                source.write_text(OPENMP_PROGRAM)
                try:
                    objects = self.compiler.compile(
                        [str(source)], output_dir=folder, extra_postargs=flags[0]
                    )
                    self.compiler.link_executable(
                        objects, str(Path(folder, "probe")), extra_postargs=flags[1]
                    )
                except Exception:  # whatever a compiler says, it means no
                    continue
            return flags
        print("logreg_c: this compiler has no OpenMP; the kernels will run on one thread")
        return [], []


extensions = [
    Extension(
        f"logreg_c._kernels_{name}",
        [f"src/_kernels_{name}.pyx"],
        include_dirs=["src", numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        depends=[str(path) for path in sorted(Path("src").glob("*.[ph]*"))],
    )
    for name in INSTRUCTION_SETS
]

setup(
    ext_modules=cythonize(extensions, include_path=["src"]),
    cmdclass={"build_ext": BuildKernels},
)
