"""The student in torch: token vectors, a window over neighbouring tokens, and a small layer on the pooled text.

Imported by train.py. The rows of the token table are handed in already gathered. Formula: ../README.md."""
import torch
import torch.nn.functional as F
from torch import nn


class Bag(nn.Module):
    """The plain sum of token vectors: one half of the shipped vector."""

    def forward(self, rows, inverse, start, text):
        return F.embedding_bag(inverse, rows, start, mode='sum')


class Student(nn.Module):
    """The window and the layer: the other half."""

    def __init__(self, d, k, h, head):
        super().__init__()
        self.p = nn.Parameter(torch.randn(d, k) * 2 / d ** .5)
        self.w1 = nn.Parameter(torch.randn(3 * k, h) * (2 / (3 * k)) ** .5)
        self.b1 = nn.Parameter(torch.zeros(h))
        self.w2 = nn.Parameter(torch.zeros(h, d))
        self.wg = nn.Parameter(torch.zeros(h))
        self.v1 = nn.Parameter(torch.cat([torch.randn(d, head) * 2, torch.randn(h, head) * .2]))
        self.c1 = nn.Parameter(torch.zeros(head))
        self.v2 = nn.Parameter(torch.zeros(head, d))

    def forward(self, rows, inverse, start, text):
        """rows [U,d]: unique token vectors; inverse [T]: token -> row; start [B]: first token of each text;
        text [T]: the text of each token. Returns [B,d], not yet normalised."""
        c = F.embedding(inverse, rows @ self.p)
        same = (text[1:] == text[:-1])[:, None]          # is the next token of the same text?
        zero = torch.zeros(1, c.shape[1])
        left = torch.cat([zero, c[:-1] * same])
        right = torch.cat([c[1:] * same, zero])
        hidden = torch.relu(torch.cat([left, c, right], 1) @ self.w1 + self.b1)
        gate = 1 + torch.tanh(hidden @ self.wg)
        pooled = torch.zeros(len(start), hidden.shape[1]).index_add(0, text, hidden)
        x = F.embedding_bag(inverse, rows, start, mode='sum', per_sample_weights=gate) + pooled @ self.w2
        size = x.norm(dim=1, keepdim=True) + 1e-9
        x = x / size
        return x + torch.relu(torch.cat([x, pooled / size], 1) @ self.v1 + self.c1) @ self.v2
