"""What `dovetail compare` found, as the page on it shows it.

    python docs/comparison.py

It writes what stands between the markers in docs/comparison.md, and the picture beside it, from results/.
"""

from pathlib import Path

from markers import filled

from dovetail.evaluation.comparison import Comparison
from dovetail.evaluation.report.comparison import markdown
from dovetail.evaluation.report.contenders import picture

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "results" / "comparison_f8k_cpu.json"
PAGE, PICTURE = ROOT / "docs" / "comparison.md", ROOT / "docs" / "images" / "comparison.svg"


def report() -> str:
    """The report but for its title, with the place of the picture."""
    _, _, rest = markdown(Comparison.read(RESULT)).partition("\n\n")
    return rest.replace("(comparison.svg)", f"(images/{PICTURE.name})").strip()


def page(text: str) -> str:
    """The page with the report as the results have it. Raises ValueError where a marker is missing."""
    return filled(text, {"comparison": report}, PAGE.name)


def main() -> None:
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.write_text(picture(Comparison.read(RESULT)), encoding="utf-8")


if __name__ == "__main__":
    main()
