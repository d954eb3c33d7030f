"""Steps 6 to 8. Train the student: the token vectors, the window and layer on top of them, then all together.

usage: train.py WORK OUT.npz --static [OPTIONS]               the token vectors, as a plain sum
       train.py WORK OUT.npz --table TABLE.npz [OPTIONS]      window and layer; the token vectors stay as they are
       train.py WORK OUT.npz --resume MODEL.npz [OPTIONS]     everything goes on, with the loss of both halves of the vector
       train.py WORK OUT.npz [OPTIONS]                        all at once, loss of the context half alone, to compare
OPTIONS: --steps N --rate R, and factors of the sampling weights: --intents W --phrases W --newsgroups W
Loss = (1 - cos(student, teacher)) + 0.25 * cross-entropy of the in-batch similarities at temperature 0.05. 15 % of a batch
are runs of 2-6 paragraphs of one document. Rows of the table take a lazy Adam step only when their token occurs."""
import argparse
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F

from student import Bag, Student

DIM, NEAR, HIDDEN, HEAD, RATE = 160, 16, 96, 1024, 4e-3
TAU, LAMBDA, MAX_TOKENS, BATCH = .05, .25, 160, 1024
BETA1, BETA2 = .9, .99
TOPICS = 256
DICTIONARY = ('dict', 'omw', 'cedict')


def options():
    a = argparse.ArgumentParser()
    a.add_argument('work')
    a.add_argument('out')
    a.add_argument('--static', action='store_true')
    a.add_argument('--table')
    a.add_argument('--resume')
    a.add_argument('--rate', type=float, default=RATE)
    a.add_argument('--steps', type=int, default=8000)
    a.add_argument('--intents', type=float, default=4)
    a.add_argument('--phrases', type=float, default=2)
    a.add_argument('--newsgroups', type=float, default=2)
    a.add_argument('--log', type=int, default=500)
    return a.parse_args()


