"""Which part of a dual encoder is its language model."""

from dovetail.methods.encoders.llm2clip_text import LLM2CLIPText
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.language import language_model, language_part
from tests.models.small import model


def test_it_is_the_text_tower_or_what_its_adapter_adapts() -> None:
    plain = model()
    assert language_part(plain) == "text" and language_model(plain) is plain.text
    tower = LLM2CLIPText(plain.text)
    made = DualEncoder(plain.image, tower, 12, plain.preprocessing, plain.tokenizer, plain.alike)
    assert language_part(made) == "text.language" and language_model(made) is plain.text
