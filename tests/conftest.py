"""Settings that must be made before jax starts, and the fixtures that every test may use."""

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("MPLBACKEND", "agg")
# Nearly all the time goes into compiling programs that run once, which optimising does not repay. The older
# emitters of loops compile in half the time of the newer ones.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_llvm_disable_expensive_passes=true --xla_backend_optimization_level=0"
    " --xla_cpu_use_fusion_emitters=false",
)

import hypothesis
import jax
import pytest

pytest.register_assert_rewrite("tests.laws")

# Scripts that tests run in processes of their own, with several devices.
collect_ignore = ["training/in_processes.py", "training/on_devices.py"]

_common = {
    "deadline": None,  # the first example compiles
    "suppress_health_check": [
        hypothesis.HealthCheck.function_scoped_fixture,  # `key` and `x64` are the same for every example
        hypothesis.HealthCheck.too_slow,
    ],
}
hypothesis.settings.register_profile("ci", derandomize=True, max_examples=20, print_blob=True, **_common)
hypothesis.settings.register_profile("dev", max_examples=20, **_common)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture
def key() -> jax.Array:
    """A random key, the same in every test."""
    return jax.random.key(0)


@pytest.fixture
def x64() -> Iterator[None]:
    """Runs the test in double precision."""
    with jax.enable_x64(True):
        yield


MEMORY_MAPS = Path("/proc/self/maps")


@pytest.fixture(autouse=True, scope="module")
def _free_compiled_programs() -> Iterator[None]:
    """Forgets compiled programs before they are too many: Linux gives a process 65,530 memory maps."""
    yield
    if MEMORY_MAPS.exists() and MEMORY_MAPS.read_text(encoding="utf-8").count("\n") > 45_000:
        jax.clear_caches()


@functools.cache
def _unreachable_index() -> str:
    """Why a small archive cannot be had from the package index that pip is set up with; empty if it can."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    with tempfile.TemporaryDirectory() as folder:
        command += ["--retries", "0", "--timeout", "15", "--dest", folder, "iniconfig"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            return "pip did not answer within two minutes"
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Examples of recipes are slow tests: each compiles a network of its own."""
    for item in items:
        if isinstance(item, pytest.DoctestItem) and "recipes" in item.path.parts:
            item.add_marker(pytest.mark.slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips the tests that need a package archive where none can be had."""
    if item.get_closest_marker("network") and (reason := _unreachable_index()):
        pytest.skip(f"no package index can be reached: {reason}")
