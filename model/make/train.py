"""Step 10. Train the student: the token vectors, the window and layer on top of them, all together.

usage: train.py WORK TARGETS.npy BEGIN.npz OUT.npz [OPTIONS]      BEGIN is what warm.py or an earlier run has made
OPTIONS: --steps N --rate R, factors of the sampling weights: --intents W --phrases W --newsgroups W,
         --pairs W: the loss of pairs.npz counts W times
Loss of each half of the vector = (1 - cos(student, target)) + 0.25 * cross-entropy of the in-batch similarities at temperature
0.05; of pairs: cross-entropy of the names of a task, logits 10 * cosine of the whole vectors. 15 % of a batch are runs of 2-6
paragraphs of one document. Rows of the table take a lazy Adam step only when their token occurs."""
import argparse
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F

from pairs import STRANGE, Pairs
from student import Bag, Student
from texts import DICTIONARY

DIM, NEAR, HIDDEN, HEAD, RATE = 160, 16, 96, 1024, 8e-4
LOGIT = 10
TAU, LAMBDA, MAX_TOKENS, BATCH = .05, .25, 160, 1024
BETA1, BETA2 = .9, .99
TOPICS = 256


def options():
    a = argparse.ArgumentParser()
    for name in ('work', 'targets', 'begin', 'out'):
        a.add_argument(name)
    a.add_argument('--rate', type=float, default=RATE)
    a.add_argument('--steps', type=int, default=1400)
    a.add_argument('--intents', type=float, default=2)
    a.add_argument('--phrases', type=float, default=.5)
    a.add_argument('--newsgroups', type=float, default=3)
    a.add_argument('--pairs', type=float, default=.12)
    a.add_argument('--log', type=int, default=250)
    a.add_argument('--seed', type=int, default=0)
    return a.parse_args()


def assembled(ids):
    """Unique token ids; the row of each token among them; the first token of each text; the text of each token."""
    n = np.array([len(a) for a in ids])
    unique, inverse = np.unique(np.concatenate(ids), return_inverse=True)
    return unique, torch.from_numpy(inverse.astype(np.int64)), torch.from_numpy(np.concatenate([[0], np.cumsum(n)[:-1]])), \
        torch.from_numpy(np.repeat(np.arange(len(n)), n))


class Data:
    """Samples with their sampling weights; draws batches."""

    def __init__(self, o):
        z = np.load(o.work + '/samples.npz')
        self.flat, self.text, self.vocab = z['flat'], z['text'], int(z['vocab'])
        lengths = z['length'].astype(np.int64)
        self.length, self.offset = lengths[self.text], np.concatenate([[0], np.cumsum(lengths)])
        y = np.load(o.targets).astype(np.float32)
        norm = np.linalg.norm(y, axis=1)
        self.target = (y / (norm[:, None] + 1e-9)).astype(np.float16)
        self.rng = np.random.RandomState(o.seed)
        kind, lang = z['kind'], z['lang']
        w = np.ones(len(kind), np.float32)
        self.dictionary = np.isin(kind, DICTIONARY)
        w[self.dictionary] = .5
        w[lang == 'zh'] *= 1.3
        w[kind == 'stsb'] *= .5
        w[np.isin(kind, ['intent_train', 'intent_other', 'dialog'])] *= o.intents
        w[kind == 'phrase'] *= o.phrases
        w[kind == '20ng'] *= o.newsgroups
        w[norm[self.text] == 0] = 0
        self.check = self.rng.choice(np.flatnonzero(w), 4000, False)
        self.check_lang = lang[self.check]
        w[self.check] = 0
        self.weight = w
        self.cumulative = np.cumsum(w.astype(np.float64)) / w.sum(dtype=np.float64)
        self.documents(z, w)

    def topics(self, rows):
        """For each row the nearest of TOPICS random targets."""
        anchors = self.target[self.text[self.rng.choice(rows, TOPICS)]].astype(np.float32)
        return np.concatenate([(self.target[self.text[rows[i:i + 20000]]].astype(np.float32) @ anchors.T).argmax(1)
                               for i in range(0, len(rows), 20000)])

    def documents(self, z, w):
        """Runs of paragraphs: the documents of the data, and groups of eight sentences of one language and like topic."""
        groups = [g[w[g] > 0] for g in np.split(z['doc_rows'], np.cumsum(z['doc_length'])[:-1])]
        rows = self.rng.permutation(np.flatnonzero((w > 0) & ~self.dictionary & (z['kind'] != 'phrase')))[:100000]
        lang = np.unique(z['lang'][rows], return_inverse=True)[1]
        rows = rows[np.lexsort((self.topics(rows), lang))]
        groups += [rows[i:i + 8] for i in range(0, len(rows) - 8, 8)]
        n = np.array([len(g) for g in groups])
        self.doc_rows, self.doc_length = np.concatenate(groups), n
        self.doc_start = np.concatenate([[0], np.cumsum(n)])
        p = np.where(n > 1, np.minimum(n, 6), 0).astype(np.float64)
        self.doc_cumulative = np.cumsum(p) / p.sum()

    def tokens(self, i):
        return self.flat[self.offset[self.text[i]]:self.offset[self.text[i] + 1]][:MAX_TOKENS]

    def batch(self, rows, docs=()):
        ids = [self.tokens(i) for i in rows]
        y = [self.target[self.text[rows]].astype(np.float32)]
        for q in docs:
            m = self.doc_rows[self.doc_start[q]:self.doc_start[q + 1]]
            k = self.rng.randint(2, 7)
            at = self.rng.randint(0, max(1, len(m) - k + 1))
            m = m[at:at + k]
            ids.append(np.concatenate([self.tokens(i) for i in m]))
            t = (self.target[self.text[m]].astype(np.float32) * np.sqrt(self.length[m])[:, None]).sum(0)
            y.append((t / np.linalg.norm(t))[None].astype(np.float32))
        return ids, torch.from_numpy(np.concatenate(y))

    def draw(self):
        """ids of the texts of a batch, and their targets."""
        runs = BATCH * 15 // 100
        rows = np.searchsorted(self.cumulative, self.rng.rand(BATCH - runs))
        docs = np.searchsorted(self.doc_cumulative, self.rng.rand(runs)).clip(0, len(self.doc_length) - 1)
        return self.batch(rows, docs)


