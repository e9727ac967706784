"""Gradient accumulation that is not the gradient of one large batch."""

from harness.core.script_mistake import ScriptMistake, edits

MISTAKES = (
    ScriptMistake(
        "accumulation_not_divided",
        "nanogpt",
        "The losses of the micro-batches are added up and not divided by their number.",
        edits(
            ("            loss = loss / gradient_accumulation_steps\n", ""),
            ("loss.item() * gradient_accumulation_steps:.6f}", "loss.item():.6f}"),
        ),
        ("accumulation_not_divided",),
        ("scaler.scale(loss).backward()", "logits, loss = model(X, Y)"),
        seen_in=("https://github.com/axolotl-ai-cloud/axolotl/issues/1100",),
    ),
    ScriptMistake(
        "accumulation_divided_twice",
        "build_nanogpt",
        "The loss is divided by the number of micro-batches twice.",
        edits(("        loss.backward()\n", "        (loss / grad_accum_steps).backward()\n")),
        ("accumulation_divided_twice", "accumulation_divided_by_wrong_count"),
        ("(loss / grad_accum_steps).backward()", "loss = loss / grad_accum_steps"),
        seen_in=("https://github.com/huggingface/transformers/pull/35438",),
    ),
    ScriptMistake(
        "accumulation_of_unequal_tokens",
        "hf_no_trainer",
        "The mean losses of micro-batches with unequal numbers of tokens are averaged. Tokens of short batches count more.",
        edits(
            ("model(**batch, num_items_in_batch=num_items_in_batch)", "model(**batch)"),
            ('outputs["loss"].backward()', '(outputs["loss"] / len(group)).backward()'),
        ),
        ("accumulation_unequal_tokens",),
        ('(outputs["loss"] / len(group)).backward()',),
        seen_in=(
            "https://github.com/huggingface/transformers/pull/34191",
            "https://github.com/huggingface/blog/pull/2414",
        ),
    ),
    ScriptMistake(
        "accumulation_divided_by_the_batch_alone",
        "hf_no_trainer",
        "Each micro-batch is divided by its own tokens. The sum over the micro-batches is not divided.",
        edits(("model(**batch, num_items_in_batch=num_items_in_batch)", "model(**batch)")),
        ("accumulation_not_divided",),
        ('outputs["loss"].backward()', "outputs = model(**batch)"),
        seen_in=("https://github.com/huggingface/transformers/issues/37766",),
    ),
    ScriptMistake(
        "same_batch_in_every_micro_step",
        "nanogpt",
        "All micro-steps of a step see the same batch. Accumulation makes the batch no larger.",
        edits(
            (
                '        X, Y = get_batch("train")\n        scaler.scale(loss).backward()\n',
                '        scaler.scale(loss).backward()\n    X, Y = get_batch("train")\n',
            ),
        ),
        ("micro_batches_repeated", "batch_repeated"),
        ("logits, loss = model(X, Y)", 'X, Y = get_batch("train")'),
    ),
)
