"""Calls the gRPC digits service through the gateway: one unary call, then a stream of them."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import inference_pb2 as pb
import inference_pb2_grpc as rpc

HELD_OUT = Path(__file__).parents[1] / "digits" / "model" / "held_out.json"
DEADLINE_S = 10


def asked(images: list[list[float]], number: int) -> pb.ModelInferRequest:
    """A request for the digits on `images`."""
    tensor = pb.ModelInferRequest.InferInputTensor(name="images", datatype="FP32", shape=[len(images), 64])
    tensor.contents.fp32_contents.extend(pixel for image in images for pixel in image)
    return pb.ModelInferRequest(model_name="digits", id=str(number), inputs=[tensor])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gateway", default="127.0.0.1:8800", help="host:port of the gateway")
    parser.add_argument("--authority", default="digits_grpc.easel.local", help="chooses the service")
    parser.add_argument("--token", required=True, help="the service's token")
    parser.add_argument("--count", type=int, default=100, help="images to send")
    options = parser.parse_args()

    split = json.loads(HELD_OUT.read_text())
    images, labels = split["instances"][: options.count], split["labels"][: options.count]
    metadata = (("authorization", options.token),)
    authority = (("grpc.default_authority", options.authority),)
    with grpc.insecure_channel(options.gateway, options=authority) as channel:
        stub = rpc.GRPCInferenceServiceStub(channel)
        whole = stub.ModelInfer(asked(images, 0), metadata=metadata, timeout=DEADLINE_S)
        digits = list(whole.outputs[0].contents.int64_contents)
        right = sum(digit == label for digit, label in zip(digits, labels, strict=True))
        print(f"one unary call: {right} of {len(labels)} right")

        requests: Iterator[pb.ModelInferRequest] = (asked([image], n) for n, image in enumerate(images))
        answers = stub.ModelStreamInfer(requests, metadata=metadata, timeout=DEADLINE_S)
        streamed = [answer.infer_response.outputs[0].contents.int64_contents[0] for answer in answers]
        print(f"one stream: {len(streamed)} answers, {'the same' if streamed == digits else 'not the same'}")
    if streamed != digits:
        raise SystemExit("the stream and the unary call disagree")


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as refused:
        raise SystemExit(f"{refused.code().name}: {refused.details()}") from None
