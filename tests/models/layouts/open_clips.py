"""Small models of open_clip's with random weights, in folders as open_clip writes them."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import timm
import torch
from safetensors.torch import save_file
from timm.models import register_model
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

CAPTIONS = [
    "a red circle",
    "Two small blue squares, left of a GREEN star!",
    "a dog's ball & 3 cats under_the snow-white table, which is longer than the context of this small model by far",
    "!",
    "",
    "a photo of an old man in a hat",
]
VISION: dict[str, Any] = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 8}
TEXT: dict[str, Any] = {"context_length": 16, "vocab_size": 49408, "width": 24, "heads": 3, "layers": 2}
BERT: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": 400,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}


@register_model
def vit_mini_patch8_siglip_32(**options: Any) -> timm.models.VisionTransformer:
    """A SigLIP image tower as timm has them, but small."""
    kept = {k: v for k, v in options.items() if k in ("num_classes", "global_pool", "img_size")}
    shape = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2.6}
    return timm.models.VisionTransformer(**(shape | {"class_token": False, "global_pool": "map"} | kept))


SIGLIP: dict[str, Any] = {
    "embed_dim": 16,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {
        "image_size": 32,
        "timm_model_name": "vit_mini_patch8_siglip_32",
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    },
    "text_cfg": {
        "context_length": 12,
        "vocab_size": 400,
        "hf_tokenizer_name": "somebody/words",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "width": 16,
        "heads": 2,
        "layers": 2,
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
        "act_kwargs": {"approximate": "tanh"},
    },
}


def config(vision: Mapping[str, Any] = {}, text: Mapping[str, Any] = {}, **whole: Any) -> dict[str, Any]:
    """A `model_cfg` with entries besides the usual ones."""
    return {"embed_dim": 12, "vision_cfg": VISION | dict(vision), "text_cfg": TEXT | dict(text)} | whole


def saved(model_cfg: dict[str, Any], folder: Path, pixels: Mapping[str, Any] = {}, half: bool = False) -> Any:
    """A model of open_clip's in `folder`, which is made; its every tensor random. Returns the model."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"model_cfg": model_cfg, "preprocess_cfg": dict(pixels)}
    (folder / "open_clip_config.json").write_text(json.dumps(whole))
    model: Any = opened(folder)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if not name.startswith("logit") and "running" not in name:
                p.copy_(torch.randn_like(p) * 0.3)
        for name, b in model.named_buffers():
            if name.endswith("running_var"):
                b.copy_(torch.rand_like(b) + 0.5)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    return model


def opened(folder: Path) -> Any:
    """What open_clip makes of a folder, in evaluation mode."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return open_clip.create_model(f"local-dir:{folder}", pretrained_text=False).eval()


def tokens(folder: Path, texts: list[str]) -> torch.Tensor:
    """The ids that open_clip makes of texts."""
    ids: torch.Tensor = open_clip.get_tokenizer(f"local-dir:{folder}")(texts)
    return ids


def words(folder: Path, bert: bool = False) -> None:
    """A small transformers tokenizer in a folder: BERT's kind, or one that ends texts with 1 and pads with it, as
    SigLIP's."""
    folder.mkdir(parents=True, exist_ok=True)
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"] if bert else ["<unk>", "</s>"]
    made: Any
    trainer: Any
    if bert:
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=special, show_progress=False)
    else:
        made = Tokenizer(models.BPE(unk_token="<unk>"))
        made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=special, show_progress=False)
    made.train_from_iterator(CAPTIONS, trainer)
    single, ids = ("[CLS] $A [SEP]", [("[CLS]", 1), ("[SEP]", 2)]) if bert else ("$A </s>", [("</s>", 1)])
    made.post_processor = processors.TemplateProcessing(single=single, special_tokens=ids)
    named = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"} if bert else {"pad_token": "</s>"}
    named |= {"unk_token": special[-1 if bert else 0]} | ({} if bert else {"eos_token": "</s>"})
    PreTrainedTokenizerFast(tokenizer_object=made, **named).save_pretrained(folder)
