"""Pictures show the numbers that they are given: lines, maps and marks are read back from the axes."""

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.colors import LogNorm

from seqjax import plot


@pytest.fixture
def axes():
    figure, (axes,) = plot.new_figure(size=(3, 2))
    yield axes
    figure.canvas.draw()  # what was drawn can be laid out


LAG = np.subtract.outer(np.arange(6), np.arange(6))


def test_figures_have_their_axes_in_a_row():
    _, axes = plot.new_figure(2, 3, sharex=True)
    assert axes.shape == (6,)
    assert not any(each.spines[side].get_visible() for each in axes for side in ("top", "right"))


def test_without_axes_a_picture_has_a_figure_of_its_own():
    from matplotlib import pyplot

    axes = plot.band([1.0, 2.0], [1.0, 1.0])
    assert pyplot.gcf() is axes.figure
    pyplot.close(axes.figure)


def test_bands_reach_as_far_as_ninety_percent(axes):
    plot.band([2.0, 3.0], [1.0, 2.0], label="level", observations=[np.nan, 4.0], axes=axes)
    low, high = axes.collections[0].get_datalim(axes.transData).get_points()[:, 1]
    assert (low, high) == pytest.approx((3 - 2 * 1.6448536, 3 + 2 * 1.6448536))
    draws = np.random.default_rng(0).normal(size=200_000)
    assert np.mean(np.abs(draws) < plot.QUANTILE_90) == pytest.approx(0.9, abs=0.003)


def test_probabilities_of_states_stand_at_their_times(axes):
    shares = jnp.array([[0.9, 0.1], [0.4, 0.6], [0.0, 1.0]], jnp.bfloat16)
    plot.state_probabilities(shares, [0, 1, 1], [1990, 1991, 1992], names=["dry", "wet"], axes=axes)
    np.testing.assert_array_equal(axes.images[0].get_array(), np.asarray(shares, float).T)
    assert axes.images[0].get_extent() == [1989.5, 1992.5, -0.5, 1.5]
    for line in axes.lines:
        assert line.get_xdata().tolist() == [1990, 1991, 1992]
        assert line.get_ydata().tolist() == [0, 1, 1]


def test_norms_are_dark_where_small_and_blank_above_the_diagonal(axes):
    norms = np.where(LAG > 3, 0.0, 0.1 ** np.maximum(LAG, 0))
    norms[0, 5] = np.nan  # what is above the diagonal is not read
    plot.gradient_norms(norms, 0.2 ** np.maximum(LAG, 0), axes=axes)
    shown = axes.images[0].get_array()
    np.testing.assert_array_equal(shown.mask, LAG < 0)
    np.testing.assert_allclose(shown[LAG >= 0], np.maximum(norms, 1e-3)[LAG >= 0])
    assert isinstance(axes.images[0].norm, LogNorm)
    colours = axes.images[0].cmap(np.linspace(0, 1, 20))[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(colours) > 0).all()  # in a print without colours too
    assert not [line for line in axes.lines if line.get_label() == "exceeds the bound"]


def test_norms_that_neither_shrink_nor_grow_are_bright(axes):
    plot.gradient_norms(np.ones((3, 3)), axes=axes)
    assert axes.images[0].get_clim()[1] == 1


def test_norms_above_their_bound_are_crossed(axes):
    bound = 0.6 ** np.maximum(LAG, 0)
    norms = 0.5 ** np.maximum(LAG, 0)
    norms[4, 1] = 0.9
    plot.gradient_norms(norms, bound, axes=axes)
    (crosses,) = [line for line in axes.lines if line.get_label() == "exceeds the bound"]
    assert crosses.get_xydata().tolist() == [[1, 4]]


def test_gradients_flow_in_lines_that_differ_without_colour(axes):
    plot.gradient_flow({"first": [0.0, 0.1, 1.0], "second": [0.5, 0.2, 2.0]}, axes=axes)
    first, second = axes.lines
    np.testing.assert_array_equal(first.get_ydata(), [np.nan, 0.1, 1.0])
    assert first.get_linestyle() != second.get_linestyle()


def test_the_largest_singular_value_stands_out(axes):
    plot.singular_values([[1, 1, 1], [0.2, 0.9, 0.5]], [1, 1.1], lags=[0, 4], axes=axes)
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_array_equal(lines["largest: the norm"], [1, 0.9])
    np.testing.assert_array_equal(lines["bound"], [1, 1.1])
    assert axes.get_yscale() == "log"


def test_maps_are_white_at_zero_and_black_at_one(axes):
    plot.attention([[0.0, 1.0], [0.5, 0.5]], ["a", "b\x07"], ["c", "d"], axes=axes)
    image = axes.images[0]
    assert image.get_clim() == (0, 1)
    assert image.cmap(0.0)[:3] == (1, 1, 1)
    assert max(image.cmap(1.0)[:3]) < 0.01
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b\N{REPLACEMENT CHARACTER}"]


