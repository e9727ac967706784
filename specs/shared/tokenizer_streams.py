"""Encoding a stream of texts, which need not fit into memory."""

from harness.core.case import Call
from harness.core.claim import Trial, Violation, claim
from harness.core.implementation import READ_FIRST
from specs.shared.tokenizer_cases import decode, script
from specs.shared.tokenizer_outputs import listed, require_text

STREAM = 4000
"""Texts of a stream, 72 kB in all: more than is read ahead."""


@claim(
    "encode_iterable gives its first id before the last text is read, and all ids decode to the texts",
    broken_by="whole_stream_read_first",
    max_cases=1,
)
def first_id_before_the_last_text(trial: Trial) -> None:
    """Code may read ahead, as far as a buffer holds: the stream is too long for one."""
    texts = ["a stream of words\n" for _ in range(STREAM)]
    answer = trial.run(script(trial, Call("encode_iterable", {"texts": texts})))
    read = answer.facts[READ_FIRST]
    if read >= STREAM:
        raise Violation(
            f"encode_iterable reads all {STREAM} texts before it gives its first id; it must read one by one"
        )
    back = trial.run(script(trial, decode(listed(answer.value)))).value
    require_text("encoding a stream with encode_iterable and decoding its ids", back, "".join(texts))
