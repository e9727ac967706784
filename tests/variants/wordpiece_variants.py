"""Right WordPieces: a trie, a pattern, recursion, ids inside, a cache of words."""

import functools

import regex


class FromATrie:
    """Two trees of characters, one for beginnings and one for what continues."""

    def __init__(self, vocab, unk="[UNK]", max_chars=100):
        self.unk, self.limit, self.trees = unk, max_chars, ({}, {})
        for piece in vocab:
            node = self.trees[piece.startswith("##")]
            for character in piece.removeprefix("##"):
                node = node.setdefault(character, {})
            node[""] = piece

    def encode(self, text):
        return [piece for word in regex.findall(r"\S+", text) for piece in self.cut(word)]

    def cut(self, word):
        pieces, at = [], 0
        while at < len(word) <= self.limit:
            node, last = self.trees[at > 0], None
            for step, character in enumerate(word[at:], 1):
                node = node.get(character)
                if node is None:
                    break
                if "" in node:
                    last = step, node[""]
            if last is None:
                return [self.unk]
            at += last[0]
            pieces.append(last[1])
        return pieces or [self.unk]

    def decode(self, pieces):
        return " ".join(pieces).replace(" ##", "")


class FromAPattern:
    """Alternatives sorted by length, the longest first, matched one after the other."""

    def __init__(self, vocab, unk="[UNK]", max_chars=100):
        self.unk, self.limit = unk, max_chars
        inside = {piece[2:] for piece in vocab if piece.startswith("##")}
        starts = set(vocab) - {"##" + piece for piece in inside}
        self.first, self.next = (self.pattern(group) for group in (starts, inside))

    @staticmethod
    def pattern(group):
        return regex.compile("|".join(regex.escape(p) for p in sorted(group, key=len, reverse=True)) or "(?!)")

    def encode(self, text):
        found = []
        for word in text.split():
            match, pieces, done = self.first.match(word), [], 0
            while match and match.end() > match.start():
                pieces.append(("##" if pieces else "") + match.group())
                done = match.end()
                match = self.next.match(word, match.end())
            whole = done == len(word) <= self.limit
            found.extend(pieces if whole else [self.unk])
        return found

    def decode(self, pieces):
        text = ""
        for piece in pieces:
            text += piece[2:] if piece[:2] == "##" else " " + piece
        return text[1:]


class WithIds:
    """Recursion over words that are remembered, in numbers; a tuple comes back."""

    def __init__(self, vocab, unk="[UNK]", max_chars=100):
        self.ids, self.unk, self.limit = dict(vocab), unk, max_chars
        self.names = {i: piece for piece, i in self.ids.items()}
        self.cut = functools.cache(self.cut_anew)

    def cut_anew(self, rest, inside):
        if not rest:
            return ()
        for end in reversed(range(1, len(rest) + 1)):
            number = self.ids.get(inside + rest[:end])
            if number is not None:
                after = self.cut(rest[end:], "##")
                return None if after is None else (number, *after)
        return None

    def encode(self, text):
        found = []
        for word in text.split():
            ids = self.cut(word, "") if len(word) <= self.limit else None
            found += [self.unk] if ids is None else [self.names[i] for i in ids]
        return found

    def decode(self, pieces):
        return regex.sub(r"\s+##", "", " ".join(pieces)).strip()


VARIANTS = {kind.__name__: {"wordpiece": kind} for kind in (FromATrie, FromAPattern, WithIds)}
