"""How near translations are to references, as sacrebleu counts it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Scores(NamedTuple):
    """How near translations are to their references, both from 0 to 100.

    Attributes:
      bleu: by runs of one to four words (Papineni et al., 2002).
      chrf: by runs of one to six characters (Popovic, 2015).
    """

    bleu: float
    chrf: float


def scores(texts: Sequence[str], references: Sequence[str]) -> Scores:
    """BLEU and chrF of a corpus, as sacrebleu computes them (Post, 2018), by default.

    Args:
      texts: `N` translations.
      references: for each one.

    Returns:
      `Scores`.

    Raises:
      ImportError: if sacrebleu is not installed; the message names the extra.

    Example:
      >>> scores(["Codice MFA non valido ora"], ["Codice MFA non valido ora"])
      Scores(bleu=100.0..., chrf=100.0)
    """
    sacrebleu = import_sacrebleu()
    bleu, chrf = (
        score(list(texts), [list(references)]).score
        for score in (sacrebleu.corpus_bleu, sacrebleu.corpus_chrf)
    )
    return Scores(bleu, chrf)


def import_sacrebleu() -> Any:
    """The package that scores translations; asked for before a training, it is not missed after it.

    Returns:
      The module.

    Raises:
      ImportError: if it is not installed; the message names the extra.

    Example:
      >>> import_sacrebleu().__name__
      'sacrebleu'
    """
    try:
        import sacrebleu
    except ImportError as error:
        raise ImportError('translations are scored by sacrebleu: pip install "seqjax[text]".') from error
    return sacrebleu
