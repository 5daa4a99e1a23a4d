"""A small masked language model with random weights that puts a few chosen words in every place."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = "a an the on of and dog cat car kite tree man men running run red blue ##s old apple with near , ."


def fill_mask(folder: Path, liked: Sequence[str], words: str = WORDS) -> Path:
    """Writes a BERT that fills in the liked words, the best first."""
    folder.mkdir(parents=True)
    vocabulary = [*SPECIAL, *words.split()]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=40,
    )
    torch.manual_seed(0)
    model = BertForMaskedLM(config)
    with torch.no_grad():
        for rank, word in enumerate(liked):
            model.cls.predictions.decoder.bias[vocabulary.index(word)] = 100.0 - rank
    model.save_pretrained(folder)
    return folder
