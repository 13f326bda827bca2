#!/usr/bin/python3
"""One training step of the nano model in PyTorch, as its users would write it: the yardstick of
`r1 bench train --shape nano`. The same architecture, shapes, documents and optimiser.

    pytorch_step.py [--threads N] [--precision auto|fp32|bf16] [--attention auto|padded|each]
                    [--steps N] [--serve]

Prints the seconds of each step. With --serve it warms up, prints "ready", and then runs one step
for each line on stdin. "auto" tries both in the warm-up and keeps the faster.

Attention is MLA in the expanded form (keys and values per head). "padded" pads the documents of a
batch to the longest and masks; "each" calls attention document by document, without padding.
"""

import argparse
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

VOCAB, HIDDEN, LAYERS, DENSE_LAYERS, HEADS = 984, 192, 5, 1, 6
DENSE, EXPERT, EXPERTS, SHARED, PER_TOKEN, GROUPS, TOP_GROUPS = 512, 128, 8, 1, 2, 4, 2
LATENT, NOPE, ROPE, VALUE = 64, 32, 16, 32
CONTEXT, THETA, EPS, STD = 512, 10000.0, 1e-6, 0.03
STEP_TOKENS, BATCH_TOKENS, SHORTEST, LONGEST, STRIDE = 4096, 4096, 16, 96, 37
MTP_WEIGHT, BALANCE, BIAS_SPEED = 0.1, 1e-4, 1e-3


def document_lengths():
    """As document_lengths() in src/train/benchmark_shape.cc."""
    lengths, left = [], STEP_TOKENS
    while left > 0:
        kinds = LONGEST - SHORTEST + 1
        lengths.append(min(SHORTEST + len(lengths) * STRIDE % kinds, left))
        left -= lengths[-1]
    return lengths


class Batch:
    """Documents one behind another: ids [T], positions [T], and labels 1 and 2 places further."""

    def __init__(self, lengths):
        documents = [torch.randint(VOCAB, (n,)) for n in lengths]
        self.lengths = lengths
        self.ids = torch.cat(documents)
        self.positions = torch.cat([torch.arange(n) for n in lengths])
        self.labels = torch.cat([self.shifted(d, 1) for d in documents])
        self.further = torch.cat([self.shifted(d, 2) for d in documents])
        self.document = torch.repeat_interleave(
            torch.arange(len(lengths)), torch.tensor(lengths))
        self.longest = max(lengths)
        # Row of the padded [documents * longest] layout that each token takes.
        self.padded_row = self.document * self.longest + self.positions
        causal = torch.ones(self.longest, self.longest, dtype=torch.bool).tril()
        self.mask = torch.zeros(self.longest, self.longest).masked_fill(~causal, float("-inf"))

    @staticmethod
    def shifted(ids, places):
        return F.pad(ids, (0, places), value=-100)[places:]


class RMSNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        x = x.float()
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS))


def linear(inputs, outputs):
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=STD)
    return layer


