"""Parameters that are not trained, or trained twice."""

from harness.core.script_mistake import ScriptMistake, edits

MISTAKES = (
    ScriptMistake(
        "model_replaced_after_optimizer",
        "llmc",
        "The model is built again after the optimiser. The optimiser trains the old one.",
        edits(
            (
                "for step in range(args.num_iterations + 1):",
                "model = GPT(V, T)\nfor step in range(args.num_iterations + 1):",
            )
        ),
        ("optimizer_holds_other_parameters",),
        ("optimizer = torch.optim.AdamW(", "optimizer.step()"),
        seen_in=(
            "https://github.com/pytorch/pytorch/issues/14467",
            "https://github.com/microsoft/nni/issues/4521",
        ),
    ),
    ScriptMistake(
        "optimizer_before_adapters",
        "lora",
        "The optimiser is made before the adapters exist. It holds the base alone, which is frozen afterwards.",
        edits(
            ("    add_lora(model)\n", ""),
            (
                "    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=14)\n",
                "    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=14)\n    add_lora(model)\n",
            ),
        ),
        ("parameter_not_in_optimizer",),
        ("optimizer = torch.optim.AdamW(trainable, lr=1e-2, weight_decay=0.0)", "add_lora(model)"),
        seen_in=("https://github.com/openvinotoolkit/nncf/pull/327",),
    ),
    ScriptMistake(
        "group_left_out",
        "mingpt",
        "Only weights of linear layers and biases are put in a group. Embeddings and norms are not trained.",
        edits(
            (
                "                (decay if is_decayed else no_decay).add(full)\n",
                '                if is_decayed or pn == "bias":\n                    (decay if is_decayed else no_decay).add(full)\n',
            )
        ),
        ("parameter_not_in_optimizer",),
        (
            'if is_decayed or pn == "bias":',
            'return torch.optim.AdamW(groups, lr=config["learning_rate"], betas=(0.9, 0.95))',
        ),
    ),
    ScriptMistake(
        "blocks_in_a_plain_list",
        "ema_llama",
        "The blocks stand in a plain list. The model does not know their parameters, and the optimiser never gets them.",
        edits(
            (
                "nn.ModuleList(TransformerBlock(dim, n_heads, dropout) for _ in range(n_layers))",
                "[TransformerBlock(dim, n_heads, dropout) for _ in range(n_layers)]",
            )
        ),
        ("parameter_not_in_optimizer", "parameter_not_registered"),
        (
            "self.layers = [TransformerBlock(dim, n_heads, dropout) for _ in range(n_layers)]",
            'optimizer = torch.optim.AdamW(model.parameters(), lr=TRAIN["lr"], betas=(0.9, 0.95), weight_decay=0.0)',
        ),
        seen_in=(
            "https://github.com/pytorch/pytorch/issues/666",
            "https://github.com/asyml/texar-pytorch/issues/72",
        ),
    ),
    ScriptMistake(
        "optimizer_of_a_state_dict",
        "sft",
        "The optimiser gets the tensors of the state dict. They are detached and never have a gradient.",
        edits(("AdamW(model.parameters(), lr=3e-3", "AdamW(list(model.state_dict().values()), lr=3e-3")),
        ("optimizer_holds_other_parameters",),
        ("optimizer = torch.optim.AdamW(list(model.state_dict().values()), lr=3e-3, weight_decay=0.0)",),
    ),
    ScriptMistake(
        "tied_weights_copied",
        "nanogpt",
        "The embedding gets a copy of the head's weight. The two are equal at the start and go apart.",
        edits(
            (
                "        self.wte.weight = self.lm_head.weight\n",
                "        self.wte.weight = nn.Parameter(self.lm_head.weight.detach().clone())\n",
            )
        ),
        ("tied_weights_broken",),
        ("self.wte.weight = nn.Parameter(self.lm_head.weight.detach().clone())",),
        seen_in=(
            "https://github.com/NVIDIA/Megatron-LM/issues/656",
            "https://github.com/NVIDIA-NeMo/Automodel/pull/2511",
        ),
    ),
    ScriptMistake(
        "tied_weight_twice_in_a_group",
        "llmc",
        "The tied weight stands in the group twice. Each step updates it twice.",
        edits(
            (
                "for n, p in model.named_parameters() if p.dim() >= 2]",
                "for n, p in model.named_parameters(remove_duplicate=False) if p.dim() >= 2]",
            )
        ),
        ("parameter_twice_in_optimizer",),
        (
            "decayed = [p for n, p in model.named_parameters(remove_duplicate=False) if p.dim() >= 2]",
            "optimizer = torch.optim.AdamW(",
        ),
    ),
    ScriptMistake(
        "half_of_the_adapter_frozen",
        "lora",
        "Only lora_A is trainable. lora_B stays zero, so the adapters have no effect and no gradient.",
        edits(('        p.requires_grad = "lora_" in name\n', '        p.requires_grad = "lora_A" in name\n')),
        ("adapter_frozen", "gradient_zero", "parameter_never_moves"),
        ('p.requires_grad = "lora_A" in name',),
        seen_in=(
            "https://github.com/huggingface/transformers/issues/26098",
            "https://github.com/microsoft/LoRA/pull/125",
        ),
    ),
    ScriptMistake(
        "adapter_zero_on_both_sides",
        "lora",
        "Both matrices of the adapters begin at zero. Neither ever gets a gradient.",
        edits(
            ("        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))\n", "        nn.init.zeros_(self.lora_A)\n")
        ),
        ("gradient_zero", "parameter_never_moves"),
        (
            "nn.init.zeros_(self.lora_A)",
            "self.lora_A = nn.Parameter(torch.empty(r, linear.in_features))",
            "return self.linear(x) + self.dropout(x) @ self.lora_A.T @ self.lora_B.T * self.scaling",
        ),
    ),
    ScriptMistake(
        "base_not_frozen",
        "lora",
        "The base is not frozen. All of its parameters are trained beside the adapters.",
        edits(
            (
                "            layer[name] = LoRALinear(layer[name])\n    mark_only_lora_as_trainable(model)\n",
                "            layer[name] = LoRALinear(layer[name])\n",
            )
        ),
        ("adapter_base_trained",),
        (
            "add_lora(model)",
            "trainable = [p for p in model.parameters() if p.requires_grad]",
            "optimizer = torch.optim.AdamW(trainable, lr=1e-2, weight_decay=0.0)",
            "layer[name] = LoRALinear(layer[name])",
        ),
        seen_in=("https://github.com/microsoft/aurora/issues/167",),
    ),
    ScriptMistake(
        "hidden_state_detached",
        "lit_llama",
        "The output of the heads is detached. Their projections get no gradient.",
        edits(
            (
                "        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)\n",
                "        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).detach()\n",
            )
        ),
        ("gradient_missing",),
        ("y = F.scaled_dot_product_attention(q, k, v, is_causal=True).detach()",),
    ),
    ScriptMistake(
        "embedding_under_no_grad",
        "resume",
        "The embeddings are computed under no_grad. They get no gradient.",
        edits(
            (
                "        x = self.token_emb(x) + self.pos_emb.weight[: x.shape[1]]\n",
                "        with torch.no_grad():\n            x = self.token_emb(x) + self.pos_emb.weight[: x.shape[1]]\n",
            )
        ),
        ("gradient_missing",),
        ("with torch.no_grad():", "x = self.token_emb(x) + self.pos_emb.weight[: x.shape[1]]"),
    ),
    ScriptMistake(
        "loss_made_anew",
        "sft",
        "The loss is made into a new tensor before backward. No gradient reaches the model.",
        edits(
            (
                "            loss.backward()\n",
                "            loss = torch.tensor(loss.item(), requires_grad=True)\n            loss.backward()\n",
            )
        ),
        ("loss_detached", "gradient_missing"),
        ("loss = torch.tensor(loss.item(), requires_grad=True)", "loss.backward()"),
    ),
    ScriptMistake(
        "requires_grad_not_restored",
        "lora",
        "The adapters are frozen for an evaluation, and half of them stay frozen afterwards.",
        edits(
            (
                "    model.train()\n    return loss\n",
                '    model.train()\n    for name, p in model.named_parameters():\n        p.requires_grad_("lora_B" in name)\n    return loss\n',
            )
        ),
        ("requires_grad_changed", "parameter_frozen_later", "gradient_missing"),
        ('p.requires_grad_("lora_B" in name)',),
    ),
    ScriptMistake(
        "update_not_in_place",
        "word_lm",
        "The update makes a new tensor and leaves the parameter as it was.",
        edits(("                p.add_(p.grad, alpha=-lr)\n", "                p = p - lr * p.grad\n")),
        ("parameter_never_moves", "step_missing"),
        ("p = p - lr * p.grad",),
        missed_because="the line shown is that of the backward pass whose gradients nothing uses",
    ),
    ScriptMistake(
        "own_optimiser_not_in_place",
        "own_adamw",
        "The update makes a new tensor and leaves the parameter as it was, apart from its decay.",
        edits(
            (
                "            t.sub_(lr * m_hat / (v_hat.sqrt() + eps))\n".replace("            ", "        ", 1),
                "        t = t - lr * m_hat / (v_hat.sqrt() + eps)\n",
            )
        ),
        ("parameter_never_moves", "step_missing"),
        ("t = t - lr * m_hat / (v_hat.sqrt() + eps)",),
        missed_because="the decay moves the parameters, so an own optimiser seems to make steps",
    ),
    ScriptMistake(
        "decay_in_the_wrong_group",
        "nanogpt",
        "The groups are swapped. Norms are decayed, and matrices are not.",
        edits(
            (
                "decay = [p for p in params if p.dim() >= 2]\n        no",
                "decay = [p for p in params if p.dim() < 2]\n        no",
            ),
            ("nodecay = [p for p in params if p.dim() < 2]", "nodecay = [p for p in params if p.dim() >= 2]"),
        ),
        ("weight_decay_on_norms",),
        (
            "decay = [p for p in params if p.dim() < 2]",
            'groups = [{"params": decay, "weight_decay": weight_decay}, {"params": nodecay, "weight_decay": 0.0}]',
            "return torch.optim.AdamW(groups, lr=learning_rate, betas=(beta1, beta2))",
        ),
        seen_in=("https://github.com/bigscience-workshop/Megatron-DeepSpeed/pull/262",),
    ),
    ScriptMistake(
        "decay_by_names_that_do_not_exist",
        "hf_no_trainer",
        "The norms of this model do not have the name that the list excludes. They are decayed.",
        edits(('    no_decay = ["bias", "norm"]\n', '    no_decay = ["bias", "LayerNorm.weight"]\n')),
        ("weight_decay_on_norms",),
        (
            'no_decay = ["bias", "LayerNorm.weight"]',
            "optimizer = torch.optim.AdamW(optimizer_grouped_parameters, lr=args.learning_rate)",
        ),
        seen_in=(
            "https://github.com/deepspeedai/DeepSpeedExamples/pull/755",
            "https://github.com/huggingface/transformers/issues/16908",
        ),
    ),
)
