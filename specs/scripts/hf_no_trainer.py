"""Fine-tunes a causal model on lines of text: collator with padding, own loop, a schedule by steps."""
import argparse
import builtins
import itertools
import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

PAD, EOS = 0, 1


class Decoder(nn.Module):
    def __init__(self, vocab_size, hidden_size=32, num_layers=2, num_heads=4, max_positions=72, dropout=0.1):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab_size, hidden_size)
        self.embed_positions = nn.Embedding(max_positions, hidden_size)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(hidden_size, num_heads, 4 * hidden_size, dropout, "gelu", batch_first=True,
                                       norm_first=True) for _ in range(num_layers))
        self.final_layer_norm = nn.LayerNorm(hidden_size)
        self.lm_head = nn.Linear(hidden_size, vocab_size, bias=False)
        self.lm_head.weight = self.embed_tokens.weight
        self.apply(self._init_weights)

    @staticmethod
    def _init_weights(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, input_ids, attention_mask, labels=None, num_items_in_batch=None):
        length = input_ids.size(1)
        causal_mask = torch.ones(length, length, dtype=torch.bool).triu(1)
        padding_mask = attention_mask == 0
        hidden = self.embed_tokens(input_ids) + self.embed_positions(torch.arange(length))
        for layer in self.layers:
            hidden = layer(hidden, src_mask=causal_mask, src_key_padding_mask=padding_mask)
        logits = self.lm_head(self.final_layer_norm(hidden))
        loss = None
        if labels is not None:
            shift_logits = logits[:, :-1].contiguous()
            shift_labels = labels[:, 1:].contiguous()
            reduction = "mean" if num_items_in_batch is None else "sum"
            loss_fct = nn.CrossEntropyLoss(reduction=reduction)
            loss = loss_fct(shift_logits.view(-1, shift_logits.size(-1)), shift_labels.view(-1))
            if num_items_in_batch is not None:
                loss = loss / num_items_in_batch
        return {"loss": loss, "logits": logits}


class DataCollatorForLanguageModeling:
    def __call__(self, examples):
        longest = max(len(e) for e in examples)
        input_ids = torch.full((len(examples), longest), PAD)
        for row, e in enumerate(examples):
            input_ids[row, :len(e)] = torch.tensor(e)
        attention_mask = (input_ids != PAD).long()
        labels = input_ids.clone()
        labels[labels == PAD] = -100
        return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}


def get_cosine_schedule_with_warmup(optimizer, num_warmup_steps, num_training_steps):
    def lr_lambda(current_step):
        if current_step < num_warmup_steps:
            return float(current_step + 1) / float(max(1, num_warmup_steps + 1))
        progress = float(current_step - num_warmup_steps) / float(max(1, num_training_steps - num_warmup_steps))
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))

    return LambdaLR(optimizer, lr_lambda)


def get_grouped_parameters(model, weight_decay):
    no_decay = ["bias", "norm"]
    return [
        {"params": [p for n, p in model.named_parameters() if not any(nd in n for nd in no_decay)],
         "weight_decay": weight_decay},
        {"params": [p for n, p in model.named_parameters() if any(nd in n for nd in no_decay)], "weight_decay": 0.0},
    ]


def get_texts():
    """What each built-in function says of itself, one sentence a line."""
    names = [n for n in sorted(vars(builtins)) if n.islower() and callable(getattr(builtins, n))]
    return [(getattr(builtins, n).__doc__ or "").strip().partition("\n")[0] for n in names if len(n) < 7][:22]


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--per_device_train_batch_size", type=int, default=3)
    parser.add_argument("--gradient_accumulation_steps", type=int, default=2)
    parser.add_argument("--learning_rate", type=float, default=5e-3)
    parser.add_argument("--weight_decay", type=float, default=0.01)
    parser.add_argument("--num_train_epochs", type=int, default=4)
    parser.add_argument("--num_warmup_steps", type=int, default=2)
    parser.add_argument("--max_grad_norm", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


def evaluate(model, eval_dataloader):
    model.eval()
    losses = []
    for batch in eval_dataloader:
        with torch.no_grad():
            outputs = model(**batch)
        tokens = (batch["labels"][:, 1:] != -100).sum().item()
        losses.append((outputs["loss"].item() * tokens, tokens))
    return sum(total for total, _ in losses) / sum(tokens for _, tokens in losses)


def main():
    args = parse_args()
    torch.manual_seed(args.seed)
    texts = get_texts()
    chars = sorted(set("".join(texts)))
    dataset = [[chars.index(c) + 2 for c in line][:70] + [EOS] for line in texts]
    train_dataset, eval_dataset = dataset[:16], dataset[16:]
    collate = DataCollatorForLanguageModeling()
    train_dataloader = DataLoader(train_dataset, shuffle=True, collate_fn=collate,
                                  batch_size=args.per_device_train_batch_size)
    eval_dataloader = DataLoader(eval_dataset, collate_fn=collate, batch_size=4)
    model = Decoder(len(chars) + 2)
    optimizer_grouped_parameters = get_grouped_parameters(model, args.weight_decay)
    optimizer = torch.optim.AdamW(optimizer_grouped_parameters, lr=args.learning_rate)
    steps_per_epoch = math.ceil(len(train_dataloader) / args.gradient_accumulation_steps)
    max_train_steps = args.num_train_epochs * steps_per_epoch
    lr_scheduler = get_cosine_schedule_with_warmup(optimizer, args.num_warmup_steps, max_train_steps)
    completed_steps = 0
    for epoch in range(args.num_train_epochs):
        model.train()
        batches = iter(train_dataloader)
        while group := list(itertools.islice(batches, args.gradient_accumulation_steps)):
            num_items_in_batch = sum((batch["labels"][:, 1:] != -100).sum() for batch in group)
            total_loss = 0.0
            for batch in group:
                outputs = model(**batch, num_items_in_batch=num_items_in_batch)
                outputs["loss"].backward()
                total_loss += outputs["loss"].detach().item()
            torch.nn.utils.clip_grad_norm_(model.parameters(), args.max_grad_norm)
            optimizer.step()
            lr_scheduler.step()
            optimizer.zero_grad()
            completed_steps += 1
            print(f"step {completed_steps} loss {total_loss:.6f} lr {lr_scheduler.get_last_lr()[0]:.6f}")
        eval_loss = evaluate(model, eval_dataloader)
        print(f"epoch {epoch}: perplexity: {math.exp(eval_loss):.4f} eval_loss: {eval_loss:.6f}")


if __name__ == "__main__":
    main()
