"""How near does each form of a linear recurrence come to the speed at which memory can be copied?

    python benchmarks/linear_recurrence.py [--device gpu] [--quick] [--sweep] [--only kernel] [--output FILE]

For each shape and form: the time of the forward pass, and of the value with the gradients with respect to
all three arguments given a cotangent, and the share of copy bandwidth that this is. The least that must be
moved is 3 arrays forward (read a and b, write h) and 8 with the gradient (read a, h and the cotangent, write
two more); a constant coefficient counts by its size. Results are checked on a few lanes against a loop in
float64.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))
import harness

RUNS = {
    # name: (T, B, H), kind of coefficient
    "float32": ((4096, 8, 256), "full"),
    "float32 wide": ((1024, 64, 512), "full"),
    "float32 long": ((65_536, 8, 256), "full"),
    "float32 narrow": ((1_000_000, 1, 64), "full"),
    "constant a": ((4096, 8, 256), "constant"),
    "complex64": ((4096, 8, 256), "complex"),
    "matrices 4x4": ((16_384, 8, 4), "dense"),
}
QUICK = {"float32": ((256, 2, 16), "full"), "complex64": ((256, 2, 16), "complex")}
CUTS = [  # lanes, rows, steps, chunks, warps
    (16, 8, 32, 1, 4),
    (16, 8, 16, 1, 4),
    (16, 16, 16, 1, 8),
    (32, 4, 32, 1, 4),
    (32, 8, 16, 1, 8),
    (32, 4, 16, 4, 4),
    (64, 2, 32, 4, 4),
    (128, 1, 32, 8, 4),
]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="small shapes: to see that all works")
    parser.add_argument("--sweep", action="store_true", help="the kernel cut in several ways, on a GPU")
    parser.add_argument("--only", nargs="+", default=[], metavar="FORM")
    parser.add_argument("--shapes", nargs="+", default=[], metavar="NAME", help=f"of {', '.join(RUNS)}")
    parser.add_argument("--seconds", type=float, default=0.3, help="of timing a figure, about")
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def measure(function, arguments, seconds: float, look=lambda result: None) -> tuple[float, float, float]:
    """The least time of several groups of calls, that of compiling, and what a look at the result says.

    A group of calls is waited for at its end.
    """
    import jax

    begin = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    compiling = time.perf_counter() - begin
    seen = look(jax.block_until_ready(program(*arguments)))
    begin = time.perf_counter()
    jax.block_until_ready(program(*arguments))
    once = time.perf_counter() - begin
    # Calls of a group overlap with one another's dispatch, so that a short kernel is not timed by Python.
    calls = max(1, min(20, int(seconds / 5 / once)))
    best = once
    for _ in range(5 if once < seconds else 1):
        begin = time.perf_counter()
        for _ in range(calls):
            result = program(*arguments)
        jax.block_until_ready(result)
        best = min(best, (time.perf_counter() - begin) / calls)
        del result
    return best, compiling, seen


def copy_bandwidth(seconds: float, device: str) -> float:
    """Bytes read and written a second by the fastest of a few ways to copy a big array."""
    import jax.numpy as jnp

    x = jnp.ones((2**28 if device == "gpu" else 2**24,), jnp.float32)
    return (
        2
        * x.nbytes
        / min(measure(lambda x: x + 1, (x,), seconds)[0], measure(lambda x: -x, (x,), seconds)[0])
    )


def make(shape, kind):
    """`a`, `b`, `initial` and a cotangent."""
    import jax
    import jax.numpy as jnp

    num_steps, batch, hidden = shape
    keys = jax.random.split(jax.random.key(0), 4)

    @functools.partial(jax.jit, static_argnums=(1, 2))
    def normal(key, size, dtype):
        return jax.random.normal(key, size, dtype)

    dtype = jnp.complex64 if kind == "complex" else jnp.float32
    sizes = {"constant": (1, 1, hidden), "dense": (num_steps, batch, hidden, hidden)}
    a = jax.random.uniform(keys[0], sizes.get(kind, shape), jnp.float32, 0.8, 1.0)
    if kind == "complex":
        a = a * jnp.exp(1j * jax.random.uniform(keys[3], shape)).astype(dtype)
    a = a / hidden if kind == "dense" else a
    return a, normal(keys[1], shape, dtype), normal(keys[2], shape[1:], dtype), normal(keys[3], shape, dtype)


def error_of(a, b, initial, dense: bool, hs) -> float:
    """The largest error of a few lanes against a loop in float64, relative to the largest number."""
    import numpy as np

    rows = np.s_[:, :1] if dense else np.s_[:, :1, :3]
    own_a = np.asarray(a[:, :1, :3] if a.ndim == 3 else a[:, :1])
    cut = [own_a, np.asarray(b[rows]), np.asarray(initial[rows[1:]]), np.asarray(hs[rows])]
    wide = np.complex128 if np.iscomplexobj(hs) else np.float64
    own_a, own_b, h, got = (x.astype(wide) for x in cut)
    own_a = np.broadcast_to(own_a, (len(own_b), *own_a.shape[1:]))
    worst = largest = 0.0
    for t in range(len(own_b)):
        h = (np.einsum("...ij,...j->...i", own_a[t], h) if dense else own_a[t] * h) + own_b[t]
        worst, largest = max(worst, np.abs(h - got[t]).max()), max(largest, np.abs(h).max())
    return float(worst / largest)


def forms(kind: str, num_steps: int, device: str, sweep: bool):
    """By name `(forward, gradient)`; the gradient returns the value and the three cotangents."""
    import jax

    from seqjax import ops
    from seqjax.ops.kernels.linear_recurrence import Cut, kernel, kernel_gradient

    def run(method):
        forward = functools.partial(ops.linear_recurrence, method=method, dense=kind == "dense")

        def gradient(a, b, initial, d):
            hs, pull = jax.vjp(forward, a, b, initial)
            return hs, pull(d)

        return forward, gradient

    methods = ["auto"]
    if device == "cpu" or kind == "dense" or num_steps == 4096:
        methods += ["associative", "chunked"]  # elsewhere compiling takes longer than there is time for
    if device == "cpu" or (kind == "full" and num_steps == 4096):
        methods.append("sequential")  # on a GPU a launch or more a step
    found = {method: run(method) for method in methods}
    if device == "cpu":

        def scan(a, b, initial):
            def step(h, inputs):
                h = inputs[0] * h + inputs[1]
                return h, h

            return jax.lax.scan(step, initial, (jax.numpy.broadcast_to(a, b.shape), b))[1]

        def scan_gradient(a, b, initial, d):
            hs, pull = jax.vjp(scan, a, b, initial)
            return hs, pull(d)

        if kind != "dense":
            found["lax.scan"] = (scan, scan_gradient)
    if sweep and kind != "dense":
        for sizes in CUTS:
            cut = Cut(*sizes)
            forward = functools.partial(kernel, reverse=False, cut=cut)
            half = cut._replace(steps=cut.steps // 2)

            def gradient(a, b, initial, d, forward=forward, half=half):
                hs = forward(a, b, initial)
                return hs, kernel_gradient(a, hs, initial, d, reverse=False, cut=half)

            found[f"kernel {sizes}"] = (forward, gradient)
    return found


def main() -> None:
    """Runs, prints a line a figure, and writes what was found."""
    chosen = options()
    os.environ["JAX_PLATFORMS"] = {"cpu": "cpu", "gpu": "cuda"}[chosen.device]
    import jax

    device = jax.devices()[0]
    bandwidth = copy_bandwidth(chosen.seconds, chosen.device)
    print(
        f"{device.device_kind}, jax {jax.__version__}; copies {bandwidth / 1e9:,.0f} GB/s, read and written"
    )
    print(
        "milliseconds, the least of several; share of what copying the least that must be moved would take\n"
    )
    print(f"{'shape':34}{'form':26}{'forward':>10}{'share':>7}{'gradient':>10}{'share':>7}  compile  error")
    results = []
    runs = QUICK if chosen.quick else RUNS
    for name, (shape, kind) in runs.items():
        if chosen.shapes and name not in chosen.shapes:
            continue
        if chosen.device == "cpu" and name in ("float32 wide", "float32 long"):
            continue  # on a CPU as the shorter one, and gigabytes
        a, b, initial, d = make(shape, kind)
        least = (a.nbytes + 2 * b.nbytes, 3 * a.nbytes + 5 * b.nbytes)
        for form, functions in forms(kind, shape[0], chosen.device, chosen.sweep).items():
            if chosen.only and not any(word in form for word in chosen.only):
                continue
            label = f"{name} {shape}"
            try:
                look = functools.partial(error_of, a, b, initial, kind == "dense")
                forward, compiling, error = measure(functions[0], (a, b, initial), chosen.seconds, look)
                both, compiling_both, _ = measure(functions[1], (a, b, initial, d), chosen.seconds)
            except Exception as failure:  # One form that fails must not cost the others' time on a device.
                print(
                    f"{label:34}{form:26}failed: {type(failure).__name__}: {str(failure)[:300]}", flush=True
                )
                continue
            shares = [
                moved / bandwidth / seconds for moved, seconds in zip(least, (forward, both), strict=True)
            ]
            print(
                f"{label:34}{form:26}{1e3 * forward:10.3f}{shares[0]:7.0%}{1e3 * both:10.3f}{shares[1]:7.0%}"
                f"{compiling + compiling_both:8.1f}s  {error:.0e}",
                flush=True,
            )
            results.append(
                {
                    "name": name, "shape": shape, "kind": kind, "form": form, "forward": forward,
                    "forward_share": shares[0], "gradient": both, "gradient_share": shares[1],
                    "compile": compiling + compiling_both, "error": error,
                }
            )  # fmt: skip
        del a, b, initial, d
    document = {
        "title": str(__doc__).splitlines()[0],
        "environment": harness.environment(os.cpu_count() or 1, ("seqjax", "jax", "jaxlib", "numpy"))
        | {"device": device.device_kind, "copy_bytes_per_second": bandwidth},
        "unit": "seconds",
        "results": results,
    }
    default = Path(__file__).parent / "results" / f"linear_recurrence_{chosen.device}.json"
    whole = not (chosen.quick or chosen.only or chosen.shapes)
    output = chosen.output or (default if whole else None)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        print(f"\nwritten: {output}")


if __name__ == "__main__":
    main()
