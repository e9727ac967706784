"""The model in its place: masks, modes, initialisation, checkpointing, averages, precision."""

from harness.core.script_mistake import ScriptMistake, edits

MISTAKES = (
    ScriptMistake(
        "causal_mask_missing",
        "build_nanogpt",
        "No mask is given. Every position sees the tokens that it has to predict.",
        edits(
            (
                "        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)\n",
                "        y = F.scaled_dot_product_attention(q, k, v)\n",
            )
        ),
        ("causal_mask_missing",),
        ("y = F.scaled_dot_product_attention(q, k, v)",),
        seen_in=("https://github.com/huggingface/transformers/issues/48745",),
    ),
    ScriptMistake(
        "causal_mask_missing_in_training",
        "nanogpt",
        "The mask is given in evaluation alone. In training every position sees the tokens that it has to predict.",
        edits(("is_causal=True)", "is_causal=not self.training)")),
        ("causal_mask_missing_in_training",),
        (
            "y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout if self.training else 0, is_causal=not self.training)",
        ),
        seen_in=("https://github.com/keras-team/keras/issues/23038",),
    ),
    ScriptMistake(
        "causal_mask_off_by_one",
        "mingpt",
        "The mask lets every position see the next one, which it has to predict.",
        edits(
            (
                "torch.tril(torch.ones(block_size, block_size))",
                "torch.tril(torch.ones(block_size, block_size), diagonal=1)",
            )
        ),
        ("causal_mask_missing", "causal_mask_off_by_one"),
        (
            'self.register_buffer("bias", torch.tril(torch.ones(block_size, block_size), diagonal=1).view(1, 1, block_size, block_size))',
            'att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))',
        ),
        seen_in=("https://github.com/karpathy/nanoGPT/issues/331",),
    ),
    ScriptMistake(
        "softmax_over_the_queries",
        "llmc",
        "The softmax runs over the queries. The weights of a position depend on later positions.",
        edits(
            ("        y = F.softmax(att, dim=-1) @ v\n        x", "        y = F.softmax(att, dim=-2) @ v\n        x")
        ),
        ("causal_mask_missing", "not_causal"),
        ("y = F.softmax(att, dim=-2) @ v",),
        missed_because="the line shown is that of the mask, one above",
    ),
    ScriptMistake(
        "mask_of_padding_as_the_only_mask",
        "hf_no_trainer",
        "The mask of the padding is given and the causal one is not.",
        edits(("hidden = layer(hidden, src_mask=causal_mask, src_key", "hidden = layer(hidden, src_key")),
        ("causal_mask_missing",),
        ("hidden = layer(hidden, src_key_padding_mask=padding_mask)",),
        seen_in=("https://github.com/rainmaker22/SMART/issues/42",),
    ),
    ScriptMistake(
        "evaluation_mode_never_left",
        "nanogpt",
        "The model stays in evaluation mode after the first evaluation. Dropout is off for the rest of the run.",
        edits(("        out[split] = losses.mean()\n    model.train()\n", "        out[split] = losses.mean()\n")),
        ("training_in_evaluation_mode",),
        ("model.eval()", "losses = estimate_loss()", "logits, loss = model(X, Y)"),
        seen_in=(
            "https://github.com/shubhamagarwal92/mmd/issues/14",
            "https://github.com/tk-rusch/coRNN/issues/1",
        ),
    ),
    ScriptMistake(
        "evaluation_mode_of_the_average_alone",
        "ema_llama",
        "The model is evaluated too and stays in evaluation mode. train() is called once, before the loop.",
        edits(
            (
                '    for step in range(TRAIN["steps"]):\n        model.train()\n',
                '    model.train()\n    for step in range(TRAIN["steps"]):\n',
            ),
        ),
        ("training_in_evaluation_mode",),
        (
            "net.eval()",
            "model.train()",
            "loss = cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())",
        ),
        seen_in=("https://github.com/fartashf/vsepp/issues/4",),
    ),
    ScriptMistake(
        "training_mode_of_the_first_epoch_alone",
        "word_lm",
        "train() is called before the first epoch alone. All later epochs run without dropout.",
        edits(
            ("    model.train()\n    total_loss, hidden", "    total_loss, hidden"),
        ),
        ("training_in_evaluation_mode",),
        ("model.eval()", "output, hidden = model(data, hidden)"),
        seen_in=("https://github.com/MILVLG/mcan-vqa/issues/26",),
    ),
    ScriptMistake(
        "training_in_evaluation_mode",
        "lora",
        "The model is put in evaluation mode before the loop.",
        edits(
            ("    model.train()\n    for step", "    model.eval()\n    for step"),
            ("    model.train()\n    return loss", "    return loss"),
        ),
        ("training_in_evaluation_mode",),
        ("model.eval()", "loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())"),
    ),
    ScriptMistake(
        "evaluation_in_training_mode",
        "hf_no_trainer",
        "The model is evaluated in training mode, with dropout.",
        edits(("    model.eval()\n", "")),
        ("evaluation_in_training_mode",),
        ("outputs = model(**batch)", "eval_loss = evaluate(model, eval_dataloader)"),
        seen_in=("https://github.com/udacity/deep-learning-v2-pytorch/issues/3",),
    ),
    ScriptMistake(
        "evaluation_in_training_mode_in_a_callback",
        "mingpt",
        "The callback evaluates the model in training mode, with dropout.",
        edits(("        trainer.model.eval()\n", ""), ("        trainer.model.train()\n", "")),
        ("evaluation_in_training_mode",),
        ("logits, loss = trainer.model(x, y)",),
        seen_in=("https://github.com/wolny/pytorch-3dunet/issues/53",),
    ),
    ScriptMistake(
        "dropout_in_both_modes",
        "nanogpt",
        "The dropout of the heads does not look at the mode. It is on in evaluation too.",
        edits(("dropout_p=dropout if self.training else 0, ", "dropout_p=dropout, ")),
        ("dropout_in_evaluation",),
        ("y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)",),
        seen_in=(
            "https://github.com/pytorch/pytorch/issues/124464",
            "https://github.com/huggingface/pytorch-image-models/pull/1978",
        ),
    ),
    ScriptMistake(
        "functional_dropout_in_both_modes",
        "resume",
        "F.dropout is called without the mode. A run that was evaluated would be evaluated with dropout.",
        edits(
            (
                "        return self.to_logits(self.norm(x))\n",
                "        return self.to_logits(nn.functional.dropout(self.norm(x), 0.1))\n",
            )
        ),
        ("dropout_in_evaluation",),
        ("return self.to_logits(nn.functional.dropout(self.norm(x), 0.1))",),
        seen_in=("https://github.com/wenwenyu/PICK-pytorch/issues/77",),
    ),
    ScriptMistake(
        "initialised_too_large",
        "build_nanogpt",
        "The weights begin fifty times too large. The first loss is far above that of a uniform guess.",
        edits(
            ("            std = 0.02\n", "            std = 1.0\n"),
            ("nn.init.normal_(module.weight, mean=0.0, std=0.02)", "nn.init.normal_(module.weight, mean=0.0, std=1.0)"),
        ),
        ("first_loss_too_large",),
        (
            "std = 1.0",
            "torch.nn.init.normal_(module.weight, mean=0.0, std=1.0)",
            "loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))",
            "logits, loss = model(x, y)",
        ),
    ),
    ScriptMistake(
        "tied_embedding_not_initialised",
        "hf_no_trainer",
        "The tied weight keeps the initial values of an embedding, of standard deviation 1. The first loss is far too large.",
        edits(("        self.apply(self._init_weights)\n", "")),
        ("first_loss_too_large",),
        (
            "self.lm_head.weight = self.embed_tokens.weight",
            "outputs = model(**batch, num_items_in_batch=num_items_in_batch)",
            "loss = loss_fct(shift_logits.view(-1, shift_logits.size(-1)), shift_labels.view(-1))",
        ),
    ),
    ScriptMistake(
        "checkpointing_without_random_state",
        "ema_llama",
        "The random state is not kept. The recomputed forward pass drops other values than the first one did.",
        edits(("use_reentrant=False)", "use_reentrant=False, preserve_rng_state=False)")),
        ("checkpointing_without_rng",),
        ("h = checkpoint(layer, h, self.freqs_cis, use_reentrant=False, preserve_rng_state=False)",),
        seen_in=(
            "https://github.com/openai/guided-diffusion/issues/167",
            "https://github.com/allenai/OLMo/pull/702",
        ),
    ),
    ScriptMistake(
        "average_never_updated",
        "ema_llama",
        "The average is evaluated and never updated. It keeps the initial weights.",
        edits(('        update_ema(ema, model, TRAIN["ema_decay"])\n', "")),
        ("average_never_updated",),
        (
            "ema = copy.deepcopy(model).requires_grad_(False)",
            'print(f"step {step} val {evaluate(model, val_data):.6f} ema val {evaluate(ema, val_data):.6f}")',
        ),
        seen_in=("https://github.com/lucidrains/DALLE2-pytorch/issues/131",),
    ),
    ScriptMistake(
        "average_not_in_place",
        "ema_llama",
        "The update of the average makes a new tensor and leaves the average as it was.",
        edits(("        shadow.lerp_(p, 1 - decay)\n", "        shadow = decay * shadow + (1 - decay) * p\n")),
        ("average_never_updated",),
        (
            "shadow = decay * shadow + (1 - decay) * p",
            "ema = copy.deepcopy(model).requires_grad_(False)",
            'print(f"step {step} val {evaluate(model, val_data):.6f} ema val {evaluate(ema, val_data):.6f}")',
        ),
    ),
    ScriptMistake(
        "average_shares_the_weights",
        "ema_llama",
        "The copy is shallow. The average is the model itself.",
        edits(("    ema = copy.deepcopy(model).requires_grad_(False)\n", "    ema = copy.copy(model)\n")),
        ("average_is_the_model",),
        (
            "ema = copy.copy(model)",
            'print(f"step {step} val {evaluate(model, val_data):.6f} ema val {evaluate(ema, val_data):.6f}")',
        ),
    ),
    ScriptMistake(
        "bfloat16_parameters_and_a_small_rate",
        "llmc",
        "The parameters are bfloat16. Most updates are smaller than half of their last bit and are rounded away.",
        edits(("model = GPT(V, T)\n", "model = GPT(V, T).bfloat16()\n")),
        ("updates_rounded_away",),
        ("model = GPT(V, T).bfloat16()", "optimizer.step()"),
        arguments=("--learning_rate", "1e-4"),
        seen_in=(
            "https://github.com/NVIDIA/apex/issues/1728",
            "https://github.com/meta-pytorch/torchtune/issues/2254",
        ),
    ),
    ScriptMistake(
        "float16_without_a_scaler",
        "nanogpt",
        "The scaler is off in float16. Small gradients become zero.",
        edits(('enabled=(dtype == "float16")', 'enabled=(dtype == "fp16")')),
        ("float16_without_scaler",),
        ('scaler = torch.amp.GradScaler("cpu", enabled=(dtype == "fp16"))', "scaler.scale(loss).backward()"),
    ),
)
