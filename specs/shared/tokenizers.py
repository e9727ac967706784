"""What a tokenizer costs and does, with GPT-2's own vocabulary: informational numbers that affect no verdict.

English prose and code are the standard library's, read where Python keeps its sources. One sentence in many languages
is our own: it says the same in each, so that what it costs can be compared.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import Trial
from harness.core.measurement import Measure, Measurement
from harness.core.values import Resource
from reference_model.config import GPT2_SMALL, parameter_count
from reference_model.tokenizer import GPT2_PATTERN, gpt2_ranks

END = {"<|endoftext|>": 50256}
PROSE_FROM = ("statistics", "textwrap", "heapq", "calendar")
CODE_FROM = ("heapq", "bisect", "textwrap")
SHARE = 600
"""Characters taken of each file: enough for steady averages, and little for an encoder that is slow."""
SENTENCES = {
    "English": "The weather is fine today, and the children are playing in the garden.",
    "German": "Das Wetter ist heute schön, und die Kinder spielen im Garten.",
    "French": "Il fait beau aujourd'hui, et les enfants jouent dans le jardin.",
    "Spanish": "Hoy hace buen tiempo y los niños juegan en el jardín.",
    "Finnish": "Tänään on kaunis ilma, ja lapset leikkivät puutarhassa.",
    "Turkish": "Bugün hava güzel ve çocuklar bahçede oynuyor.",
    "Vietnamese": "Hôm nay trời đẹp và bọn trẻ đang chơi trong vườn.",
    "Russian": "Сегодня хорошая погода, и дети играют в саду.",
    "Greek": "Ο καιρός είναι καλός σήμερα και τα παιδιά παίζουν στον κήπο.",
    "Hebrew": "מזג האוויר נאה היום והילדים משחקים בגינה.",
    "Arabic": "الطقس جميل اليوم والأطفال يلعبون في الحديقة.",
    "Hindi": "आज मौसम अच्छा है और बच्चे बगीचे में खेल रहे हैं।",
    "Korean": "오늘은 날씨가 좋아서 아이들이 정원에서 놀고 있어요.",
    "Thai": "วันนี้อากาศดีและเด็กๆกำลังเล่นอยู่ในสวน",
    "Chinese": "今天天气很好，孩子们在花园里玩。",
    "Japanese": "今日は天気がよくて、子どもたちは庭で遊んでいます。",
}
WITHOUT_SPACES = ("Thai", "Chinese", "Japanese")
"""Written without spaces between words: there are no words to count."""
STRANGE_WORDS = (
    " blorptification",
    " Zyxquent",
    " recieve",
    " unhyphenatable",
    " Donaudampfschiff",
    " pneumonoconiosis",
    " antiquark",
    " 31415926",
    " 0x7ffe",
    " snake_case_name",
    " camelCaseName",
    " Öresund",
    " привет",
    " 猫",
)
"""Made up, misspelt, rare, compound, numbers, names in programs, other scripts: none of them is a token of GPT-2."""
SIZES = (256, 8_192, 32_000, 50_257, 100_277, 200_019)
"""Bytes alone, small models, Llama 2, GPT-2, GPT-4, GPT-4o."""


@cache
def corpus() -> dict[str, str]:
    """Every text by its label."""
    return {"English docstrings": _docstrings(), "Python code": _code(), **SENTENCES}


def _docstrings() -> str:
    return "\n\n".join(_beginning("\n\n".join(_paragraphs(ast.parse(_source(name))))) for name in PROSE_FROM)


def _beginning(text: str) -> str:
    """Up to a space, so that no word is cut."""
    return text[:SHARE].rpartition(" ")[0]


def _paragraphs(tree: ast.Module) -> list[str]:
    """Those of its docstrings that are prose: no tables, no examples of code."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    found = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]
    paragraphs = [part for text in found for part in re.split(r"\n\s*\n", text)]
    return [
        part
        for part in paragraphs
        if len(part.split()) >= 12 and sum(c.isalpha() or c in " \n,." for c in part) > 0.97 * len(part)
    ]


def _code() -> str:
    return "\n".join(_beginning(_without_docstring(_source(name))) for name in CODE_FROM)


def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    file = Path(spec.origin or "") if spec is not None else Path()
    return file.read_text(encoding="utf-8") if file.is_file() and file.suffix == ".py" else ""


def _without_docstring(source: str) -> str:
    """From the first import or definition on."""
    found = re.search(r"^(import|from|def|class|[A-Za-z_]+ =) ", source, re.MULTILINE)
    return source[found.start() :] if found else source


def words_of(text: str) -> list[str]:
    """The distinct words, each with the space before it, as it stands inside a text."""
    return list(dict.fromkeys(" " + word for word in re.findall(r"[A-Za-z]{2,}", text)))


@cache
def everything() -> tuple[str, ...]:
    """All that is encoded, in one order: the corpus, the strange words, and the words of the docstrings."""
    return (*corpus().values(), *STRANGE_WORDS, *words_of(corpus()["English docstrings"]))


