"""Trains the digits model: scikit-learn's bundled handwritten digits in, an ONNX file out.

Writes `model/digits.onnx`, and `model/held_out.json` with the images that training never saw. The same
versions of the libraries give the same files.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

HERE = Path(__file__).parent
SEED = 7


def train(into: Path) -> float:
    """Trains, exports and tries the exported model. Returns its accuracy on the held-out images."""
    images, labels = load_digits(return_X_y=True)
    seen, held_out, seen_labels, held_out_labels = train_test_split(
        images.astype(np.float32), labels, test_size=0.25, random_state=SEED, stratify=labels
    )
    model = make_pipeline(MinMaxScaler(), MLPClassifier((128,), max_iter=400, random_state=SEED)).fit(
        seen, seen_labels
    )
    exported = to_onnx(model, seen[:1], options={MLPClassifier: {"zipmap": False}}, target_opset=15)

    into.mkdir(parents=True, exist_ok=True)
    (into / "digits.onnx").write_bytes(exported.SerializeToString())
    split = {"instances": held_out.tolist(), "labels": held_out_labels.tolist()}
    (into / "held_out.json").write_text(json.dumps(split))

    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    answers = session.run(None, {session.get_inputs()[0].name: held_out})[0]
    return float((answers == held_out_labels).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=HERE / "model")
    into = parser.parse_args().into
    accuracy = train(into)
    print(f"{into / 'digits.onnx'}: {accuracy:.2%} of the held-out images are read correctly")


if __name__ == "__main__":
    main()
