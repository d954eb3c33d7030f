"""How the pieces of the first edition were made: the multilingual Unigram tokenizer. pieces.py takes them from its file.

usage: tokenizer.py DATA WORK      reads DATA/lex and WORK/samples.jsonl, writes WORK/tokenizer.json
Two piece lists make one model; they never compete, because Han and Kana runs are split off first:
  alphabetic scripts: whole words by a quota for each language (training texts and frequency lists), and sub-words by
    Unigram EM for the words left out;
  Chinese and Japanese: words by count (longest match with a word list) and every character seen twice.
Scores are rounded to 1/1024, so that integer arithmetic gives the same segmentation everywhere."""
import collections
import json
import math
import os
import re
import sys
import unicodedata

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from artefact import HAN, build_tokenizer, round_scores

SUBWORDS, CJK_WORDS, PUNCTUATION = 14000, 28000, 320
HAN_RUN, WORD = re.compile(HAN), re.compile(r'[^\W\d_]+')
# Whole words a language gets, and its share when the sub-words are learnt.
QUOTA = dict(en=26000, de=5300, ru=5300, fr=4600, es=4600, pt=4000, it=4000, nl=3600, ar=3600, pl=1400)
OTHER_QUOTA = 650
SHARE = dict(en=1.0, de=.35, fr=.32, es=.32, pt=.28, it=.28, nl=.25, ru=.35, ar=.25, pl=.15, sv=.1, da=.08, no=.08, fi=.12,
             cs=.12, ro=.1, hu=.12, el=.12, tr=.12, uk=.12, ko=.15, he=.1, hi=.06, vi=.06, id=.07, ca=.06, bg=.07, hr=.07,
             sk=.05, sl=.05, lt=.05, lv=.05, et=.05, fa=.07, th=.04)
LISTS = ('dict', 'omw', 'cedict', 'phrase')       # kinds without running text count less


def normalise(text):
    return re.sub(r'\d+', '0', unicodedata.normalize('NFKC', text).lower())


def longest_match(run, known):
    """Words of 2-6 characters, greedily from the left; single characters are skipped."""
    at = 0
    while at < len(run):
        for n in (6, 5, 4, 3, 2):
            if at + n <= len(run) and run[at:at + n] in known:
                yield run[at:at + n]
                at += n
                break
        else:
            at += 1


def chinese_words(lex):
    """The word list and its prior counts."""
    counts = collections.Counter()
    for line in open(lex + '/jieba_dict_small.txt', encoding='utf8'):
        word, count = line.split()[:2]
        if 2 <= len(word) <= 6:
            counts[word] += float(count) * .03
    cedict = open(lex + '/cedict_words.txt', encoding='utf8').read().split('\n')
    return set(counts) | {w for w in cedict if 2 <= len(w) <= 6 and HAN_RUN.fullmatch(w)}, counts


def count(lex, samples):
    """Counts of alphabetic words by language, of CJK words, CJK characters and punctuation marks."""
    known, cjk = chinese_words(lex)
    rows = [(normalise(t), l, k) for t, _, l, k, _ in map(json.loads, open(samples, encoding='utf8'))]
    japanese = known | {t for t, l, k in rows if l == 'ja' and k in LISTS and 2 <= len(t) <= 6 and HAN_RUN.fullmatch(t)}
    words, chars, marks = collections.defaultdict(collections.Counter), collections.Counter(), collections.Counter()
    for text, lang, kind in rows:
        weight = .3 if kind in LISTS else 1
        if lang in ('zh', 'ja'):
            for run in HAN_RUN.findall(text):
                chars.update(run)
                for w in longest_match(run, japanese if lang == 'ja' else known):
                    cjk[w] += weight * (.7 if lang == 'ja' else 1)
            text, lang, weight = HAN_RUN.sub(' ', text), 'en', weight * .3
        for w in WORD.findall(text):
            words[lang][w] += weight
        marks.update(c for c in text if not c.isalnum() and not c.isspace())
    return words, cjk, chars, marks


