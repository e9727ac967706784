"""Targets and losses."""

from harness.core.script_mistake import ScriptMistake, edits

MISTAKES = (
    ScriptMistake(
        "targets_not_shifted",
        "nanogpt",
        "The targets are the inputs. The model learns to copy its input.",
        edits(("data[i + 1:i + 1 + block_size]", "data[i:i + block_size]")),
        ("targets_not_shifted",),
        ("y = torch.stack([torch.from_numpy((data[i:i + block_size]).astype(np.int64)) for i in ix])",),
        seen_in=("https://github.com/huggingface/transformers/issues/27517",),
    ),
    ScriptMistake(
        "targets_not_shifted_in_a_training_step",
        "lit_llama",
        "The training step compares the logits with their own inputs. The validation step does not.",
        edits(
            (
                "        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())\n",
                "        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, :-1].flatten())\n",
            )
        ),
        ("targets_not_shifted",),
        ("loss = F.cross_entropy(logits.flatten(0, 1), ids[:, :-1].flatten())",),
    ),
    ScriptMistake(
        "targets_shifted_twice",
        "hf_no_trainer",
        "The collator shifts the labels, and the model shifts them once more.",
        edits(
            (
                "        labels[labels == PAD] = -100\n",
                "        labels[labels == PAD] = -100\n        labels = torch.cat((labels[:, 1:], torch.full_like(labels[:, :1], -100)), dim=1)\n",
            )
        ),
        ("targets_shifted_twice",),
        (
            "labels = torch.cat((labels[:, 1:], torch.full_like(labels[:, :1], -100)), dim=1)",
            "shift_labels = labels[:, 1:].contiguous()",
            "loss = loss_fct(shift_logits.view(-1, shift_logits.size(-1)), shift_labels.view(-1))",
        ),
        seen_in=(
            "https://github.com/huggingface/transformers/issues/47394",
            "https://github.com/huggingface/transformers/pull/44642",
        ),
    ),
    ScriptMistake(
        "targets_shifted_by_two",
        "build_nanogpt",
        "The targets begin two tokens after the inputs.",
        edits(
            (
                "self.current_position + B * T + 1]\n        x = buf[:-1]",
                "self.current_position + B * T + 2]\n        x = buf[:-2]",
            ),
            ("        y = buf[1:].view(B, T)\n", "        y = buf[2:].view(B, T)\n"),
            (
                "        if self.current_position + B * T + 1 > len",
                "        if self.current_position + B * T + 2 > len",
            ),
        ),
        ("targets_shifted_twice",),
        ("y = buf[2:].view(B, T)",),
        seen_in=("https://github.com/InternLM/InternLM/issues/318",),
    ),
    ScriptMistake(
        "targets_shifted_the_wrong_way",
        "llmc",
        "Inputs and targets are exchanged. The model learns to repeat the token before.",
        edits(("return buf[:-1].view(B, T), buf[1:].view(B, T)", "return buf[1:].view(B, T), buf[:-1].view(B, T)")),
        ("targets_shifted_the_wrong_way",),
        ("return buf[1:].view(B, T), buf[:-1].view(B, T)",),
    ),
    ScriptMistake(
        "targets_of_other_places",
        "nanogpt",
        "The targets are taken at new random places. They have nothing to do with the inputs.",
        edits(
            (
                "    y = torch.stack([",
                "    ix = torch.randint(len(data) - block_size, (batch_size,))\n    y = torch.stack([",
            )
        ),
        ("targets_unrelated",),
        (
            "ix = torch.randint(len(data) - block_size, (batch_size,))",
            "y = torch.stack([torch.from_numpy((data[i + 1:i + 1 + block_size]).astype(np.int64)) for i in ix])",
        ),
    ),
    ScriptMistake(
        "targets_transposed",
        "resume",
        "The targets are flattened along the batch, the logits along the time.",
        edits(
            ("loss_fn(logits.transpose(1, 2), targets)", "loss_fn(logits.flatten(0, 1), targets.t().flatten())"),
        ),
        ("targets_unrelated", "targets_reordered"),
        ("loss = loss_fn(logits.flatten(0, 1), targets.t().flatten())",),
    ),
    ScriptMistake(
        "logits_viewed_instead_of_transposed",
        "resume",
        "The logits are viewed in the shape that the loss wants instead of being transposed. Classes and positions are mixed.",
        edits(
            (
                "loss_fn(logits.transpose(1, 2), targets)",
                "loss_fn(logits.view(logits.size(0), -1, logits.size(1)), targets)",
            )
        ),
        ("logits_reordered",),
        ("loss = loss_fn(logits.view(logits.size(0), -1, logits.size(1)), targets)",),
    ),
    ScriptMistake(
        "padding_counted",
        "hf_no_trainer",
        "The labels of the padding are not -100. The model is trained to predict padding.",
        edits(("        labels[labels == PAD] = -100\n", "")),
        ("padding_counted",),
        (
            "labels = input_ids.clone()",
            "shift_labels = labels[:, 1:].contiguous()",
            "loss = loss_fct(shift_logits.view(-1, shift_logits.size(-1)), shift_labels.view(-1))",
            "loss_fct = nn.CrossEntropyLoss(reduction=reduction)",
        ),
        seen_in=(
            "https://github.com/EleutherAI/gpt-neo/pull/45",
            "https://github.com/01-ai/Yi/issues/110",
        ),
    ),
    ScriptMistake(
        "padding_counted_in_the_answers",
        "sft",
        "The labels of shorter rows are filled up with the id of the padding, which the loss does not ignore.",
        edits(("lab + [IGNORE_INDEX] * (width - len(lab))", 'lab + [VOCAB["<pad>"]] * (width - len(lab))')),
        ("padding_counted",),
        (
            'labels = torch.tensor([lab + [VOCAB["<pad>"]] * (width - len(lab)) for _, lab in rows])',
            "loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE_INDEX)",
        ),
        seen_in=("https://github.com/kaiyinzhou/BERT-NER/issues/3",),
    ),
    ScriptMistake(
        "loss_over_a_softmax",
        "resume",
        "The loss gets probabilities and takes a softmax of them once more. It can hardly fall.",
        edits(("        logits = model(inputs)\n", "        logits = model(inputs).softmax(dim=-1)\n")),
        ("loss_over_softmax",),
        ("logits = model(inputs).softmax(dim=-1)", "loss = loss_fn(logits.transpose(1, 2), targets)"),
        seen_in=("https://github.com/jindongwang/Deep-learning-activity-recognition/issues/10",),
    ),
    ScriptMistake(
        "softmax_in_the_model",
        "mingpt",
        "The model returns probabilities, and the loss takes a softmax of them once more.",
        edits(
            (
                "        logits = self.lm_head(self.ln_f(x))\n",
                "        logits = F.softmax(self.lm_head(self.ln_f(x)), dim=-1)\n",
            )
        ),
        ("loss_over_softmax",),
        (
            "logits = F.softmax(self.lm_head(self.ln_f(x)), dim=-1)",
            "loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)",
        ),
        seen_in=(
            "https://github.com/Lightning-Universe/lightning-bolts/issues/654",
            "https://github.com/gitabcworld/MatchingNetworks/issues/5",
        ),
    ),
    ScriptMistake(
        "log_softmax_over_the_time",
        "own_adamw",
        "The log softmax runs over the positions, not over the vocabulary.",
        edits(("torch.log_softmax(forward(idx, p), dim=-1)", "torch.log_softmax(forward(idx, p), dim=1)")),
        ("softmax_over_wrong_dimension", "first_loss_too_small"),
        ("log_probs = torch.log_softmax(forward(idx, p), dim=1)",),
        missed_because="a loss that is computed by hand is not compared with a cross-entropy",
    ),
    ScriptMistake(
        "mean_over_ignored_positions",
        "sft",
        "The sum over the answers is divided by all positions, the ignored ones too. The loss is too small.",
        edits(
            (
                "labels[:, 1:].flatten(), ignore_index=IGNORE_INDEX)\n",
                'labels[:, 1:].flatten(), ignore_index=IGNORE_INDEX,\n                                   reduction="sum") / labels[:, 1:].numel()\n',
            )
        ),
        ("loss_divided_by_wrong_count",),
        (
            "loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE_INDEX,",
            'reduction="sum") / labels[:, 1:].numel()',
            "loss.backward()",
        ),
    ),
    ScriptMistake(
        "label_smoothing_in_evaluation",
        "hf_no_trainer",
        "The smoothed loss is used in evaluation too. The perplexity is not that of the model.",
        edits(
            (
                "nn.CrossEntropyLoss(reduction=reduction)",
                "nn.CrossEntropyLoss(reduction=reduction, label_smoothing=0.1)",
            )
        ),
        ("label_smoothing_in_evaluation",),
        (
            "loss_fct = nn.CrossEntropyLoss(reduction=reduction, label_smoothing=0.1)",
            "loss = loss_fct(shift_logits.view(-1, shift_logits.size(-1)), shift_labels.view(-1))",
        ),
    ),
    ScriptMistake(
        "logged_loss_of_a_micro_batch",
        "build_nanogpt",
        "The loss of the last micro-batch is logged, divided by their number.",
        edits(("loss: {loss_accum.item():.6f}", "loss: {loss.item():.6f}")),
        ("logged_loss_differs",),
        ('print(f"step {step:4d} | loss: {loss.item():.6f} | lr {lr:.4e} | norm: {norm:.4f}")',),
        seen_in=(
            "https://github.com/allenai/allennlp/pull/4706",
            "https://github.com/karpathy/nanochat/pull/52",
        ),
    ),
    ScriptMistake(
        "logged_loss_of_the_evaluation",
        "llmc",
        "The loss of the last evaluation is logged as the training loss.",
        edits(
            (
                "    _, loss = model(x, y)\n    loss.backward()\n",
                "    _, train_loss = model(x, y)\n    train_loss.backward()\n",
            ),
        ),
        ("logged_loss_differs",),
        (
            'print(f"step {step + 1:4d}/{args.num_iterations} | train loss {loss.item():.6f} | norm {norm:.4f} | lr {lr:.2e}")',
        ),
    ),
    ScriptMistake(
        "losses_kept_with_their_graphs",
        "word_lm",
        "The sum of the losses keeps the graph of every batch. Memory grows until the sum is reset.",
        edits(("        total_loss += loss.item()\n        if batch", "        total_loss += loss\n        if batch")),
        ("graph_kept",),
        ("total_loss += loss",),
        unchanged_because="only memory grows",
        seen_in=(
            "https://github.com/google/brax/pull/152",
            "https://github.com/BatsResearch/labelmodels/issues/4",
        ),
    ),
)
