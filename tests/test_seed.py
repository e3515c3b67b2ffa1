"""The page that the library was asked for: its snippets run word for word.

Nothing in a snippet is changed. What it calls but does not define (models, services, inputs) is
handed to it as a stand-in, and so are the names that the page has imported further up.
"""

from __future__ import annotations

import ast
import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any

import pytest

import nadoo_flow
from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    FunctionNode,
    NodeContext,
    NodeError,
    NodeResult,
    ParallelNode,
    ParallelStrategy,
    WorkflowContext,
)

from .stand_ins import DIVISION, Probe, answer, now

IMPORTED_FURTHER_UP = {
    "asyncio": asyncio,
    "BatchProcessor": BatchProcessor,
    "NodeContext": NodeContext,
    "NodeResult": NodeResult,
    "ParallelNode": ParallelNode,
    "ParallelStrategy": ParallelStrategy,
}


def _compiled(snippet: str) -> Any:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(snippet, "<the page>", "exec", flags=flags, dont_inherit=True)


async def play(snippet: str, **stand_ins: Any) -> dict[str, Any]:
    """Run a snippet as a notebook would, with ``await`` at its top level, and return its names."""
    names = {"__name__": "page", **IMPORTED_FURTHER_UP, **stand_ins}
    running = eval(_compiled(snippet), names)
    if running is not None:
        await running
    return names


class Model(BaseNode):
    """A stand-in for a service: answers after so many seconds, or fails."""

    def __init__(self, reply: Callable[[Any], Any], seconds: float = 1, node_id: str = "model"):
        super().__init__(node_id)
        self.reply = reply
        self.seconds = seconds
        self.started_at: list[float] = []

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        self.started_at.append(now())
        await asyncio.sleep(self.seconds)
        return NodeResult(success=True, output=self.reply(node_context.input_data))


KOREAN = {"Hello": "안녕하세요", "World": "세계", "AI": "AI"}


class TestBatchProcessor:
    SNIPPET = """
from nadoo_flow import BatchProcessor

# Create batch processor
processor = BatchProcessor(
    node=my_llm_node,
    max_concurrency=10,      # Max parallel executions
    continue_on_error=True   # Continue if some fail
)

# Process all inputs
results = await processor.batch([
    {"prompt": "Translate to Korean: Hello"},
    {"prompt": "Translate to Spanish: Hello"},
    {"prompt": "Translate to French: Hello"}
])

# Process and get results as they complete
async for result in processor.batch_as_completed(inputs):
    print(f"Completed {result.index}: {result.success}")
    if result.success:
        print(f"Output: {result.output}")
"""

    async def test_processes_all_inputs_in_order(self, capsys: pytest.CaptureFixture[str]) -> None:
        model = Model(lambda data: {"text": data["prompt"].split()[-1]})
        names = await play(self.SNIPPET, my_llm_node=model, inputs=[])
        assert [
            (result.index, result.input_data, result.output) for result in names["results"]
        ] == [
            (0, {"prompt": "Translate to Korean: Hello"}, {"text": "Hello"}),
            (1, {"prompt": "Translate to Spanish: Hello"}, {"text": "Hello"}),
            (2, {"prompt": "Translate to French: Hello"}, {"text": "Hello"}),
        ]
        assert now() == 1
        assert capsys.readouterr().out == ""

    async def test_gives_results_as_they_complete(self, capsys: pytest.CaptureFixture[str]) -> None:
        async def work(data: dict[str, Any]) -> dict[str, Any]:
            await asyncio.sleep(data.get("seconds", 0))
            return {"answer": 1 / data.get("divisor", 1)}

        inputs = [{"seconds": 2}, {"seconds": 1, "divisor": 0}, {"seconds": 3, "divisor": 2}]
        await play(self.SNIPPET, my_llm_node=work, inputs=inputs)
        assert capsys.readouterr().out.splitlines() == [
            "Completed 1: False",
            "Completed 0: True",
            "Output: {'answer': 1.0}",
            "Completed 2: True",
            "Output: {'answer': 0.5}",
        ]


