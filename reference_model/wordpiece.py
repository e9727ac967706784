"""WordPiece: each word is cut into the longest known piece, then the longest known one that continues it, and so on.

Schuster & Nakajima 2012, section 3; Devlin et al. 2019, section 3; google-research/bert tokenization.py
`WordpieceTokenizer`.
"""

from collections.abc import Collection, Sequence

CONTINUES = "##"


class wordpiece:
    """Text to pieces and back.

    vocab: the pieces; those that continue a word begin with `##`.
    unk: what stands for a word that cannot be cut into pieces, or has more than max_chars characters.
    Raises ValueError where unk is no piece of the vocabulary.
    """

    def __init__(self, vocab: Collection[str], unk: str = "[UNK]", max_chars: int = 100) -> None:
        if unk not in vocab:
            raise ValueError(f"unk: {unk!r} is no piece of this vocabulary of {len(vocab)}")
        self.vocab = set(vocab)
        self.unk = unk
        self.max_chars = max_chars

    def encode(self, text: str) -> list[str]:
        """The pieces of a text, word by word; words are what stands between white space."""
        pieces: list[str] = []
        for word in text.split():
            pieces.extend(self.encode_word(word))
        return pieces

    def encode_word(self, word: str) -> list[str]:
        """The pieces of one word, the longest first; the whole word is unknown where no piece fits on the way."""
        if len(word) > self.max_chars:
            return [self.unk]
        pieces: list[str] = []
        start = 0
        while start < len(word):
            end = len(word)
            while end > start and self.named(word, start, end) not in self.vocab:
                end -= 1
            if end == start:
                return [self.unk]
            pieces.append(self.named(word, start, end))
            start = end
        return pieces

    def named(self, word: str, start: int, end: int) -> str:
        """How a part of a word is written in the vocabulary."""
        part = word[start:end]
        return part if start == 0 else CONTINUES + part

    def decode(self, pieces: Sequence[str]) -> str:
        """The words of the pieces with one space between them: what white space there was is not known any more."""
        words: list[str] = []
        for piece in pieces:
            if piece.startswith(CONTINUES) and words:
                words[-1] += piece.removeprefix(CONTINUES)
            else:
                words.append(piece)
        return " ".join(words)
