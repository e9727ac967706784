"""tiktoken as the tokenizer. Text that merely looks like a special token is ordinary text to it when told so."""

import tiktoken


class tokenizer:
    def __init__(self, ranks, pattern, special_tokens):
        if any(a != b and b.startswith(a) for a in special_tokens for b in special_tokens):
            raise NotImplementedError("tiktoken does not say which of two special tokens it takes where both fit")
        self.encoding = tiktoken.Encoding(
            "checked", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special_tokens
        )

    def encode(self, text, allowed_special=()):
        return self.encoding.encode(text, allowed_special=set(allowed_special), disallowed_special=())

    def decode(self, ids):
        return self.encoding.decode(ids)

    def decode_bytes(self, ids):
        return self.encoding.decode_bytes(ids)
