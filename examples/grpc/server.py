"""Serves the digits model over the KServe inference protocol, version 2."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import inference_pb2 as pb
import inference_pb2_grpc as rpc
import numpy as np
import onnxruntime

MODEL = "digits"
PIXELS = 64


class InferenceServicer(rpc.GRPCInferenceServiceServicer):
    """One model, held in memory; a batch of images per request."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    async def ServerLive(self, request, context):
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request, context):
        return pb.ServerReadyResponse(ready=True)

    async def ModelReady(self, request, context):
        return pb.ModelReadyResponse(ready=request.name == MODEL)

    async def ServerMetadata(self, request, context):
        return pb.ServerMetadataResponse(name="easel-digits", version="1")

    async def ModelMetadata(self, request, context):
        await _known(request.name, context)
        tensor = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name=MODEL,
            versions=["1"],
            platform="onnx_onnxv1",
            inputs=[tensor(name="images", datatype="FP32", shape=[-1, PIXELS])],
            outputs=[tensor(name="digits", datatype="INT64", shape=[-1])],
        )

    async def ModelInfer(self, request, context):
        await _known(request.model_name, context)
        try:
            return self._infer(request)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    async def ModelStreamInfer(self, request_iterator, context) -> AsyncIterator[pb.ModelStreamInferResponse]:
        async for request in request_iterator:
            try:
                if request.model_name != MODEL:
                    raise ValueError(f"no model named {request.model_name!r}")
                yield pb.ModelStreamInferResponse(infer_response=self._infer(request))
            except ValueError as error:
                yield pb.ModelStreamInferResponse(error_message=str(error))

    def _infer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        images = _images(request)
        digits = self._session.run(None, {self._input: images})[0]
        output = pb.ModelInferResponse.InferOutputTensor(name="digits", datatype="INT64", shape=[len(digits)])
        answer = pb.ModelInferResponse(model_name=MODEL, model_version="1", id=request.id, outputs=[output])
        if request.raw_input_contents:  # answered in the form it was asked in
            answer.raw_output_contents.append(digits.astype("<i8").tobytes())
        else:
            answer.outputs[0].contents.int64_contents.extend(digits.tolist())
        return answer


async def _known(name: str, context: grpc.aio.ServicerContext) -> None:
    if name != MODEL:
        await context.abort(grpc.StatusCode.NOT_FOUND, f"no model named {name!r}")


def _images(request: pb.ModelInferRequest) -> np.ndarray:
    """The one input tensor. Raises ValueError for another name, type or shape."""
    if len(request.inputs) != 1:
        raise ValueError(f"got {len(request.inputs)} inputs, expected one: images")
    tensor = request.inputs[0]
    if tensor.datatype != "FP32" or len(tensor.shape) != 2 or tensor.shape[1] != PIXELS:
        shown = f"{tensor.datatype} {list(tensor.shape)}"
        raise ValueError(f"{tensor.name}: got {shown}, expected FP32 [n, {PIXELS}]")
    if request.raw_input_contents:
        flat = np.frombuffer(request.raw_input_contents[0], "<f4")
    else:
        flat = np.asarray(tensor.contents.fp32_contents, np.float32)
    if flat.size != tensor.shape[0] * PIXELS:
        raise ValueError(f"{tensor.name}: got {flat.size} numbers for shape {list(tensor.shape)}")
    return flat.reshape(tensor.shape[0], PIXELS)


async def main() -> None:
    server = grpc.aio.server()
    servicer = InferenceServicer(Path(os.environ.get("MODEL", "/mnt/model/digits.onnx")))
    rpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"0.0.0.0:{os.environ.get('PORT', '8000')}")
    await server.start()
    print(f"digits is served over gRPC on port {port}", flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(grace=10)


if __name__ == "__main__":
    asyncio.run(main())