def case() -> Case:
    """One script, so that the vocabulary is built once for all measures."""
    build = Call(
        "build",
        {"ranks": Resource("reference_model.tokenizer:gpt2_ranks"), "pattern": GPT2_PATTERN, "special_tokens": END},
    )
    return Case((build, *(Call("encode", {"text": text}) for text in everything())), {}, "GPT-2's own vocabulary")


def encoded(trial: Trial) -> dict[str, list[int]]:
    """The ids of every text, or of none where something else than ids came back: that is for claims to tell."""
    ids = trial.run().outputs[1:]
    fine = all(isinstance(one, (list, tuple)) and all(type(i) is int for i in one) for one in ids)
    return dict(zip(everything(), map(list, ids), strict=True)) if fine and all(ids) else {}


HOW = "its own encode, with GPT-2's vocabulary, "


def vocabulary(trial: Trial) -> Measurement | None:
    """What the table of embeddings costs in a model as wide as GPT-2's small one."""
    trial.run()
    own = len(gpt2_ranks()) + len(END)

    def share(size: int) -> float:
        rest = parameter_count(GPT2_SMALL) - GPT2_SMALL.vocab_size * GPT2_SMALL.width
        return size * GPT2_SMALL.width / (rest + size * GPT2_SMALL.width)

    return Measurement(
        f"{own:,} tokens, {own * GPT2_SMALL.width:,} embedding parameters: "
        f"{share(own):.1%} of a small GPT-2 with a tied head",
        f"tokens times width {GPT2_SMALL.width}, over a model with twelve blocks and {GPT2_SMALL.context} positions; "
        "other vocabulary sizes likewise",
        share(own),
        "of all parameters",
        {f"{size:,} tokens": share(size) for size in SIZES},
    )


def tokens_per_byte(trial: Trial) -> Measurement | None:
    ids = encoded(trial)
    if not ids:
        return None
    found = {label: len(ids[text]) / len(text.encode()) for label, text in corpus().items()}
    prose, most = found["English docstrings"], max(found, key=lambda label: found[label])
    return Measurement(
        f"{prose:.2f} tokens per byte of English prose, {found['Python code']:.2f} of Python code, "
        f"up to {found[most]:.2f} ({most})",
        HOW + "on the standard library's docstrings and code, and on one sentence in many languages; bytes of UTF-8",
        prose,
        "tokens per byte",
        found,
    )


def tokens_per_word(trial: Trial) -> Measurement | None:
    ids = encoded(trial)
    if not ids:
        return None
    spaced = {label: text for label, text in corpus().items() if label not in WITHOUT_SPACES}
    found = {label: len(ids[text]) / len(text.split()) for label, text in spaced.items()}
    prose, most = found["English docstrings"], max(found, key=lambda label: found[label])
    return Measurement(
        f"{prose:.2f} tokens per word of English prose, up to {found[most]:.1f} ({most})",
        HOW + "on the same texts; words are separated by whitespace; languages without it are left out",
        prose,
        "tokens per word",
        found,
    )


def same_sentence(trial: Trial) -> Measurement | None:
    ids = encoded(trial)
    if not ids:
        return None
    english = len(ids[SENTENCES["English"]])
    found = {language: len(ids[text]) / english for language, text in SENTENCES.items()}
    most = max(found, key=lambda language: found[language])
    ordinary = sorted(found.values())[len(found) // 2]
    return Measurement(
        f"the same sentence needs {english} tokens in English and up to {found[most]:.1f} times as many ({most}); "
        f"the median over {len(found)} languages is {ordinary:.1f} times",
        HOW + "on one sentence translated into each language",
        found[most],
        "times the tokens of English",
        found,
    )


def strange_words(trial: Trial) -> Measurement | None:
    """How words that are no token break up."""
    ids = encoded(trial)
    if not ids:
        return None
    token_of = {rank: token for token, rank in gpt2_ranks().items()}
    found = {word.strip(): float(len(ids[word])) for word in STRANGE_WORDS}
    known = [len(ids[word]) for word in words_of(corpus()["English docstrings"])]
    broken = [count for count in known if count > 1]
    example = "|".join(token_of.get(i, b"?").decode("utf-8", "replace") for i in ids[STRANGE_WORDS[0]])
    mean = sum(found.values()) / len(found)
    rest = f", the others {sum(broken) / len(broken):.1f} on average" if broken else ""
    return Measurement(
        f"{1 - len(broken) / len(known):.0%} of the words in English docstrings are one token{rest}; "
        f"made-up or rare words take {mean:.1f} tokens on average: '{example}'",
        HOW + f"on {len(known)} distinct words of the standard library's docstrings and {len(found)} chosen ones, "
        "each after a space",
        mean,
        "tokens per unknown word",
        found,
    )


MEASURES = tuple(
    Measure(take.__name__, sentence, take, lambda: st.builds(case))
    for take, sentence in (
        (vocabulary, "vocabulary size, and the share of parameters in its embedding"),
        (tokens_per_byte, "tokens per byte of text, in several scripts"),
        (tokens_per_word, "tokens per word, in several scripts"),
        (same_sentence, "tokens for the same sentence in several languages"),
        (strange_words, "how words outside the vocabulary are split"),
    )
)
