"""How a deployment names the agents and models that flows reach."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from gateway.links.credentials import Reference

Visible = Annotated[str, Field(pattern=r"^[!-~]{1,1024}$")]
ToolName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,19}\.[A-Za-z0-9_.-]{1,128}$")]
Millionths = Annotated[int, Field(ge=0, le=10**12)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class BearerSpec(_Model):
    """A token of ours."""

    bearer: Reference


class PromptSpec(_Model):
    """An agent that is a model with instructions and tools, and a loop of ours around them.

    instructions  text, or `file:` and a path from the deployment file's folder
    tools         those that it may use, as `server.tool`
    max_turns     requests to the model for one task
    max_output    tokens that the model may write in one of them
    """

    model: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    instructions: Annotated[str, Field(min_length=1, max_length=64_000)]
    tools: list[ToolName] = Field(default_factory=list, max_length=128)
    max_turns: Annotated[int, Field(ge=1, le=100)] = 10
    max_output: Annotated[int, Field(ge=1, le=1_000_000)] = 2_000


class AgentSpec(_Model):
    """One agent: a `url` that takes tasks, a `prompt`, or a `tool` that is called for each task.

    tool  as `server.tool`; an agent over A2A is the tool `ask` of its server
    args  of the tool, where `{from: POINTER}` stands for what is there in the task; None: the task
          itself, which is an object then
    """

    url: Visible | None = None
    tool: ToolName | None = None
    args: dict[str, JsonValue] | None = None
    credential: BearerSpec | None = None
    allow_private: bool = False
    prompt: PromptSpec | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(each is not None for each in (self.url, self.prompt, self.tool)) != 1:
            raise ValueError("expected either `url`, `prompt` or `tool`")
        if self.url is None and (self.credential is not None or self.allow_private):
            raise ValueError("credential, allow_private: for an agent with a `url` alone")
        if self.args is not None and self.tool is None:
            raise ValueError("args: for an agent that is a `tool` alone")
        return self

    def below(self, base: Path) -> Self:
        """The same with the text of its instructions, read from the file that they name.

        Raises OSError and UnicodeDecodeError.
        """
        if self.prompt is None or not self.prompt.instructions.startswith("file:"):
            return self
        text = (base / self.prompt.instructions.removeprefix("file:")).read_text()
        prompt = self.prompt.model_copy(update={"instructions": text})
        return self.model_copy(update={"prompt": prompt})


class PriceSpec(_Model):
    """What a million tokens cost, in millionths of the deployment's unit."""

    input_per_million: Millionths = 0
    output_per_million: Millionths = 0


class ModelSpec(_Model):
    """One model behind an endpoint for chat completions; `openai` is the part before them."""

    openai: Visible
    model: Annotated[str, Field(min_length=1, max_length=200)]
    credential: BearerSpec | None = None
    allow_private: bool = False
    price: PriceSpec = PriceSpec()
