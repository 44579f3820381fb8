"""For tests only: POST /validate tells whether a prompt would be accepted, without running it."""

import uuid

import execution
from aiohttp import web
from server import PromptServer

NODE_CLASS_MAPPINGS = {}


@PromptServer.instance.routes.post("/validate")
async def validate(request: web.Request) -> web.Response:
    prompt = (await request.json())["prompt"]
    valid, error, _, node_errors = await execution.validate_prompt(str(uuid.uuid4()), prompt, None)
    answer = {"valid": valid, "error": error, "node_errors": node_errors}
    return web.json_response(answer, status=200 if valid else 400)
