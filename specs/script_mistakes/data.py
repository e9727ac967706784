"""Batches: repeated, not shuffled, or from the wrong split."""

from harness.core.script_mistake import ScriptMistake, edits

MISTAKES = (
    ScriptMistake(
        "same_batch_always",
        "nanogpt",
        "The batch is drawn once, before the loop. Every step sees the same one.",
        edits(('        X, Y = get_batch("train")\n        scaler', "        scaler")),
        ("batch_repeated",),
        ('X, Y = get_batch("train")', "logits, loss = model(X, Y)"),
    ),
    ScriptMistake(
        "seed_set_in_get_batch",
        "own_adamw",
        "The seed is set whenever a batch is drawn. Every step sees the same one.",
        edits(("    at = torch.randint(first", "    torch.manual_seed(2)\n    at = torch.randint(first")),
        ("batch_repeated",),
        (
            "torch.manual_seed(2)",
            "at = torch.randint(first, last - context - 1, (batch,))",
            "idx, targets = draw(0, cut)",
            "loss = loss_of(idx, targets, params)",
        ),
        missed_because="the ids of a model without an embedding module are not seen",
    ),
    ScriptMistake(
        "position_never_moves",
        "llmc",
        "The loader never moves on. Every step sees the same batch.",
        edits(("        self.current_position += B * T\n", "")),
        ("batch_repeated",),
        (
            "buf = self.tokens[self.current_position:self.current_position + B * T + 1]",
            "return buf[:-1].view(B, T), buf[1:].view(B, T)",
            "x, y = train_loader.next_batch()",
        ),
    ),
    ScriptMistake(
        "first_batch_of_a_new_iterator",
        "mingpt",
        "Each step takes the first batch of a new iterator over a loader that does not shuffle.",
        edits(
            ("sampler=sampler, batch_size=config", "shuffle=False, batch_size=config"),
            (
                "                batch = next(data_iter)\n            except",
                "                batch = next(iter(train_loader))\n            except",
            ),
        ),
        ("batch_repeated",),
        ("batch = next(iter(train_loader))",),
    ),
    ScriptMistake(
        "training_loader_reset_by_the_evaluation",
        "build_nanogpt",
        "The evaluation resets the training loader. Training begins again with the first batch after every evaluation.",
        edits(("        val_loader.reset()\n", "        train_loader.reset()\n")),
        ("batch_repeated",),
        ("train_loader.reset()",),
        missed_because="the line shown is the call with the batch that came again",
    ),
    ScriptMistake(
        "not_shuffled",
        "hf_no_trainer",
        "The loader does not shuffle. All epochs are identical.",
        edits(("DataLoader(train_dataset, shuffle=True,", "DataLoader(train_dataset, shuffle=False,")),
        ("epochs_identical",),
        ("train_dataloader = DataLoader(train_dataset, shuffle=False, collate_fn=collate,",),
        seen_in=(
            "https://github.com/choderalab/modelforge/pull/129",
            "https://github.com/Deci-AI/super-gradients/issues/416",
        ),
    ),
    ScriptMistake(
        "loader_made_anew_with_one_seed",
        "sft",
        "The loader is made in every epoch with a generator of the same seed. All epochs have the same order.",
        edits(
            (
                "        for batch in loader:\n",
                "        loader = DataLoader(train_set, batch_size=12, shuffle=True, collate_fn=collate,\n"
                "                            generator=torch.Generator().manual_seed(7))\n        for batch in loader:\n",
            )
        ),
        ("epochs_identical",),
        (
            "loader = DataLoader(train_set, batch_size=12, shuffle=True, collate_fn=collate,",
            "generator=torch.Generator().manual_seed(7))",
            "for batch in loader:",
        ),
        seen_in=(
            "https://github.com/cszn/KAIR/pull/106",
            "https://github.com/ORNL/HydraGNN/pull/98",
        ),
    ),
    ScriptMistake(
        "rows_repeated",
        "resume",
        "One place is drawn for the whole batch. All rows of a batch are the same.",
        edits(
            (
                "[random.randrange(len(text) - args.length - 1) for _ in range(args.batch)]",
                "[random.randrange(len(text) - args.length - 1)] * args.batch",
            )
        ),
        ("rows_repeated",),
        (
            "starts = [random.randrange(len(text) - args.length - 1)] * args.batch",
            "rows = torch.stack([text[s:s + args.length + 1] for s in starts])",
            "inputs, targets = batch_of(text, args)",
        ),
    ),
    ScriptMistake(
        "validation_rows_in_the_training_data",
        "lit_llama",
        "Both sets are made with one seed. The validation rows are rows of the training set.",
        edits(("DataLoader(windows(2, 16), batch_size=8)", "DataLoader(windows(1, 32), batch_size=8)")),
        ("validation_in_training",),
        (
            "val_loader = DataLoader(windows(1, 32), batch_size=8)",
            "losses = [module.validation_step(batch, i) for i, batch in enumerate(val_loader)]",
        ),
        seen_in=("https://github.com/openai/parameter-golf/issues/2127",),
    ),
    ScriptMistake(
        "validation_split_overlaps",
        "sft",
        "The validation rows are the first of the shuffled order, which are trained too.",
        edits(("for i in order[48:]]", "for i in order[:12]]")),
        ("validation_in_training",),
        (
            "eval_set = SupervisedDataset([PAIRS[i] for i in order[:12]])",
            'logits, loss = model(batch["input_ids"], batch["labels"])',
        ),
        seen_in=("https://github.com/marin-community/marin/pull/2700",),
    ),
    ScriptMistake(
        "validation_of_the_training_shards",
        "build_nanogpt",
        "The validation loader reads the training shards.",
        edits(('DataLoaderLite(B, T, "val")', 'DataLoaderLite(B, T, "train")')),
        ("validation_in_training",),
        (
            'train_loader, val_loader = DataLoaderLite(B, T, "train"), DataLoaderLite(B, T, "train")',
            "x, y = val_loader.next_batch()",
            "logits, loss = model(x, y)",
        ),
        seen_in=("https://github.com/luxonis/luxonis-train/pull/213",),
    ),
    ScriptMistake(
        "evaluation_sets_the_seed",
        "nanogpt",
        "The evaluation sets the seed. After every evaluation training repeats the same random numbers and batches.",
        edits(("    out = {}\n", "    torch.manual_seed(1337)\n    out = {}\n")),
        ("evaluation_sets_seed", "batch_repeated"),
        ("torch.manual_seed(1337)", "losses = estimate_loss()"),
        seen_in=("https://github.com/huggingface/diffusers/pull/8223",),
    ),
    ScriptMistake(
        "evaluation_loads_the_average",
        "ema_llama",
        "The averaged weights are loaded into the model for the evaluation, and the model keeps them.",
        edits(
            (
                '        if (step + 1) % TRAIN["eval_every"] == 0:\n',
                '        if (step + 1) % TRAIN["eval_every"] == 0:\n            model.load_state_dict(ema.state_dict())\n',
            )
        ),
        ("evaluation_changes_parameters",),
        ("model.load_state_dict(ema.state_dict())",),
    ),
)
