"""Labels for fine-tuning on answers: the prompt is read, the answer is learned."""


def sft_labels(
    tokens: list[int], prompt_length: int, ignore: int = -100, pad_id: int | None = None
) -> tuple[list[int], list[int]]:
    """Inputs and labels of one example.  tokens: prompt, answer, end token, and padding where there is any.

    inputs are all tokens but the last; the label of a position is the token after it.  A label that is a token of the
    prompt or padding (pad_id) is `ignore`.  What is learned is the answer: its first token, which the last token of the
    prompt predicts, and its end token included.
    Raises ValueError unless 1 <= prompt_length < len(tokens).
    Source: Ouyang et al. 2022, appendix C.1; torch.nn.functional.cross_entropy (ignore_index -100);
    rasbt/LLMs-from-scratch chapter 7 (masked instructions and padding).
    """
    if not 1 <= prompt_length < len(tokens):
        raise ValueError(f"{len(tokens)} tokens cannot have a prompt of {prompt_length}")
    inputs = tokens[:-1]
    targets = tokens[1:]
    first = prompt_length - 1  # the last token of the prompt predicts the first of the answer
    hidden = [ignore] * first
    labels = hidden + targets[first:]
    if pad_id is not None:
        labels = [ignore if label == pad_id else label for label in labels]
    return inputs, labels
