"""What runs an affine cell is chosen for the device that a program is compiled for."""

import jax
import jax.numpy as jnp

import seqjax as sj


def test_auto_is_a_loop_over_steps_on_a_cpu_and_a_kernel_on_cuda():
    cell = sj.lru(4)
    params = jax.eval_shape(lambda key: cell.init(key, 3), jax.random.key(0))
    xs = jax.ShapeDtypeStruct((32, 2, 3), jnp.float32)
    texts = {}
    for method in ("auto", "scan", "associative"):
        traced = jax.jit(lambda *x, method=method: sj.unroll(cell, *x, method=method)).trace(params, xs)
        texts[method] = {
            platform: traced.lower(lowering_platforms=(platform,)).as_text() for platform in ("cpu", "cuda")
        }
    assert texts["auto"]["cpu"].count("stablehlo.while") == texts["scan"]["cpu"].count("stablehlo.while") == 1
    assert texts["auto"] == texts["associative"]
    assert texts["auto"]["cuda"].count("custom_call @__gpu$xla.gpu.triton") == 1
    assert "stablehlo.while" not in texts["auto"]["cuda"]