class LazyAdam:
    """Adam whose moments and step count of a row change only when the row occurs in the batch."""

    def __init__(self, table):
        self.table, self.m1, self.m2 = table, np.zeros_like(table), np.zeros_like(table)
        self.seen = np.zeros(len(table), np.int32)

    def step(self, rows, gradient, rate):
        self.seen[rows] += 1
        a, b = self.m1[rows], self.m2[rows]
        a += (1 - BETA1) * (gradient - a)
        b += (1 - BETA2) * (gradient * gradient - b)
        self.m1[rows], self.m2[rows] = a, b
        t = self.seen[rows][:, None].astype(np.float32)
        self.table[rows] -= rate * (a / (1 - BETA1 ** t)) / (np.sqrt(b / (1 - BETA2 ** t)) + 1e-8)


def loss_of(xn, y):
    """xn: unit vectors of the student."""
    similarity = xn @ y.T
    want = torch.softmax(y @ y.T / TAU, 1)
    return 1 - similarity.diagonal().mean() - LAMBDA * (want * torch.log_softmax(similarity / TAU, 1)).sum(1).mean()


def loss_of_pairs(whole, tasks):
    """whole: unit vectors of all texts and names of the tasks, in order."""
    losses, at, places = [], 0, []
    for texts, names, _ in tasks:
        places.append((at, at + len(texts), at + len(texts) + len(names)))
        at = places[-1][2]
    for i, (_, _, right) in enumerate(tasks):
        first, middle, end = places[i]
        _, others, last = places[i - 1]
        names = torch.cat([whole[middle:end], whole[others:min(others + STRANGE, last)]])
        losses.append(F.cross_entropy(LOGIT * whole[first:middle] @ names.T, torch.from_numpy(right)))
    return torch.stack(losses).mean()


def halves(student, rows, inverse, start, text):
    return [F.normalize(half(rows, inverse, start, text), dim=1) for half in (Bag(), student)]


def check(student, data, table):
    with torch.no_grad():
        ids, y = data.batch(data.check)
        unique, *places = assembled(ids)
        cos = [(x * y).sum(1).numpy() for x in halves(student, torch.from_numpy(table[unique]), *places)]
    d = data.dictionary[data.check]
    parts = ' '.join(f'{l} {cos[1][(data.check_lang == l) & ~d].mean():.3f}' for l in ('en', 'zh', 'de', 'ru', 'ja', 'ar'))
    return f'held-out cosine sum {cos[0].mean():.4f} context {cos[1].mean():.4f}, dictionary {cos[1][d].mean():.3f}, text {parts}'


def next_batch(data, pairs):
    ids, y = data.draw()
    tasks = pairs.draw() if pairs else []
    for texts, names, _ in tasks:
        ids = ids + texts + names
    return assembled(ids), y, tasks


def main(o):
    torch.manual_seed(0)
    data, pairs, begun = Data(o), Pairs(o.work + '/pairs.npz', o.seed) if o.pairs else None, np.load(o.begin)
    table, student = begun['table'], Student(DIM, NEAR, HIDDEN, HEAD)
    student.load_state_dict({n: torch.from_numpy(v) for n, v in begun.items() if n != 'table'})
    adam = torch.optim.Adam(student.parameters(), lr=o.rate / 2, betas=(BETA1, BETA2))
    lazy = LazyAdam(table)
    print(f'{int((data.weight > 0).sum())} samples', check(student, data, table), flush=True)
    pool, begin = ThreadPoolExecutor(1), time.time()
    coming = pool.submit(next_batch, data, pairs)
    for step in range(o.steps):
        (unique, *places), y, tasks = coming.result()
        coming = pool.submit(next_batch, data, pairs)
        rate = o.rate * (1 - step / o.steps) * min(1, (step + 1) / 50)
        rows = torch.from_numpy(table[unique]).requires_grad_()
        both = halves(student, rows, *places)
        loss = sum(loss_of(x[:len(y)], y) for x in both)
        if pairs:
            loss = loss + o.pairs * loss_of_pairs(torch.cat(both, 1)[len(y):] * .5 ** .5, tasks)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        lazy.step(unique, rows.grad.numpy(), rate)
        adam.param_groups[0]['lr'] = rate / 2
        adam.step()
        if (step + 1) % o.log == 0:
            print(f'{step + 1} loss {loss.item():.4f}', check(student, data, table), f'{time.time() - begin:.0f} s', flush=True)
    np.savez(o.out, table=table, **{n: p.detach().numpy() for n, p in student.named_parameters()})


if __name__ == '__main__':
    main(options())
