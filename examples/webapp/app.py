"""A Gradio page with a box, a button and an answer, and a WebSocket beside it."""

import os

import gradio as gr
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect


def turned(text: str) -> str:
    return text[::-1]


with gr.Blocks(title="Studio") as page:
    text = gr.Textbox(label="Text", elem_id="text")
    answer = gr.Textbox(label="Turned around", elem_id="answer", interactive=False)
    gr.Button("Turn it around", elem_id="turn").click(turned, text, answer)

app = FastAPI()


@app.websocket("/live")
async def live(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(turned(await socket.receive_text()))
    except WebSocketDisconnect:
        return


# Gradio writes whole addresses into its page, so it must know the path that the gateway takes off.
gr.mount_gradio_app(app, page, path="/", root_path=os.environ.get("GRADIO_ROOT_PATH", ""))

if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "8000")))
