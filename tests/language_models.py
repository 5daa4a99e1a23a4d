"""Small masked language models with random weights that put a few chosen words in every place."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizerFast,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

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


def byte_level_fill_mask(folder: Path, liked: Sequence[str], words: str = WORDS) -> Path:
    """Writes a RoBERTa, whose tokens say where a word begins, that fills in the liked tokens, the best first."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1_000, special_tokens=special, initial_alphabet=alphabet)
    backend.train_from_iterator([f"{word} {word}" for word in words.split()], trainer)
    mask = AddedToken("<mask>", lstrip=True)  # it takes the place of the space before it, as RoBERTa's does
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": mask}
    PreTrainedTokenizerFast(tokenizer_object=backend, **names).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = RobertaConfig(vocab_size=backend.get_vocab_size(), max_position_embeddings=40, **sizes)
    model = RobertaForMaskedLM(config)
    with torch.no_grad():
        for rank, token in enumerate(liked):
            model.lm_head.bias[backend.token_to_id(token)] = 100.0 - rank
    model.save_pretrained(folder)
    return folder
