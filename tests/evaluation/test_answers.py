"""What a report shows of a model's answers."""

import numpy as np
import pytest
import torch

from dovetail.catalogue import build
from dovetail.contracts import Features
from dovetail.data.records import Caption, Record
from dovetail.data.sources.table import RecordTable
from dovetail.evaluation.benchmarks import Evidence, RetrievalBenchmark
from dovetail.evaluation.report.answers import TOP, examples, mistakes, similarities
from tests.evaluation.similarities import inner

N, WIDTH = 12, 12


class _Model:
    """Picture i, whose pixels are all i, lies on axis i; so do its captions `i a` and `i b`, unless confused."""

    similarity = inner

    def __init__(self, confused: dict[str, int] | None = None):
        self.confused = confused or {}

    def encode_image(self, images: list[np.ndarray]) -> Features:
        return Features(torch.stack([torch.eye(WIDTH)[int(image[0, 0, 0])] for image in images]))

    def encode_text(self, texts: list[str]) -> Features:
        rows = []
        for text in texts:
            row = torch.eye(WIDTH)[int(text.split()[0])] * 0.5
            row[self.confused.get(text, int(text.split()[0]))] += 0.5 if text not in self.confused else 0.75
            rows.append(row)
        return Features(torch.stack(rows))


def _evidence(model: _Model, count: int = N) -> Evidence:
    records = [
        Record(np.full((8, 8, 3), i, np.uint8), (Caption(f"{i} a"), Caption(f"{i} b")), f"picture {i}", i)
        for i in range(count)
    ]
    evidence = RetrievalBenchmark(RecordTable(records))(model).evidence
    assert isinstance(evidence, Evidence)
    return evidence


def test_examples_of_a_perfect_model_are_right() -> None:
    shown = examples(_evidence(_Model()), count=6)
    assert len(shown.text_queries) == 6 and len(shown.image_queries) == 3
    for query in shown.text_queries:
        assert query.rank == 1 and len(query.hits) == TOP
        assert [hit.right for hit in query.hits] == [True] + [False] * (TOP - 1)
        assert query.hits[0].name == f"picture {query.text.split()[0]}" and query.hits[0].score == pytest.approx(1.0)
        assert query.hits[0].image.getpixel((0, 0)) == (int(query.text.split()[0]),) * 3
    for query in shown.image_queries:
        assert query.rank == 1 and [hit.right for hit in query.hits] == [True, True] + [False] * (TOP - 2)
        own = query.name.split()[1]
        assert {hit.text for hit in query.hits[:2]} == {f"{own} a", f"{own} b"}


def test_examples_are_the_same_for_the_same_seed() -> None:
    evidence = _evidence(_Model())
    asked = [[query.text for query in examples(evidence, seed=seed).text_queries] for seed in (0, 0, 1)]
    assert asked[0] == asked[1] != asked[2]


def test_the_worst_mistake_comes_first_with_what_was_right() -> None:
    shown = mistakes(_evidence(_Model({"3 a": 7, "5 b": 2})))
    assert {wrong.text for wrong in shown.images} == {"3 a", "5 b"}
    three = next(wrong for wrong in shown.images if wrong.text == "3 a")
    assert (three.wrong.name, three.right.name, three.rank) == ("picture 7", "picture 3", 2)
    assert (three.wrong.score, three.right.score) == (pytest.approx(0.75), pytest.approx(0.5))
    assert not three.wrong.right and three.right.right


def test_a_perfect_model_makes_no_mistakes() -> None:
    shown = mistakes(_evidence(_Model()))
    assert shown.images == () and shown.captions == ()


def test_the_matrix_has_the_pairs_on_its_diagonal() -> None:
    shown = similarities(_evidence(_Model()))
    np.testing.assert_allclose(shown.matrix, np.eye(N), atol=1e-6)
    np.testing.assert_allclose(shown.matching, 1, atol=1e-6)
    assert len(shown.matching) == 2 * N
    np.testing.assert_allclose(shown.others, 0, atol=1e-6)
    assert len(shown.others) == 2 * N * (2 * N - 2)  # both captions of an image are its pairs, not others
    facts = {fact.name: fact.value for fact in shown.facts}
    assert facts["Alignment"] == "0.00" and facts["Modality gap"] == "0.00"


def test_little_data_is_shown_whole() -> None:
    evidence = _evidence(_Model(), count=2)
    assert [len(query.hits) for query in examples(evidence).text_queries] == [2] * 4
    assert similarities(evidence).matrix.shape == (2, 2)


def test_a_similarity_that_learns_is_shown_as_any_other() -> None:
    model = _Model()
    model.similarity = build("lorentz")
    shown = similarities(_evidence(model))
    assert (shown.matrix.argmax(1) == np.arange(N)).all() and shown.matrix.max() <= 0