def rotate(x, cos, sin):
    """x [T, heads, ROPE], interleaved pairs."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class LatentAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = linear(HIDDEN, HEADS * (NOPE + ROPE))
        self.down = linear(HIDDEN, LATENT + ROPE)
        self.norm = RMSNorm(LATENT)
        self.up = linear(LATENT, HEADS * (NOPE + VALUE))
        self.output = linear(HEADS * VALUE, HIDDEN)

    def forward(self, x, batch, table, padded):
        tokens = x.shape[0]
        cos, sin = (part[batch.positions].unsqueeze(1) for part in table)
        q = self.query(x).view(tokens, HEADS, NOPE + ROPE)
        q_nope, q_rope = q.split((NOPE, ROPE), -1)
        latent, k_rope = self.down(x).split((LATENT, ROPE), -1)
        k_rope = rotate(k_rope.unsqueeze(1), cos, sin).expand(tokens, HEADS, ROPE)
        k_nope, v = self.up(self.norm(latent)).view(tokens, HEADS, NOPE + VALUE).split(
            (NOPE, VALUE), -1)
        q = torch.cat((q_nope, rotate(q_rope, cos, sin).to(q_nope.dtype)), -1)
        k = torch.cat((k_nope, k_rope.to(k_nope.dtype)), -1)
        q = q * (NOPE + ROPE) ** -0.5
        attend = self.attend_padded if padded else self.attend_each
        return self.output(attend(q, k, v, batch).reshape(tokens, HEADS * VALUE))

    @staticmethod
    def attend_padded(q, k, v, batch):
        documents, longest = len(batch.lengths), batch.longest

        def pad(x):  # [T, heads, d] to [documents, heads, longest, d]
            rows = x.new_zeros(documents * longest, *x.shape[1:])
            rows = rows.index_copy(0, batch.padded_row, x)
            return rows.view(documents, longest, *x.shape[1:]).transpose(1, 2)

        scores = pad(q) @ pad(k).transpose(-1, -2) + batch.mask
        out = torch.softmax(scores.float(), -1).to(v.dtype) @ pad(v)
        return out.transpose(1, 2).reshape(documents * longest, HEADS, VALUE)[batch.padded_row]

    @staticmethod
    def attend_each(q, k, v, batch):
        outs = []
        for q, k, v in zip(*(x.transpose(0, 1).split(batch.lengths, 1) for x in (q, k, v))):
            n = q.shape[1]
            scores = q @ k.transpose(-1, -2) + batch.mask[:n, :n]
            outs.append(torch.softmax(scores.float(), -1).to(v.dtype) @ v)
        return torch.cat(outs, 1).transpose(0, 1)


class FeedForward(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.gate, self.up = linear(HIDDEN, inner), linear(HIDDEN, inner)
        self.down = linear(inner, HIDDEN)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class MixtureOfExperts(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = linear(HIDDEN, EXPERTS)
        self.register_buffer("bias", torch.zeros(EXPERTS))
        self.experts = nn.ModuleList(FeedForward(EXPERT) for _ in range(EXPERTS))
        self.shared = FeedForward(SHARED * EXPERT)

    def forward(self, x, batch, losses):
        tokens = x.shape[0]
        with torch.autocast("cpu", enabled=False):
            scores = torch.sigmoid(F.linear(x.float(), self.gate.weight))
        with torch.no_grad():
            biased = scores + self.bias
            groups = biased.view(tokens, GROUPS, -1)
            kept = groups.topk(2, -1)[0].sum(-1).topk(TOP_GROUPS, -1)[1]
            mask = torch.full((tokens, GROUPS), float("-inf")).scatter_(1, kept, 0.0)
            chosen = (groups + mask.unsqueeze(-1)).view(tokens, EXPERTS).topk(PER_TOKEN, -1)[1]
        weights = scores.gather(1, chosen)
        weights = weights / weights.sum(-1, keepdim=True)
        losses.append(self.balance_loss(scores, chosen, batch))

        out = torch.zeros(tokens, HIDDEN)
        for index, expert in enumerate(self.experts):
            rows, slots = torch.where(chosen == index)
            y = expert(x[rows]).float() * weights[rows, slots].unsqueeze(-1)
            out.index_add_(0, rows, y)
        self.load = torch.bincount(chosen.flatten(), minlength=EXPERTS)
        return out + self.shared(x)

    @staticmethod
    def balance_loss(scores, chosen, batch):
        documents = len(batch.lengths)
        count = torch.tensor(batch.lengths, dtype=torch.float32).unsqueeze(1)
        share = scores / scores.sum(-1, keepdim=True)
        mean = torch.zeros(documents, EXPERTS).index_add_(0, batch.document, share) / count
        with torch.no_grad():
            uses = torch.zeros(scores.shape).scatter_(1, chosen, 1.0)
            load = torch.zeros(documents, EXPERTS).index_add_(0, batch.document, uses)
            load = load * EXPERTS / (PER_TOKEN * count)
        return BALANCE * (load * mean).sum(-1).mean()


class Layer(nn.Module):
    def __init__(self, dense):
        super().__init__()
        self.attention_norm, self.attention = RMSNorm(HIDDEN), LatentAttention()
        self.norm = RMSNorm(HIDDEN)
        self.dense = dense
        self.feed_forward = FeedForward(DENSE) if dense else MixtureOfExperts()

    def forward(self, x, batch, table, padded, losses):
        x = x + self.attention(self.attention_norm(x), batch, table, padded)
        normed = self.norm(x)
        if self.dense:
            return x + self.feed_forward(normed)
        return x + self.feed_forward(normed, batch, losses)


class Nano(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, HIDDEN)
        nn.init.normal_(self.embedding.weight, std=STD)
        self.layers = nn.ModuleList(Layer(i < DENSE_LAYERS) for i in range(LAYERS))
        self.norm, self.head = RMSNorm(HIDDEN), linear(HIDDEN, VOCAB)
        # The multi-token-prediction module.
        self.embedding_norm, self.state_norm = RMSNorm(HIDDEN), RMSNorm(HIDDEN)
        self.join = linear(2 * HIDDEN, HIDDEN)
        self.further_layer, self.further_norm = Layer(False), RMSNorm(HIDDEN)
        angles = torch.outer(torch.arange(CONTEXT), THETA ** (-torch.arange(0, ROPE, 2) / ROPE))
        self.table = (angles.cos(), angles.sin())

    def loss(self, batch, padded):
        losses = []
        x = self.embedding(batch.ids)
        for layer in self.layers:
            x = layer(x, batch, self.table, padded, losses)
        states = self.norm(x)
        loss = F.cross_entropy(self.head(states).float(), batch.labels)
        next_ids = batch.labels.clamp(min=0)
        joined = torch.cat(
            (self.embedding_norm(self.embedding(next_ids)), self.state_norm(states)), -1)
        x = self.further_layer(self.join(joined), batch, self.table, padded, losses)
        further = F.cross_entropy(self.head(self.further_norm(x)).float(), batch.further)
        return loss + MTP_WEIGHT * further + sum(losses)

    @torch.no_grad()
    def update_bias(self):
        for module in self.modules():
            if isinstance(module, MixtureOfExperts):
                load = module.load.float()
                module.bias += BIAS_SPEED * torch.sign(load.mean() - load)


class Trainer:
    def __init__(self):
        torch.manual_seed(1)
        self.model = Nano()
        # One call over all parameters where this PyTorch has it, for the optimiser's sake.
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, betas=(0.9, 0.98),
                                           weight_decay=0.1, foreach=True)
        self.batches, lengths, tokens = [], [], 0
        for n in document_lengths():
            if tokens + n > BATCH_TOKENS:
                self.batches.append(Batch(lengths))
                lengths, tokens = [], 0
            lengths.append(n)
            tokens += n
        self.batches.append(Batch(lengths))

    def step(self, precision, padded):
        """One update; returns its seconds."""
        start = time.perf_counter()
        for batch in self.batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = self.model.loss(batch, padded)
            (loss / len(self.batches)).backward()
        self.model.update_bias()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description="One training step of the nano model in PyTorch.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--attention", choices=("auto", "padded", "each"), default="auto")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    trainer = Trainer()

    precisions = ("fp32", "bf16") if options.precision == "auto" else (options.precision,)
    attentions = ("padded", "each") if options.attention == "auto" else (options.attention,)
    trials = {(p, a): [] for p in precisions for a in attentions}
    for _ in range(2):  # the first pays for fresh memory
        for p, a in trials:
            trials[p, a].append(trainer.step(p, a == "padded"))
    best = min(trials, key=lambda way: min(trials[way]))
    parameters = sum(p.numel() for p in trainer.model.parameters())
    print(f"PyTorch {torch.__version__}, {options.threads} threads, {parameters} parameters",
          file=sys.stderr)
    for (p, a), seconds in trials.items():
        print(f"  {p}, attention {a}: best of warm-up {min(seconds):.3f} s", file=sys.stderr)

    def timed():
        print(f"{trainer.step(best[0], best[1] == 'padded'):.6f}", flush=True)

    if options.serve:
        print("ready", flush=True)
        for _ in sys.stdin:
            timed()
    else:
        for _ in range(options.steps):
            timed()


if __name__ == "__main__":
    main()