class Data:
    """Samples with their sampling weights; draws batches."""

    def __init__(self, o):
        z = np.load(o.work + '/samples.npz')
        self.flat, self.length = z['flat'], z['length'].astype(np.int64)
        self.string, self.vocab = z['string'], int(z['vocab'])
        y = np.load(o.work + '/targets.npy', mmap_mode='r')[:, :DIM].astype(np.float32)
        norm = np.linalg.norm(y, axis=1, keepdims=True)
        self.target = (y / (norm + 1e-9)).astype(np.float16)
        self.offset = np.concatenate([[0], np.cumsum(self.length)])
        self.rng = np.random.RandomState(0)
        kind, lang = z['kind'], z['lang']
        w = np.ones(len(kind), np.float32)
        self.dictionary = np.isin(kind, DICTIONARY)
        w[self.dictionary] = .5
        w[lang == 'zh'] *= 1.3
        w[kind == 'stsb'] *= .5
        w[np.isin(kind, ['intent_train', 'intent_other', 'dialog'])] *= o.intents
        w[kind == 'phrase'] *= o.phrases
        w[kind == '20ng'] *= o.newsgroups
        w[norm[self.string, 0] == 0] = 0
        self.check = self.rng.choice(np.flatnonzero(w), 4000, False)
        self.check_lang = lang[self.check]
        w[self.check] = 0
        self.weight = w
        self.cumulative = np.cumsum(w.astype(np.float64)) / w.sum(dtype=np.float64)
        self.documents(z, w)

    def topics(self, rows):
        """For each row the nearest of TOPICS random targets."""
        anchors = self.target[self.string[self.rng.choice(rows, TOPICS)]].astype(np.float32)
        return np.concatenate([(self.target[self.string[rows[i:i + 20000]]].astype(np.float32) @ anchors.T).argmax(1)
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
        return self.flat[self.offset[i]:self.offset[i + 1]][:MAX_TOKENS]

    def batch(self, rows, docs=()):
        ids = [self.tokens(i) for i in rows]
        y = [self.target[self.string[rows]].astype(np.float32)]
        for q in docs:
            m = self.doc_rows[self.doc_start[q]:self.doc_start[q + 1]]
            k = self.rng.randint(2, 7)
            at = self.rng.randint(0, max(1, len(m) - k + 1))
            m = m[at:at + k]
            ids.append(np.concatenate([self.tokens(i) for i in m]))
            t = (self.target[self.string[m]].astype(np.float32) * np.sqrt(self.length[m])[:, None]).sum(0)
            y.append((t / np.linalg.norm(t))[None].astype(np.float32))
        n = np.array([len(a) for a in ids])
        unique, inverse = np.unique(np.concatenate(ids), return_inverse=True)
        start = np.concatenate([[0], np.cumsum(n)[:-1]])
        return unique, torch.from_numpy(inverse.astype(np.int64)), torch.from_numpy(start), \
            torch.from_numpy(np.repeat(np.arange(len(n)), n)), torch.from_numpy(np.concatenate(y))

    def draw(self):
        runs = BATCH * 15 // 100
        rows = np.searchsorted(self.cumulative, self.rng.rand(BATCH - runs))
        docs = np.searchsorted(self.doc_cumulative, self.rng.rand(runs)).clip(0, len(self.doc_length) - 1)
        return self.batch(rows, docs)


def initial(data, d):
    """Damped mean of the targets of the samples that a token occurs in."""
    use = np.flatnonzero(data.weight)
    n, table, count = len(data.length), np.zeros((data.vocab, d), np.float32), np.zeros(data.vocab, np.float32)
    x = sp.csr_matrix((np.ones(len(data.flat), np.float32), data.flat, data.offset), shape=(n, data.vocab))
    for at in range(0, len(use), 200000):
        rows = use[at:at + 200000]
        block = sp.diags((1 / np.sqrt(data.length[rows])).astype(np.float32)) @ x[rows]
        table += block.T @ data.target[data.string[rows]].astype(np.float32)
        count += np.asarray(block.sum(0)).ravel()
    return table / (count[:, None] + 1)


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


def loss_of(student, rows, inverse, start, text, y):
    xn = F.normalize(student(rows, inverse, start, text), dim=1)
    similarity = xn @ y.T
    want = torch.softmax(y @ y.T / TAU, 1)
    return 1 - similarity.diagonal().mean() - LAMBDA * (want * torch.log_softmax(similarity / TAU, 1)).sum(1).mean()


def check(student, data, table):
    with torch.no_grad():
        unique, inv, start, text, y = data.batch(data.check)
        cos = F.cosine_similarity(student(torch.from_numpy(table[unique]), inv, start, text), y).numpy()
    d = data.dictionary[data.check]
    parts = ' '.join(f'{l} {cos[(data.check_lang == l) & ~d].mean():.3f}' for l in ('en', 'zh', 'de', 'ru', 'ja', 'ar'))
    return f'held-out cosine {cos.mean():.4f}, dictionary {cos[d].mean():.3f}, text {parts}'


def main(o):
    torch.manual_seed(0)
    data = Data(o)
    student = Bag() if o.static else Student(DIM, NEAR, HIDDEN, HEAD)
    begun = o.table or o.resume
    table = np.load(begun)['table'] if begun else initial(data, DIM)
    if o.resume:
        student.load_state_dict({n: torch.from_numpy(v) for n, v in np.load(o.resume).items() if n != 'table'})
    dense = list(student.parameters())
    adam = torch.optim.Adam(dense or [torch.zeros(1)], lr=o.rate / 2, betas=(BETA1, BETA2))
    lazy = LazyAdam(table)
    print(f'{int((data.weight > 0).sum())} samples', check(student, data, table), flush=True)
    pool = ThreadPoolExecutor(1)
    coming, begin = pool.submit(data.draw), time.time()
    for step in range(o.steps):
        unique, inverse, start, text, y = coming.result()
        coming = pool.submit(data.draw)
        rate = o.rate * (1 - step / o.steps) * min(1, (step + 1) / 50)
        rows = torch.from_numpy(table[unique]).requires_grad_(not o.table)
        loss = loss_of(student, rows, inverse, start, text, y)
        if o.resume:
            loss = loss + loss_of(Bag(), rows, inverse, start, text, y)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        if not o.table:
            lazy.step(unique, rows.grad.numpy(), rate)
        adam.param_groups[0]['lr'] = rate / 2
        adam.step()
        if (step + 1) % o.log == 0:
            print(f'{step + 1} loss {loss.item():.4f}', check(student, data, table),
                  f'{time.time() - begin:.0f} s', flush=True)
    np.savez(o.out, table=table, **{n: p.detach().numpy() for n, p in student.named_parameters()})


if __name__ == '__main__':
    main(options())
