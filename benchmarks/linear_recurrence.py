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
import concurrent.futures
import functools
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))
import harness
import report

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
CUTS = {  # by the chunks that a shape needs: lanes, rows, steps, chunks, warps
    "float32": [
        (16, 8, 32, 1, 4),
        (16, 8, 16, 1, 4),
        (16, 16, 16, 1, 8),
        (16, 16, 32, 1, 8),
        (16, 16, 16, 1, 4),
        (16, 32, 8, 1, 4),
        (16, 32, 8, 1, 8),
        (16, 32, 16, 1, 16),
        (8, 16, 16, 1, 4),
        (32, 8, 16, 1, 8),
        (32, 8, 16, 2, 8),
    ],
    "float32 narrow": [
        (16, 8, 32, 64, 4),
        (16, 16, 16, 64, 8),
        (16, 16, 16, 128, 8),
        (32, 8, 16, 128, 8),
        (64, 4, 16, 256, 8),
        (64, 2, 32, 512, 4),
        (64, 4, 16, 512, 4),
    ],
}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="small shapes: to see that all works")
    parser.add_argument("--sweep", action="store_true", help="the kernel cut in several ways, on a GPU")
    parser.add_argument("--only", nargs="+", default=[], metavar="FORM")
    parser.add_argument("--shapes", nargs="+", default=[], metavar="NAME", help=f"of {', '.join(RUNS)}")
    parser.add_argument("--seconds", type=float, default=0.3, help="of timing a figure, about")
    parser.add_argument("--compile-threads", type=int, default=1, help="more make times to compile longer")
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def compiled(function, arguments, repeats: int):
    """A program that computes `function` so many times, and the time to compile it.

    A GPU computes many of these figures in less time than Python takes to start a program. Each time takes
    a step from what the last gave, so that none of it can be computed once for all.
    """
    import jax

    def program(*arguments):
        def again(_, state):
            arguments, results = state
            a, b, _, *d = arguments
            if d:
                _, (_, _, step) = results  # the cotangent of `initial`
                arguments = (a, b, step, d[0].at[0].set(step))
            else:
                step = results[-1]
                arguments = (a, b.at[0].set(step), step)
            return arguments, function(*arguments)

        state = (arguments, function(*arguments))
        return jax.lax.fori_loop(1, repeats, again, state)[1] if repeats > 1 else state[1]

    begin = time.perf_counter()
    return jax.jit(program).lower(*arguments).compile(), time.perf_counter() - begin


def least_time(program, arguments, seconds: float, repeats: int) -> float:
    """Of a computation that a program repeats; programs of a group are waited for at its end."""
    import jax

    jax.block_until_ready(program(*arguments))
    begin = time.perf_counter()
    jax.block_until_ready(program(*arguments))
    once = time.perf_counter() - begin
    calls = max(1, min(20, int(seconds / 5 / once)))
    best = once
    for _ in range(5 if once < seconds else 1):
        begin = time.perf_counter()
        for _ in range(calls):
            result = program(*arguments)
        jax.block_until_ready(result)
        best = min(best, (time.perf_counter() - begin) / calls)
        del result
    return best / repeats


def copy_bandwidth(seconds: float, device: str) -> float:
    """Bytes read and written a second by the fastest of a few ways to copy a big array."""
    import jax.numpy as jnp

    x = jnp.ones((2**28 if device == "gpu" else 2**24,), jnp.float32)
    ways = (lambda x: x + 1, lambda x: -x)
    return 2 * x.nbytes / min(least_time(compiled(way, (x,), 1)[0], (x,), seconds, 1) for way in ways)


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


def forms(name: str, kind: str, num_steps: int, device: str, sweep: bool):
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
    if sweep:
        for sizes in CUTS.get(name, ()):
            cut = Cut(*sizes)
            forward = functools.partial(kernel, reverse=False, cut=cut)
            half = cut._replace(steps=cut.steps // 2)

            def gradient(a, b, initial, d, forward=forward, half=half):
                hs = forward(a, b, initial)
                return hs, kernel_gradient(a, hs, initial, d, reverse=False, cut=half)

            found[f"kernel {sizes}"] = (forward, gradient)
    return found


def run_shape(name: str, shape, kind: str, chosen: argparse.Namespace, bandwidth: float) -> list[dict]:
    """Prints a line a form, and returns what it found."""
    a, b, initial, d = make(shape, kind)
    arguments = {"forward": (a, b, initial), "gradient": (a, b, initial, d)}
    least = {"forward": a.nbytes + 2 * b.nbytes, "gradient": 3 * a.nbytes + 5 * b.nbytes}
    repeats = 20 if chosen.device == "gpu" and b.size < 2**24 else 1
    found = {
        form: dict(zip(arguments, functions, strict=True))
        for form, functions in forms(name, kind, shape[0], chosen.device, chosen.sweep).items()
        if not chosen.only or any(word in form for word in chosen.only)
    }

    def compile_form(form: str):
        once = {"looked at": compiled(found[form]["forward"], arguments["forward"], 1)}
        # A loop over steps takes so long that it needs no repeating.
        own = 1 if form == "sequential" else repeats
        return own, once | {way: compiled(found[form][way], arguments[way], own) for way in arguments}

    results = []
    with concurrent.futures.ThreadPoolExecutor(chosen.compile_threads) as pool:
        pending = {form: pool.submit(compile_form, form) for form in found}
        concurrent.futures.wait(pending.values())
    for form, future in pending.items():
        label = f"{name} {shape}"
        try:
            own, programs = future.result()
            hs = programs["looked at"][0](*arguments["forward"])
            error = error_of(a, b, initial, kind == "dense", hs)
            del hs
            seconds = {
                way: least_time(programs[way][0], arguments[way], chosen.seconds, own) for way in arguments
            }
        except Exception as failure:  # One form that fails must not cost the others' time on a device.
            print(f"{label:34}{form:26}failed: {type(failure).__name__}: {str(failure)[:300]}", flush=True)
            continue
        shares = {way: least[way] / bandwidth / seconds[way] for way in arguments}
        compiling = sum(spent for _, spent in programs.values())
        columns = "".join(f"{1e3 * seconds[way]:10.3f}{shares[way]:7.0%}" for way in arguments)
        print(f"{label:34}{form:26}{columns}{compiling:8.1f}s  {error:.0e}", flush=True)
        results.append(
            {"name": name, "shape": shape, "kind": kind, "form": form, "compile": compiling, "error": error}
            | seconds
            | {f"{way}_share": shares[way] for way in arguments}
        )
    return results


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
    default = Path(__file__).parent / "results" / f"linear_recurrence_{chosen.device}.json"
    whole = not (chosen.quick or chosen.only or chosen.shapes)
    output = chosen.output or (default if whole else None)
    document = {
        "title": str(__doc__).splitlines()[0],
        "environment": harness.environment(os.cpu_count() or 1, ("seqjax", "jax", "jaxlib", "numpy"))
        | {
            "device": device.device_kind,
            "copy_bytes_per_second": bandwidth,
            "compile_threads": chosen.compile_threads,
        },
        "unit": "seconds",
        "results": [],
    }
    runs = QUICK if chosen.quick else RUNS
    for name, (shape, kind) in runs.items():
        if chosen.shapes and name not in chosen.shapes:
            continue
        if chosen.device == "cpu" and name in ("float32 wide", "float32 long"):
            continue  # on a CPU as the shorter one, and gigabytes
        document["results"] += run_shape(name, shape, kind, chosen, bandwidth)
        if output is not None:
            report.write(output, document)
    if output is not None:
        print(f"\nwritten: {output}")


if __name__ == "__main__":
    main()
