"""Small models of transformers in folders as it saves them: random weights, a tokenizer and an image processor."""

from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    Siglip2Config,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    Siglip2Tokenizer,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

CONTEXT = 16
TEXTS = [
    "a red circle",
    "The dog, and: A Ball!",
    "",
    "ein Fuß im Schnee",
    "the end of a text that is longer than all " * 3,
]
WORDS = ["a", "the", "red", "dog", "and", "ball", "circle", "th", "e", "of", "text"]
VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
TEXT = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 60}
PATCHES = {"image_size": 32, "patch_size": 8}


def clip_tokenizer(**changes: Any) -> CLIPTokenizer:
    """CLIP's, of the bytes and five merges; the end has the highest id but one."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e</w>"), ("r", "e"), ("re", "d</w>"), ("a", "n")]
    words = [*letters, *(c + "</w>" for c in letters), *map("".join, merges), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CONTEXT, **changes)


def clip(folder: Path, act: str = "quick_gelu", legacy: bool = False, **vision: Any) -> CLIPModel:
    """A CLIPModel whose towers differ in width. legacy: pooled at the highest id, as eos_token_id 2 says."""
    tokenizer = clip_tokenizer()
    end = 2 if legacy else tokenizer.eos_token_id
    text = {**TEXT, "hidden_act": act, "vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT}
    config = CLIPConfig(
        text_config={**text, "eos_token_id": end, "layer_norm_eps": 1e-3, "projection_dim": 12},
        vision_config={**VISION, **PATCHES, "hidden_act": act, "projection_dim": 12, **vision},
        projection_dim=12,
    )
    model = randomised(CLIPModel(config), 1.7)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return model


def unigram() -> tokenizers.Tokenizer:
    """A little like SentencePiece's, without any cleaning of texts."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"\u2581{w}", -2.0 - i / 8) for i, w in enumerate(WORDS)] + [
        (c, -9.0) for c in "\u2581abcdefghilmnorstx"
    ]
    backend = tokenizers.Tokenizer(models.Unigram(pieces, 2, False))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", "always")
    backend.decoder = decoders.Metaspace("\u2581", "always")
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return backend


def siglip_tokenizer() -> PreTrainedTokenizerFast:
    """Pads with its end, as SigLIP's does."""
    return PreTrainedTokenizerFast(
        tokenizer_object=unigram(),
        eos_token="</s>",
        pad_token="</s>",
        unk_token="<unk>",
        model_max_length=CONTEXT,
        model_input_names=["input_ids"],
    )


def siglip(folder: Path, width: int = 32, **vision: Any) -> SiglipModel:
    """A SiglipModel whose text tower is narrower than its vectors."""
    tokenizer = siglip_tokenizer()
    text = {**TEXT, "vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT, "projection_size": width}
    model = randomised(SiglipModel(SiglipConfig(text_config=text, vision_config={**VISION, **PATCHES, **vision})), 1.7)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return model


def naflex_tokenizer() -> Siglip2Tokenizer:
    """SigLIP 2's, of single letters; it lowers capitals."""
    letters = [*map(chr, range(ord("!"), ord("~") + 1)), "\u2581"]
    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{i:02X}>" for i in range(256)), *letters, "th", "the"]
    return Siglip2Tokenizer(
        vocab={word: i for i, word in enumerate(words)},
        merges=[("t", "h"), ("th", "e")],
        add_bos_token=False,
        add_eos_token=True,
        padding_side="right",
        model_max_length=CONTEXT,
        model_input_names=["input_ids"],
    )


def naflex(folder: Path) -> Siglip2Model:
    """A Siglip2Model of 16 patches of 8 pixels."""
    tokenizer = naflex_tokenizer()
    text = {**TEXT, "vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT, "projection_size": 32}
    config = Siglip2Config(text_config=text, vision_config={**VISION, "patch_size": 8, "num_patches": 16})
    model = randomised(Siglip2Model(config), 1.7)
    Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return model


def randomised(model: Any, scale: float) -> Any:
    """The same with weights that leave no part without effect, and this logarithm of the scale."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name == "logit_scale":
                p.fill_(scale)
            else:
                torch.nn.init.normal_(p, std=0.3)
    return model.eval()
