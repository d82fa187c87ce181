"""Builds the compiled part of the media core; everything else about the package stands in pyproject.toml."""

from __future__ import annotations

import os
import sys

from Cython.Build import cythonize
from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

REMEDY = {
    "linux": f"sudo apt-get install -y gcc libc6-dev python{sys.version_info[0]}.{sys.version_info[1]}-dev",
    "darwin": "xcode-select --install",
    "win32": "winget install Microsoft.VisualStudio.2022.BuildTools --override "
    '"--add Microsoft.VisualStudio.Workload.VCTools --passive"',
}


class Build(build_ext):
    """On all cores; says in one line what gets a missing compiler or missing headers."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self.parallel = os.cpu_count()

    def run(self) -> None:
        try:
            super().run()
        except (CCompilerError, ExecError, PlatformError) as error:
            remedy = REMEDY.get(sys.platform, "install a C compiler and Python's headers")
            sys.exit(f"{error}\nimsphone's media core is compiled. If a compiler or headers are missing: {remedy}")


setup(
    cmdclass={"build_ext": Build},
    ext_modules=cythonize(
        "imsphone/media/*.pyx",
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "emit_code_comments": False,
        },
    ),
)