def add_frequency_lists(words, lex):
    for lang in SHARE:
        path = f'{lex}/freq/{lang}.txt'
        if not os.path.exists(path):
            continue
        entries = [line.rsplit(' ', 1) for line in open(path, encoding='utf8')]
        total, size = sum(int(n) for _, n in entries), max(sum(words[lang].values()), 2e5)
        for word, n in entries:
            word = normalise(word)
            if WORD.fullmatch(word):
                words[lang][word] += int(n) / total * size * .7


def learn_subwords(tail, alphabet):
    """Unigram EM over the words that got no piece of their own; their counts are capped so that it ends."""
    learner = Tokenizer(models.Unigram())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='always')
    trainer = trainers.UnigramTrainer(vocab_size=SUBWORDS, unk_token='<unk>', special_tokens=['<unk>'], max_piece_length=12,
                                      initial_alphabet=alphabet, shrinking_factor=.6, n_sub_iterations=1, show_progress=False)
    learner.train_from_iterator((' '.join([w] * max(1, min(200, int(v / 2)))) for w, v in tail), trainer)
    return [(p, s) for p, s in json.loads(learner.to_str())['model']['vocab'] if p not in ('<unk>', '▁')]


def alphabetic_pieces(words):
    pooled = collections.Counter()
    for lang, counts in words.items():
        damped = {w: v ** .6 for w, v in counts.items() if v >= 2 and len(w) < 24}
        total = sum(damped.values()) or 1
        for w, v in damped.items():
            pooled[w] += SHARE.get(lang, .05) * v / total * 1.2e6
    whole = set()
    for lang, counts in words.items():
        whole.update(w for w, _ in counts.most_common(QUOTA.get(lang, OTHER_QUOTA)) if 2 <= len(w) < 24)
    tail = collections.Counter({w: v for w, v in pooled.items() if w not in whole}).most_common(110000)
    letters = collections.Counter()
    for w, v in pooled.items():
        for c in w:
            letters[c] += v
    total = sum(pooled.values())
    shift = math.log(sum(v for _, v in tail) / total)
    pieces = {p: s + shift for p, s in learn_subwords(tail, [c for c, v in letters.items() if v > 3][:3500])}
    for w in whole:
        pieces['▁' + w] = max(pieces.get('▁' + w, -99), math.log(pooled.get(w, 1.0) / total))
    print(f'{len(pooled)} words, {len(whole)} of them pieces')
    return sorted(pieces.items(), key=lambda x: (-x[1], x[0]))


def cjk_pieces(cjk, chars):
    counts = collections.Counter(dict(cjk.most_common(CJK_WORDS)))
    for c, v in chars.items():
        if v >= 2:
            counts[c] = v * .05 + .5            # characters are the fall-back: keep them unattractive
    total = sum(counts.values())
    return [(w, math.log(v / total)) for w, v in counts.items()]


def main(data, work):
    words, cjk, chars, marks = count(data + '/lex', work + '/samples.jsonl')
    add_frequency_lists(words, data + '/lex')
    vocab, have = [('<unk>', 0.0), ('▁', -1.0)], set()
    signs = [(c, math.log(v / sum(marks.values())) - 2) for c, v in marks.most_common(PUNCTUATION)]
    for part in (alphabetic_pieces(words), cjk_pieces(cjk, chars), signs, [('0', -3.0)]):
        new = [(p, s) for p, s in part if p not in have and p != '▁']
        print(len(new), 'pieces')
        have |= {p for p, _ in new}
        vocab += new
    t = build_tokenizer(vocab)
    with open(work + '/tokenizer.json', 'w', encoding='utf8') as f:
        json.dump(round_scores(json.loads(t.to_str())), f, ensure_ascii=False, separators=(',', ':'))
    print(len(vocab), 'pieces in all')


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2])
