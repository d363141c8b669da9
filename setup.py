# SPDX-License-Identifier: BSD-3-Clause
"""Build the kernels: one source, compiled once per instruction set, with OpenMP where it is.

What a compiler can do is found out by asking it, never from the name of this machine: the target
may be another one.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# -fassociative-math lets sums vectorise; NaN and infinity stay honest, unlike under -ffast-math.
# -finline-hint-functions, which Clang alone has, compiles what is not marked inline once: one
# thread and several then add up in the same order, which two copies of a function need not do.
# -fno-wrapv takes back one of Python's own flags, under which loops allow for indices that
# overflow: a sixth of the time of a pass.
MATH = [
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-fassociative-math",
    "-ffp-contract=fast",
    "-finline-hint-functions",
    "-fno-wrapv",
]
X86_64 = "(defined __x86_64__ || defined _M_X64)"
AVX2 = ["-mavx2", "-mfma"]
# 512-bit vectors: a tenth faster with few columns or float32, the same elsewhere.
AVX512 = ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mprefer-vector-width=512"]

# name: (what holds when the flags took effect, flags of GCC and Clang, flags of MSVC)
INSTRUCTION_SETS: dict[str, tuple[str, list[str], list[str]]] = {
    "baseline": ("1", [], []),
    "avx2": (f"{X86_64} && defined __AVX2__", AVX2, ["/arch:AVX2"]),
    "avx512": (f"{X86_64} && defined __AVX512VL__", AVX2 + AVX512, ["/arch:AVX512"]),
}

OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
HOMEBREW = "/opt/homebrew/opt/libomp:/usr/local/opt/libomp"


def openmp_spellings(msvc: bool) -> list[tuple[list[str], list[str]]]:
    """How compilers spell OpenMP, (compile, link)."""
    if msvc:
        return [(["/openmp"], [])]
    spellings = [(["-fopenmp"], ["-fopenmp"])]
    if sys.platform == "darwin":  # Apple's Clang knows the pragmas and lacks the library
        for prefix in os.environ.get("LIBOMP_PREFIX", HOMEBREW).split(":"):
            include = ["-Xpreprocessor", "-fopenmp", f"-I{prefix}/include"]
            library = [f"-L{prefix}/lib", f"-Wl,-rpath,{prefix}/lib", "-lomp"]
            spellings.append((include, library))
    return spellings


class BuildKernels(build_ext):
    """Chooses instruction sets and flags once the compiler is known."""

    def build_extensions(self) -> None:
        msvc = self.compiler.compiler_type == "msvc"
        math: list[str] = []
        for flag in [] if msvc else MATH:
            math += [flag] if self.accepts("", [*math, flag]) else []
        openmp_compile, openmp_link = self.find_openmp(msvc)
        chosen = []
        for extension in self.extensions:
            name = extension.name.rpartition("_")[2]
            condition, *flags = INSTRUCTION_SETS[name]
            instructions = flags[msvc]
            if self.accepts(f"#if !({condition})\n#error {name}\n#endif\n", instructions):
                extension.extra_compile_args = [*math, *instructions, *openmp_compile]
                extension.extra_link_args = openmp_link
                extension.sources = cythonize(extension, force=self.force)[0].sources
                chosen.append(extension)
        self.extensions = chosen
        self.parallel = True
        super().build_extensions()

    def find_openmp(self, msvc: bool) -> tuple[list[str], list[str]]:
        for compile_flags, link_flags in openmp_spellings(msvc):
            if self.accepts(OPENMP_PROGRAM, compile_flags, link_flags):
                return compile_flags, link_flags
        self.warn("this compiler has no OpenMP: the kernels will run on ONE thread")
        return [], []

    def accepts(
        self, program: str, compile_flags: list[str], link_flags: list[str] | None = None
    ) -> bool:
        """Whether a program compiles with these flags, and links if flags for that are given."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(program or "int probe;\n")
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=compile_flags
                )
                if link_flags is not None:
                    self.compiler.link_executable(
                        objects, str(Path(folder, "probe")), extra_postargs=link_flags
                    )
            except Exception:  # whatever a compiler says, it means no
                return False
        return True


setup(
    ext_modules=[
        Extension(
            f"logreg_c._kernels_{name}",
            [f"src/_kernels_{name}.pyx"],
            include_dirs=["src", numpy.get_include()],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
            depends=sorted(str(path) for path in Path("src").glob("*.[hp]*")),
        )
        for name in INSTRUCTION_SETS
    ],
    cmdclass={"build_ext": BuildKernels},
)