def test_gates_have_a_row_each(axes):
    plot.gates([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]], names=["input", "forget"], axes=axes)
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.1, 0.2, 0.3], [0.9, 0.8, 0.7]])


def test_paths_keep_their_distances_in_a_plane(axes):
    """States that lie in a plane are drawn as they are, but for a turn; padding is not drawn."""
    random = np.random.default_rng(0)
    flat = random.normal(size=(9, 3, 2))
    plane, _ = np.linalg.qr(random.normal(size=(5, 2)))
    states = flat @ plane.T + 7
    states[4:, 1] = 1e6
    plot.trajectories(states, ["a", "b", "a"], lengths=[9, 4, 0], axes=axes)
    paths = [line.get_xydata() for line in axes.lines if len(line.get_xydata()) > 1]
    for path, row, end in zip(paths, (0, 1), (9, 4), strict=True):
        np.testing.assert_allclose(
            np.linalg.norm(np.diff(path, axis=0), axis=1),
            np.linalg.norm(np.diff(flat[:end, row], axis=0), axis=1),
        )
    assert axes.get_legend_handles_labels()[1] == ["a", "b"]


def test_ensembles_show_their_median_and_their_range(axes):
    members = np.array([[3.0, 2.0], [5.0, 1.0], [4.0, 9.0]])
    plot.learning_curves({"one": [1.0, 2.0], "many": members}, [10, 20], axes=axes)
    assert axes.lines[1].get_ydata().tolist() == [4.0, 2.0]
    low, high = axes.collections[0].get_datalim(axes.transData).get_points()[:, 1]
    assert (low, high) == (1, 9)


def test_replicas_have_the_same_lines(axes):
    recurrent, inputs, outputs = (
        np.array([[1.0, -2.0], [0.0, 3.0]]),
        np.array([[1.0, -1.0]]),
        np.array([[2.0], [-1.0]]),
    )
    plot.unrolled(recurrent, inputs, outputs, num_steps=3, axes=axes)
    drawn = [(line.get_linewidth(), line.get_linestyle()) for line in axes.lines]
    assert len(drawn) == 3 * (3 + 2 + 2)  # a weight of zero is no line
    assert drawn[:7] == drawn[7:14] == drawn[14:]
    assert [style for _, style in drawn[:3]] == ["-", "--", "-"]
    assert drawn[2][0] > drawn[1][0] > drawn[0][0]
    assert len(axes.patches) == 2 * 4 + 3 + 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot.band([1.0], [[1.0]]), "deviation has shape (1, 1), expected [T]"),
        (lambda: plot.band([1.0, 2.0], [1.0, 2.0], [3]), "times has shape (1,), expected that of mean, (2,)"),
        (lambda: plot.band([], []), "mean has shape (0,), expected at least one number"),
        (lambda: plot.gradient_norms(np.ones((2, 3))), "expected [T, T], the two equal"),
        (lambda: plot.gradient_norms(np.zeros((2, 2))), "norms holds no positive, finite number"),
        (lambda: plot.gradient_norms(np.ones((2, 2)), np.ones((3, 3))), "expected that of norms, (2, 2)"),
        (lambda: plot.gradient_norms(np.eye(2), limits=(1, 0)), "limits is (1, 0), expected two positive"),
        (lambda: plot.gradient_flow([0.0]), "norms holds no positive number"),
        (lambda: plot.singular_values([[1.0]], [1.0, 2.0]), "bound has shape (2,), expected (1,)"),
        (lambda: plot.state_probabilities([[1.0]], [1]), "path holds other than integers from 0 to 0"),
        (lambda: plot.state_probabilities(np.ones((3, 1)), times=[1, 2, 9]), "times are not evenly spaced"),
        (lambda: plot.attention(np.eye(2), ["a"]), "written holds 1 labels, expected 2"),
        (lambda: plot.trajectories(np.ones((3, 1))), "states has feature size 1, expected at least 2"),
        (lambda: plot.trajectories(np.ones((3, 2)), lengths=[4]), "expected 1 integers from 0 to 3"),
        (lambda: plot.learning_curves({"a": [1.0]}, [1, 2]), "steps holds 2 numbers, but curves['a'] 1"),
        (lambda: plot.unrolled(np.eye(2), np.ones((1, 3))), "expected [H, H], [D, H] and [H, O]"),
        (lambda: plot.unrolled(np.eye(9)), "more than 8 units"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_named(call, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        call()
    assert message in str(caught.value)


def test_words_are_not_numbers():
    with pytest.raises(TypeError, match=r"mean is .*, expected real numbers"):
        plot.band(["a"], [1.0])
    with pytest.raises(TypeError, match="weights is a list, expected real numbers"):
        plot.attention([[1.0], [1.0, 2.0]])
