"""Times a trained model's network in PyTorch and ONNX Runtime on 100 000 rows of features.

  runtimes.py MODEL_DIR [--rows 100000] [--threads 2] [--repeat 10]

Network alone, features given; `cargo bench --bench forecast` times roadcast with features and means
over neighbours included. Both peers must give the golden output of the model's own file.
"""
import argparse
import io
import time
import tomllib

import numpy as np
import onnxruntime
import torch
from safetensors.numpy import load_file


class Network(torch.nn.Module):
    def __init__(self, tensors, blocks):
        super().__init__()
        linear = lambda name: self.linear(tensors[f"{name}.weight"], tensors[f"{name}.bias"])
        self.input = linear("input")
        self.blocks = torch.nn.ModuleList(
            torch.nn.ModuleList([linear(f"block.{block}.first"), linear(f"block.{block}.second")])
            for block in range(blocks))
        self.output = linear("output")

    @staticmethod
    def linear(weight, bias):
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight.data, layer.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
        return layer

    def forward(self, x):
        hidden = torch.relu(self.input(x))
        for first, second in self.blocks:
            hidden = torch.relu(hidden + second(torch.relu(first(hidden))))
        return self.output(hidden)


def median_ms(run, repeat):
    run()
    spent = []
    for _ in range(repeat):
        began = time.perf_counter()
        run()
        spent.append(time.perf_counter() - began)
    return 1000 * sorted(spent)[len(spent) // 2]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("model")
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--repeat", type=int, default=10)
    options = arguments.parse_args()
    tensors = load_file(f"{options.model}/weights.safetensors")
    card = tomllib.load(open(f"{options.model}/card.toml", "rb"))
    torch.set_num_threads(options.threads)
    network = Network(tensors, card["config"]["blocks"]).eval()
    golden_input, golden_output = tensors["golden.input"], tensors["golden.output"]

    file = io.BytesIO()
    torch.onnx.export(network, torch.from_numpy(golden_input), file, dynamo=False,
                      input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "row"}, "y": {0: "row"}})
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(file.getvalue(), settings, providers=["CPUExecutionProvider"])

    rows = np.resize(golden_input, (options.rows, golden_input.shape[1])).astype(np.float32)
    with torch.inference_mode():
        for name, found in (("PyTorch", network(torch.from_numpy(golden_input)).numpy()),
                            ("ONNX Runtime", session.run(None, {"x": golden_input})[0])):
            difference = np.abs(found - golden_output).max()
            assert difference < card["golden_tolerance"], f"{name} differs by {difference}"
        given = torch.from_numpy(rows)
        print(f"PyTorch {torch.__version__}: {median_ms(lambda: network(given), options.repeat):.1f} ms")
    print(f"ONNX Runtime {onnxruntime.__version__}: "
          f"{median_ms(lambda: session.run(None, {'x': rows}), options.repeat):.1f} ms")


main()
