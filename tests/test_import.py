"""What `import seqjax` brings in and what it leaves alone, each seen from a fresh process."""

import json
import subprocess
import sys
import textwrap


def run(code: str):
    """What `code` prints, as JSON, in a Python process of its own."""
    code = textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_imports_nothing_beyond_its_core_dependencies():
    extra = run(
        """
        import json, sys

        def third_party():
            return {name.partition(".")[0] for name in list(sys.modules)} - set(sys.stdlib_module_names)

        import flax.struct, jax.numpy, jax.scipy.linalg, optax
        before = third_party()
        import seqjax
        print(json.dumps(sorted(third_party() - before - {"seqjax"})))
        """
    )
    assert extra == []


def test_optional_packages_are_imported_by_the_functions_that_need_them():
    imported = run(
        """
        import json, sys, flax.struct, optax

        optional = {"IPython", "PIL", "chex", "keras", "matplotlib", "platformdirs", "pytest", "rich",
                    "safetensors", "tokenizers", "torch"}
        optional -= set(sys.modules)  # what jax, flax and optax import themselves

        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in optional:
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, Refuse())

        import importlib, pkgutil, seqjax

        def fail(name):
            raise

        names = [module.name for module in pkgutil.walk_packages(seqjax.__path__, "seqjax.", onerror=fail)]
        for name in names:
            if not name.endswith("__main__"):
                importlib.import_module(name)
        print(json.dumps(names))
        """
    )
    assert "seqjax.types" in imported


def test_import_starts_no_device_and_changes_no_setting():
    same_settings, devices = run(
        """
        import json, os, flax.struct, jax, optax

        def settings():
            return dict(jax.config.values), dict(os.environ)

        before = settings()
        import seqjax
        same_settings = settings() == before
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", 3)  # refused once a device was started
        print(json.dumps([same_settings, jax.device_count()]))
        """
    )
    assert same_settings
    assert devices == 3