class TestBatchResult:
    SNIPPET = """
@dataclass
class BatchResult:
    index: int                    # Item index in batch
    input_data: dict              # Original input
    success: bool                 # Success/failure
    output: dict | None          # Output if successful
    error: str | None            # Error message if failed
    execution_time: float | None # Time taken (seconds)
"""

    async def test_has_the_fields_of_the_page_in_their_order(self) -> None:
        names = await play(self.SNIPPET, dataclass=dataclass)
        shown = [field.name for field in fields(names["BatchResult"])]
        assert [field.name for field in fields(nadoo_flow.BatchResult)][:6] == shown

    async def test_is_made_and_changed_like_the_one_of_the_page(self) -> None:
        result = nadoo_flow.BatchResult(3, {"a": 1}, True, {"b": 2}, None, 0.5)
        result.index = 4
        assert (result.index, result.input_data, result.output) == (4, {"a": 1}, {"b": 2})
        assert (result.success, result.error, result.execution_time) == (True, None, 0.5)


class TestMapNode:
    SNIPPET = """
from nadoo_flow import MapNode

# Translate multiple texts
map_node = MapNode(
    node_id="batch_translate",
    child_node=translation_node,
    input_key="texts",        # List in input
    output_key="translations", # List in output
    max_concurrency=5          # Process 5 at a time
)

# Usage
result = await map_node.execute(
    NodeContext(input_data={
        "texts": ["Hello", "World", "AI"]
    }),
    workflow_context
)
# result.output = {"translations": ["안녕하세요", "세계", "AI"]}
"""

    @pytest.mark.parametrize(
        "translation_node",
        [
            Model(lambda data: {"item": KOREAN[data["item"]]}),
            Model(lambda data: KOREAN[data["item"]]),
            FunctionNode(KOREAN.__getitem__, "translate"),
            KOREAN.__getitem__,
        ],
        ids=["node with items", "node with bare outputs", "FunctionNode", "function"],
    )
    async def test_translates_the_texts(self, translation_node: Any) -> None:
        names = await play(
            self.SNIPPET, translation_node=translation_node, workflow_context=WorkflowContext()
        )
        assert names["result"].success
        assert names["result"].output == {"translations": ["안녕하세요", "세계", "AI"]}

    async def test_processes_five_at_a_time(self) -> None:
        probe = Probe()
        names = await play(self.SNIPPET, translation_node=len, workflow_context=WorkflowContext())
        names["map_node"].child_node = FunctionNode(probe)
        await names["map_node"].run({"texts": [1] * 12})
        assert probe.peak == 5


class TestFilterNode:
    SNIPPET = """
from nadoo_flow import FilterNode

# Filter high-confidence results
filter_node = FilterNode(
    node_id="filter_confident",
    filter_fn=lambda x: x["confidence"] > 0.8,
    input_key="predictions",
    output_key="confident_predictions"
)

# Usage
result = await filter_node.execute(
    NodeContext(input_data={
        "predictions": [
            {"text": "A", "confidence": 0.9},
            {"text": "B", "confidence": 0.6},
            {"text": "C", "confidence": 0.95}
        ]
    }),
    workflow_context
)
# result.output = {"confident_predictions": [{"text": "A", ...}, {"text": "C", ...}]}
"""

    async def test_keeps_the_confident_predictions(self) -> None:
        names = await play(self.SNIPPET, workflow_context=WorkflowContext())
        assert names["result"].success
        assert names["result"].output == {
            "confident_predictions": [
                {"text": "A", "confidence": 0.9},
                {"text": "C", "confidence": 0.95},
            ]
        }


class TestReduceNode:
    SNIPPET = """
from nadoo_flow import ReduceNode

# Sum scores
reduce_node = ReduceNode(
    node_id="sum_scores",
    reduce_fn=lambda acc, x: acc + x["score"],
    initial_value=0,
    input_key="results",
    output_key="total_score"
)

# Aggregate responses
aggregate_node = ReduceNode(
    node_id="aggregate",
    reduce_fn=lambda acc, x: {
        **acc,
        x["category"]: acc.get(x["category"], []) + [x["item"]]
    },
    initial_value={},
    input_key="items",
    output_key="grouped"
)
"""

    async def test_sums_scores(self) -> None:
        node = (await play(self.SNIPPET))["reduce_node"]
        scores = {"results": [{"score": 1}, {"score": 2.5}, {"score": 4}]}
        assert await node.run(scores) == {"total_score": 7.5}
        assert await node.run({"results": []}) == {"total_score": 0}

    async def test_groups_responses(self) -> None:
        node = (await play(self.SNIPPET))["aggregate_node"]
        items = [
            {"category": "fruit", "item": "apple"},
            {"category": "tree", "item": "oak"},
            {"category": "fruit", "item": "pear"},
        ]
        for _ in range(2):
            assert await node.run({"items": items}) == {
                "grouped": {"fruit": ["apple", "pear"], "tree": ["oak"]}
            }


