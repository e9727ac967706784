"""The same text in several languages: how many tokens it takes, and how much of a context window."""

from __future__ import annotations

from functools import cache

from harness.core.lesson import Arm, Arms, Axes, Lesson, Measured, Question, Relation, Setting
from reference_model.tokenizer import gpt2_ranks
from specs.shared.lesson_languages import ENGLISH, LATIN, OTHER, SENTENCES

CONTEXT = 1024
"""GPT-2's context window."""


@cache
def ranks() -> dict[bytes, int]:
    """GPT-2's vocabulary."""
    return gpt2_ranks()


def arm(language: str) -> Arm:
    """One sentence per seed. Numbers: tokens, bytes, characters."""

    def run(setting: Setting) -> Measured:
        text = SENTENCES[language][setting.seed % len(SENTENCES[language])]
        tokens = len(setting.components.build("tokenizer", ranks=ranks()).call("encode", text=text))
        values = {"tokens": tokens, "bytes": len(text.encode("utf-8")), "characters": len(text)}
        return Measured(values, {language: [(len(text), tokens)]})

    return Arm(language, f"{len(SENTENCES[language])} sentences", run)


def times(arms: Arms, language: str) -> float:
    """Tokens over those of the same sentence in English."""
    return arms[language]["tokens"] / arms[ENGLISH]["tokens"]


def mean_times(arms: Arms, languages: tuple[str, ...]) -> float:
    """The mean over some languages."""
    return sum(times(arms, language) for language in languages) / len(languages)


def share_of_bytes(arms: Arms, languages: tuple[str, ...]) -> float:
    """Tokens per byte over those of English."""
    english = arms[ENGLISH]["tokens"] / arms[ENGLISH]["bytes"]
    found = [arms[language]["tokens"] / arms[language]["bytes"] / english for language in languages]
    return sum(found) / len(found)


LESSON = Lesson(
    name="tokenizer-cost",
    claim="The same text costs several times as many tokens in other languages than in English, and fills the context "
    "window so many times faster; byte-level encoding treats all scripts alike.",
    source="Petrov et al. 2023, Language Model Tokenizers Introduce Unfairness Between Languages; the last part is "
    "repeated of byte-level encodings",
    setup="12 everyday sentences in 11 languages, one per seed, in GPT-2's vocabulary of 50,256 tokens",
    arms=tuple(arm(language) for language in (ENGLISH, *LATIN, *OTHER)),
    questions=(
        Question(
            "other_scripts_cost_three_times",
            "In other scripts the same sentence costs at least three times the tokens of English.",
            "tokens over those of English, mean over Russian, Greek, Chinese, Japanese, Hindi and Arabic",
            lambda arms: mean_times(arms, OTHER),
            3.0,
            unit="times",
            decided_by=("tokenizer",),
        ),
        Question(
            "latin_script_costs_more_too",
            "In Latin script it costs at least half more than English.",
            "tokens over those of English, mean over German, French, Spanish and Turkish",
            lambda arms: mean_times(arms, LATIN),
            1.5,
            unit="times",
            decided_by=("tokenizer",),
        ),
        Question(
            "hindi_costs_most",
            "Hindi costs more than Chinese.",
            "tokens in Hindi over those in Chinese",
            lambda arms: arms["Hindi"]["tokens"] / arms["Chinese"]["tokens"],
            1.2,
            unit="times",
        ),
        Question(
            "the_window_holds_a_third",
            "A window of 1024 tokens holds at most a third as much text in other scripts.",
            "sentences of this length that fit, over those in English, mean over the other scripts",
            lambda arms: (
                sum((CONTEXT / arms[one]["tokens"]) / (CONTEXT / arms[ENGLISH]["tokens"]) for one in OTHER) / len(OTHER)
            ),
            1 / 3,
            unit="times",
            relation=Relation.BELOW,
        ),
        Question(
            "bytes_cost_alike",
            "Per byte of UTF-8 other scripts cost no more tokens than English.",
            "tokens per byte over those of English, mean over the other scripts",
            lambda arms: share_of_bytes(arms, OTHER),
            1.25,
            unit="times",
            relation=Relation.BELOW,
        ),
    ),
    axes=Axes("characters of the sentence", "tokens"),
    components=("tokenizer",),
    caveat="Twelve sentences that the project wrote itself: the order of the languages is sure, the second digit is "
    "not. Other vocabularies give other figures.",
)
