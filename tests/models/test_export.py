"""Exported towers give torch's numbers, for any batch and any length of text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dovetail.catalogue import build
from dovetail.contracts import Encoder, Tokens
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.text import train_bpe
from dovetail.models import export as exporting
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.export import OPSET, export, quantize
from dovetail.models.exported import Exported
from dovetail.models.files import CheckpointError
from dovetail.ops.similarity import normalize
from tests.contracts import samples
from tests.models.hf_duals import CONFIGS
from tests.models.small import TEXTS, pictures
from tests.models.unchecked import unchecked

onnx = pytest.importorskip("onnx")
BERT = {"model_type": "bert", "vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 32}  # fmt: skip
WORDS = "vocabulary=300, context=32, width=16, depth=1, heads=2"
PIXELS = "size=32, patch=8, width=16, depth=1, heads=2"
PAIRS = {
    "clip": (f"clip_vit({PIXELS})", f"clip_text({WORDS}, activation='quick_gelu')"),
    "clip by id": (f"clip_vit({PIXELS}, norm_before=False)", f"clip_text({WORDS}, end=2)"),
    "own": (f"vit({PIXELS})", f"text_transformer({WORDS})"),
    "siglip": (f"siglip_vit({PIXELS})", f"siglip_text({WORDS})"),
    "libraries": ("timm(name='test_vit', size=32)", f"hf_text(config={BERT})"),
    "convolutions": ("timm(name='test_resnet', size=32)", f"text_transformer({WORDS})"),
    "vit and bert": (f"hf_dual_image({CONFIGS['vit and bert']})", f"hf_dual_text({CONFIGS['vit and bert']})"),
    "groupvit": (f"hf_dual_image({CONFIGS['groupvit']})", f"hf_dual_text({CONFIGS['groupvit']})"),
    "align": (f"hf_dual_image({CONFIGS['align']})", f"hf_dual_text({CONFIGS['align']})"),
    "altclip": (f"hf_dual_image({CONFIGS['altclip']})", f"hf_dual_text({CONFIGS['altclip']})"),
}
QUICK = ("clip",)  # `own` is the one of the other tests


def dual(name: str, bias: float | None = None) -> DualEncoder:
    """A small model with random weights, of which none is without effect."""
    torch.manual_seed(0)
    image, text = (build(spec, Encoder) for spec in PAIRS[name])
    model = DualEncoder(
        image=image,
        text=text,
        embed_dim=12,
        preprocessing=Preprocessing(size=32),
        tokenizer=train_bpe(TEXTS, vocab_size=300, context=32),
        similarity=build("cosine"),
        scale=7.0,
        bias=bias,
    ).eval()
    for p in model.parameters():
        if p.ndim:
            p.data.add_(0.1 * torch.randn_like(p))
    return model


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[DualEncoder, Path]:
    """A model, in training as it was before the export, and where it was exported to."""
    model = dual("own", bias=-3.0).train()
    with unchecked():
        return model, export(model, tmp_path_factory.mktemp("onnx"))


@pytest.fixture
def exported(written: tuple[DualEncoder, Path]) -> Path:
    return written[1]


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in PAIRS])
def test_the_numbers_are_torch_s(name: str, tmp_path: Path) -> None:
    model = dual(name)
    with unchecked():
        found = Exported(export(model, tmp_path))
    for n in (1, 3):
        np.testing.assert_allclose(found.encode_image(pictures(n)), model.encode_image(pictures(n)), atol=1e-4)
    for texts in (TEXTS, TEXTS[:1], TEXTS[1:2]):  # the empty one among them
        np.testing.assert_allclose(found.encode_text(texts), model.encode_text(texts), atol=1e-4)


def test_what_lies_in_the_padding_makes_no_difference(exported: Path) -> None:
    model, found = dual("own", bias=-3.0), Exported(exported)
    ids, mask = torch.randint(3, 300, (3, 20)), torch.arange(20)[None, :] < torch.tensor([20, 4, 9])[:, None]
    with torch.no_grad():
        expected = normalize(model.text_features(Tokens(ids, mask)).pooled)
    got = found.run("text", {"ids": ids.numpy(), "mask": mask.long().numpy()})
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-4)


def test_the_files_say_what_is_needed(exported: Path) -> None:
    model, notes = dual("own", bias=-3.0), json.loads((exported / "export.json").read_text())
    assert notes["scale"] == pytest.approx(7.0) and notes["bias"] == pytest.approx(-3.0) and notes["embed_dim"] == 12
    assert Preprocessing.from_json(notes["preprocessing"]) == model.preprocessing
    for name, inputs in notes["inputs"].items():
        graph = onnx.load(exported / notes["files"]["float32"][name])
        onnx.checker.check_model(graph)
        assert [i.name for i in graph.graph.input] == inputs and graph.graph.output[0].name == notes["output"]
        assert {o.version for o in graph.opset_import if o.domain in ("", "ai.onnx")} == {OPSET} == {notes["opset"]}
        free = [d.dim_param for d in graph.graph.input[0].type.tensor_type.shape.dim]
        assert all(free[:1] if name == "image" else free)
    assert sorted(p.name for p in exported.iterdir() if "int8" not in p.name) == [
        "export.json", "image.onnx", "text.onnx", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip


def test_eight_bits_are_near_and_smaller(exported: Path) -> None:
    model = dual("own", bias=-3.0)
    quantize(exported)
    found = Exported(exported, "int8")
    likeness = (found.encode_text(TEXTS) * model.encode_text(TEXTS)).sum(1)
    seen = (found.encode_image(pictures(3)) * model.encode_image(pictures(3))).sum(1)
    assert likeness.min() > 0.98 and seen.min() > 0.98
    graph = onnx.load(exported / "text.int8.onnx").graph
    assert {i.data_type for i in graph.initializer} >= {onnx.TensorProto.INT8}


def test_the_model_itself_stays_as_it_was(written: tuple[DualEncoder, Path]) -> None:
    model, fresh = written[0], dual("own", bias=-3.0).state_dict()
    assert model.training and all(torch.equal(v, fresh[k]) for k, v in model.state_dict().items())


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = exporting.importlib.util.find_spec
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda n: None if n == "onnxscript" else found(n))
    with pytest.raises(CheckpointError, match=r"export needs onnxscript\. Run: pip install 'dovetail\[export\]'"):
        export(dual("own"), tmp_path)


def test_another_similarity_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[str, Any] = {"method": "filip"}
    monkeypatch.setattr(exporting, "configuration", lambda thing: held)
    with pytest.raises(CheckpointError, match="the similarity filip is more than a product of two vectors"):
        export(dual("own"), tmp_path)
    assert not list(tmp_path.iterdir())


class Pooled(torch.nn.Module):
    """A tower's vectors alone, of tensors alone."""

    def __init__(self, tower: Any):
        super().__init__()
        self.tower = tower

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        x = Tokens(given[0], given[1] > 0) if len(given) == 2 else given[0]
        found: torch.Tensor = self.tower(x).pooled
        return found


@pytest.mark.slow
@pytest.mark.parametrize("make", samples.samples(Encoder))
def test_every_tower_s_graph_takes_any_batch_and_length(make: samples.Make) -> None:
    """`len(x)` fixes the batch of a graph, and looking at numbers (`bool(mask.all())`) ends it; `x.shape[0]` does
    neither."""
    tower = make().eval()
    given = [_given(samples.inputs(tower, b), words) for b, words in ((3, 12), (5, 7))]
    dimensions = (0, 1) if samples.reads_text(tower) else (0,)
    free = tuple(dict.fromkeys(dimensions, torch.export.Dim.DYNAMIC) for _ in given[0])
    with unchecked():
        graph = torch.export.export(Pooled(tower), given[0], dynamic_shapes=(free,), strict=False).module()
        for x in given:
            torch.testing.assert_close(graph(*x), Pooled(tower)(*x), rtol=1e-4, atol=1e-5)


def _given(x: Any, words: int) -> tuple[torch.Tensor, ...]:
    return (x,) if isinstance(x, torch.Tensor) else (x.ids[:, :words], x.mask[:, :words].long())