class TestDocumentProcessing:
    SNIPPET = """
from nadoo_flow import BatchProcessor, BaseNode

class DocumentProcessor(BaseNode):
    async def execute(self, node_context, workflow_context):
        doc = node_context.input_data["document"]

        # Extract text
        text = await self.extract_text(doc)

        # Generate summary
        summary = await self.summarize(text)

        # Extract entities
        entities = await self.extract_entities(text)

        return NodeResult(
            success=True,
            output={
                "summary": summary,
                "entities": entities,
                "word_count": len(text.split())
            }
        )

# Process multiple documents
processor = BatchProcessor(
    node=DocumentProcessor("doc_processor"),
    max_concurrency=5  # Process 5 documents at once
)

documents = [
    {"document": "path/to/doc1.pdf"},
    {"document": "path/to/doc2.pdf"},
    # ... hundreds more
]

results = await processor.batch(documents)

# Analyze results
successful = [r for r in results if r.success]
failed = [r for r in results if not r.success]
print(f"Processed: {len(successful)}/{len(documents)}")
"""

    async def test_processes_the_documents_and_counts_the_failed(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async def extract_text(_: BaseNode, document: str) -> str:
            await asyncio.sleep(1)
            if document == "path/to/doc2.pdf":
                raise OSError("unreadable")
            return f"the text of {document}"

        async def summarize(_: BaseNode, text: str) -> str:
            return text[:8]

        async def extract_entities(_: BaseNode, text: str) -> list[str]:
            return [text.split("/")[-1]]

        for service in (extract_text, summarize, extract_entities):
            monkeypatch.setattr(BaseNode, service.__name__, service, raising=False)
        names = await play(self.SNIPPET)
        assert capsys.readouterr().out == "Processed: 1/2\n"
        (successful,) = names["successful"]
        assert successful.input_data == {"document": "path/to/doc1.pdf"}
        assert successful.output == {
            "summary": "the text",
            "entities": ["doc1.pdf"],
            "word_count": 4,
        }
        (failed,) = names["failed"]
        assert (failed.index, failed.error) == (1, "OSError: unreadable")
        assert now() == 1


class TestMultiModelInference:
    SNIPPET = """
from nadoo_flow import MapNode, ReduceNode

# Run multiple models in parallel
multi_model = MapNode(
    node_id="multi_model",
    child_node=ParallelNode(
        nodes=[
            GPT4Node("gpt4"),
            ClaudeNode("claude"),
            GeminiNode("gemini")
        ],
        strategy=ParallelStrategy.ALL_SETTLED
    ),
    input_key="prompts",
    output_key="model_outputs",
    max_concurrency=3
)

# Aggregate results
consensus = ReduceNode(
    node_id="find_consensus",
    reduce_fn=lambda acc, outputs: {
        "consensus": most_common_answer(outputs),
        "confidence": calculate_agreement(outputs),
        "all_answers": outputs
    },
    input_key="model_outputs",
    output_key="final_answer"
)

# Pipeline
pipeline = multi_model | consensus
"""

    @staticmethod
    def _model(replies: dict[str, str]) -> Callable[[str], BaseNode]:
        return lambda node_id: Model(lambda data: replies[data["item"]], 1, node_id)

    async def _play(self) -> dict[str, Any]:
        right = {"2 + 2?": "4", "3 + 3?": "6"}
        return await play(
            self.SNIPPET,
            GPT4Node=self._model(right),
            ClaudeNode=self._model(right),
            GeminiNode=self._model({"2 + 2?": "5"}),
            most_common_answer=lambda outputs: Counter(outputs.values()).most_common(1)[0][0],
            calculate_agreement=lambda outputs: Counter(outputs.values()).most_common(1)[0][1],
        )

    async def test_runs_the_models_in_parallel_and_finds_the_consensus(self) -> None:
        names = await self._play()
        output = await names["pipeline"].run({"prompts": ["3 + 3?", "2 + 2?"]})
        assert output == {
            "final_answer": {
                "consensus": "4",
                "confidence": 2,
                "all_answers": {"gpt4": "4", "claude": "4", "gemini": "5"},
            }
        }
        assert now() == 1

    async def test_a_model_that_fails_leaves_the_others_their_say(self) -> None:
        names = await self._play()
        result = await answer(names["multi_model"], {"prompts": ["2 + 2?", "3 + 3?"]})
        assert result.output == {
            "model_outputs": [
                {"gpt4": "4", "claude": "4", "gemini": "5"},
                {"gpt4": "6", "claude": "6"},
            ]
        }

    async def test_the_failure_of_all_models_names_stage_and_prompt(self) -> None:
        names = await self._play()
        with pytest.raises(NodeError, match="stage 'multi_model': item 0: node 'gpt4': KeyError"):
            await names["pipeline"].run({"prompts": ["what?"]})


class TestRateLimitedCalls:
    SNIPPET = '''
from nadoo_flow import BatchProcessor
import asyncio

class RateLimitedProcessor(BatchProcessor):
    def __init__(self, node, requests_per_second=10):
        super().__init__(
            node=node,
            max_concurrency=requests_per_second
        )
        self.delay = 1.0 / requests_per_second

    async def batch_as_completed(self, inputs):
        """Process with rate limiting"""
        for i, input_data in enumerate(inputs):
            # Rate limit
            if i > 0:
                await asyncio.sleep(self.delay)

            # Process
            result = await self.process_single(input_data, i)
            yield result

# Use with API calls
api_processor = RateLimitedProcessor(
    node=APICallNode("api"),
    requests_per_second=10
)

async for result in api_processor.batch_as_completed(api_requests):
    print(f"API call {result.index}: {result.success}")
'''

    async def test_starts_ten_requests_a_second_at_the_most(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        calls: list[Model] = []

        def api_call_node(node_id: str) -> Model:
            calls.append(Model(lambda data: 1 / data["n"], 0, node_id))
            return calls[0]

        requests = [{"n": 1}, {"n": 0}, {"n": 2}]
        await play(self.SNIPPET, APICallNode=api_call_node, api_requests=requests)
        assert capsys.readouterr().out.splitlines() == [
            "API call 0: True",
            "API call 1: False",
            "API call 2: True",
        ]
        assert calls[0].started_at == pytest.approx([0, 0.1, 0.2])

    async def test_batch_collects_from_the_override(self) -> None:
        model = Model(lambda data: data["n"], 0, "api")
        names = await play(self.SNIPPET, APICallNode=lambda _: model, api_requests=[])
        processor = names["RateLimitedProcessor"](model, requests_per_second=2)
        results = await processor.batch([{"n": n} for n in range(5)])
        assert [(result.index, result.output) for result in results] == [(n, n) for n in range(5)]
        assert model.started_at == [0, 0.5, 1, 1.5, 2]


class TestChunkedProcessing:
    SNIPPET = """
from nadoo_flow import BatchProcessor

async def process_large_dataset(data, chunk_size=100):
    processor = BatchProcessor(
        node=processing_node,
        max_concurrency=10
    )

    all_results = []

    # Process in chunks
    for i in range(0, len(data), chunk_size):
        chunk = data[i:i + chunk_size]
        results = await processor.batch(chunk)
        all_results.extend(results)

        # Progress update
        print(f"Processed {min(i + chunk_size, len(data))}/{len(data)}")

    return all_results
"""

    async def test_processes_chunk_after_chunk(self, capsys: pytest.CaptureFixture[str]) -> None:
        names = await play(self.SNIPPET, processing_node=lambda data: data["n"])
        data = [{"n": n} for n in range(250)]
        results = await names["process_large_dataset"](data)
        assert [result.output for result in results] == list(range(250))
        assert capsys.readouterr().out.splitlines() == [
            "Processed 100/250",
            "Processed 200/250",
            "Processed 250/250",
        ]


class TestDynamicBatching:
    SNIPPET = """
class DynamicBatchProcessor:
    def __init__(self, node, target_time=1.0):
        self.node = node
        self.target_time = target_time
        self.batch_size = 10  # Start size

    async def process(self, items):
        processor = BatchProcessor(
            node=self.node,
            max_concurrency=self.batch_size
        )

        start_time = time.time()
        results = await processor.batch(items[:self.batch_size])
        elapsed = time.time() - start_time

        # Adjust batch size
        if elapsed < self.target_time * 0.8:
            self.batch_size = min(self.batch_size * 2, 100)
        elif elapsed > self.target_time * 1.2:
            self.batch_size = max(self.batch_size // 2, 1)

        return results
"""

    @pytest.mark.parametrize(
        ("seconds", "sizes"),
        [
            (0.7, [20, 40, 80, 100, 100]),
            (1, [10, 10, 10, 10, 10]),
            (1.3, [5, 2, 1, 1, 1]),
        ],
        ids=["fast", "on target", "slow"],
    )
    async def test_adjusts_the_batch_size_to_the_time_taken(
        self, seconds: float, sizes: list[int]
    ) -> None:
        names = await play(self.SNIPPET, time=SimpleNamespace(time=now))
        processor = names["DynamicBatchProcessor"](Model(lambda data: data, seconds))
        seen, processed = [], []
        for _ in sizes:
            processed.append(len(await processor.process([{"n": n} for n in range(500)])))
            seen.append(processor.batch_size)
        assert seen == sizes
        assert processed == [10, *sizes[:-1]]


class TestErrorRecovery:
    SNIPPET = """
async def batch_with_retry(processor, inputs, max_retries=3):
    results = []
    retry_items = []

    # Initial batch
    batch_results = await processor.batch(inputs)

    for result in batch_results:
        if result.success:
            results.append(result)
        else:
            retry_items.append((result.input_data, result.index, 0))

    # Retry failed items
    while retry_items and max_retries > 0:
        retry_batch = []

        for input_data, original_index, retry_count in retry_items:
            if retry_count < max_retries:
                retry_batch.append((input_data, original_index, retry_count + 1))

        if not retry_batch:
            break

        # Exponential backoff
        await asyncio.sleep(2 ** retry_batch[0][2])

        # Retry
        retry_results = await processor.batch([item[0] for item in retry_batch])

        new_retry_items = []
        for i, result in enumerate(retry_results):
            if result.success:
                result.index = retry_batch[i][1]  # Restore original index
                results.append(result)
            else:
                new_retry_items.append(retry_batch[i])

        retry_items = new_retry_items

    return sorted(results, key=lambda r: r.index)
"""

    async def test_retries_failed_items_with_growing_pauses(self) -> None:
        attempts: Counter[int] = Counter()

        def flaky(data: dict[str, int]) -> int:
            attempts[data["n"]] += 1
            if attempts[data["n"]] <= data["failures"]:
                raise ConnectionError("busy")
            return data["n"] * 10

        names = await play(self.SNIPPET)
        inputs = [{"n": n, "failures": failures} for n, failures in enumerate([0, 2, 0, 1, 99])]
        results = await names["batch_with_retry"](BatchProcessor(flaky), inputs)
        assert [(result.index, result.output) for result in results] == [
            (0, 0),
            (1, 10),
            (2, 20),
            (3, 30),
        ]
        assert attempts == {0: 1, 1: 3, 2: 1, 3: 2, 4: 4}
        assert now() == 2 + 4 + 8


class TestConcurrencyTuning:
    SNIPPET = """
# CPU-bound tasks: match CPU cores
import multiprocessing
processor = BatchProcessor(
    node=cpu_intensive_node,
    max_concurrency=multiprocessing.cpu_count()
)

# I/O-bound tasks: higher concurrency
processor = BatchProcessor(
    node=api_call_node,
    max_concurrency=50  # Many concurrent I/O operations
)

# Memory-intensive: limit concurrency
processor = BatchProcessor(
    node=large_model_node,
    max_concurrency=2  # Avoid OOM
)
"""

    async def test_makes_three_processors(self) -> None:
        made: list[tuple[Any, int]] = []

        class Noting(BatchProcessor):
            def __init__(self, node: Any, max_concurrency: int) -> None:
                super().__init__(node, max_concurrency)
                made.append((node, self.max_concurrency))

        names = await play(
            self.SNIPPET,
            BatchProcessor=Noting,
            cpu_intensive_node=len,
            api_call_node=str.upper,
            large_model_node=repr,
        )
        cpus = names["multiprocessing"].cpu_count()
        assert made == [(len, cpus), (str.upper, 50), (repr, 2)]


class TestResultStreaming:
    SNIPPET = '''
async def stream_batch_results(processor, inputs):
    """Stream results to client as they complete"""
    async for result in processor.batch_as_completed(inputs):
        if result.success:
            # Send to client immediately
            yield {
                "index": result.index,
                "data": result.output,
                "status": "completed"
            }
        else:
            yield {
                "index": result.index,
                "error": result.error,
                "status": "failed"
            }
'''

    async def test_streams_results_as_they_complete(self) -> None:
        async def work(data: dict[str, float]) -> dict[str, float]:
            await asyncio.sleep(data["seconds"])
            return {"inverse": 1 / data["divisor"]}

        names = await play(self.SNIPPET)
        inputs = [
            {"seconds": 3, "divisor": 2},
            {"seconds": 1, "divisor": 0},
            {"seconds": 2, "divisor": 4},
        ]
        stream = names["stream_batch_results"](BatchProcessor(work), inputs)
        assert [(chunk, now()) async for chunk in stream] == [
            (
                {"index": 1, "error": DIVISION, "status": "failed"},
                1,
            ),
            ({"index": 2, "data": {"inverse": 0.25}, "status": "completed"}, 2),
            ({"index": 0, "data": {"inverse": 0.5}, "status": "completed"}, 3),
        ]


class TestBestPractices:
    CONTINUE_ON_ERROR = """
results = await processor.batch(inputs)
successful = [r for r in results if r.success]
failed = [r for r in results if not r.success]
"""
    AS_COMPLETED = """
total = len(inputs)
completed = 0
async for result in processor.batch_as_completed(inputs):
    completed += 1
    print(f"Progress: {completed}/{total}")
"""
    BACK_OFF = """
for attempt in range(max_retries):
    if attempt > 0:
        await asyncio.sleep(2 ** attempt)
    # Retry logic
"""

    async def test_results_are_told_apart(self) -> None:
        names = await play(
            self.CONTINUE_ON_ERROR, processor=BatchProcessor(lambda n: 1 // n), inputs=[1, 0, 2]
        )
        assert [result.index for result in names["successful"]] == [0, 2]
        assert [result.index for result in names["failed"]] == [1]

    async def test_progress_is_shown(self, capsys: pytest.CaptureFixture[str]) -> None:
        await play(self.AS_COMPLETED, processor=BatchProcessor(repr), inputs=["a", "b", "c"])
        assert capsys.readouterr().out.splitlines() == [
            "Progress: 1/3",
            "Progress: 2/3",
            "Progress: 3/3",
        ]

    async def test_pauses_grow(self) -> None:
        await play(self.BACK_OFF, max_retries=4)
        assert now() == 2 + 4 + 8


class TestCompleteExample:
    SNIPPET = '''
from nadoo_flow import (
    BatchProcessor, MapNode, FilterNode, ReduceNode,
    BaseNode, NodeResult, NodeContext, WorkflowContext
)

class SentimentAnalyzer(BaseNode):
    """Analyze sentiment of text"""

    async def execute(self, node_context, workflow_context):
        text = node_context.input_data["text"]

        # Simulate sentiment analysis
        sentiment = await self.analyze_sentiment(text)
        score = await self.calculate_score(text)

        return NodeResult(
            success=True,
            output={
                "text": text,
                "sentiment": sentiment,
                "score": score
            }
        )

async def batch_sentiment_analysis():
    # Sample texts
    texts = [
        "I love this product!",
        "Terrible experience.",
        "It's okay, nothing special.",
        # ... hundreds more
    ]

    # Create batch processor
    processor = BatchProcessor(
        node=SentimentAnalyzer("analyzer"),
        max_concurrency=10,
        continue_on_error=True
    )

    # Process all texts
    results = await processor.batch([
        {"text": text} for text in texts
    ])

    # Analyze results
    positive = [r for r in results if r.success and r.output["sentiment"] == "positive"]
    negative = [r for r in results if r.success and r.output["sentiment"] == "negative"]
    neutral = [r for r in results if r.success and r.output["sentiment"] == "neutral"]

    print(f"Positive: {len(positive)}")
    print(f"Negative: {len(negative)}")
    print(f"Neutral: {len(neutral)}")

    # Calculate average score
    scores = [r.output["score"] for r in results if r.success]
    avg_score = sum(scores) / len(scores) if scores else 0
    print(f"Average score: {avg_score:.2f}")

# Run
asyncio.run(batch_sentiment_analysis())
'''

    def test_prints_what_the_texts_feel_like(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        moods = {"love": "positive", "Terrible": "negative"}

        async def analyze_sentiment(_: BaseNode, text: str) -> str:
            await asyncio.sleep(0)
            return next((mood for word, mood in moods.items() if word in text), "neutral")

        async def calculate_score(_: BaseNode, text: str) -> float:
            return {"positive": 0.95, "negative": -0.8, "neutral": 0.1}[
                await analyze_sentiment(_, text)
            ]

        for service in (analyze_sentiment, calculate_score):
            monkeypatch.setattr(BaseNode, service.__name__, service, raising=False)
        exec(_compiled(self.SNIPPET), {"__name__": "page", "asyncio": asyncio})
        assert capsys.readouterr().out.splitlines() == [
            "Positive: 1",
            "Negative: 1",
            "Neutral: 1",
            "Average score: 0.08",
        ]
