"""Before the nodes: inputs are matched with what is recorded, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

from .helpers import Doubling, processor, raised, real, resumed_indexes


@real
async def test_more_inputs_than_before_go_on_behind_what_is_done(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    await processor(path).batch(range(40))
    work = Doubling()
    results = await processor(path, work).batch(range(1_000))
    assert sorted(work.executed) == list(range(40, 1_000))
    assert len(results) == 1_000
    # And all of them are there the third time, some thousand records read in several steps.
    work = Doubling()
    assert resumed_indexes(await processor(path, work).batch(range(1_000))) == list(range(1_000))
    assert work.executed == []


@real
async def test_a_mutable_input_is_recognised_by_what_it_was_before_the_node(tmp_path: Path) -> None:
    async def spoil(data: dict[str, int]) -> int:
        data["seen"] = 1
        return data.pop("n")

    for _ in range(2):
        results = await processor(tmp_path / "a", spoil).batch([{"n": 5}])
    assert results[0].output == 5
    assert resumed_indexes(results) == [0]


@real
async def test_other_inputs_are_refused_by_name_and_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    await processor(path, Doubling(failing=[50])).batch(range(100))
    other = Doubling()
    message = await raised(processor(path, other).batch([n + (n == 7) for n in range(100)]))
    assert message == (
        f"the checkpoint {str(path)!r} belongs to other inputs: item 7 was "
        "7 (sha256 7902699b…), but is now 8 (sha256 2c624232…); use another file"
    )
    assert other.executed == []
    again = Doubling()
    await processor(path, again).batch(range(100))
    assert again.executed == [50]


@real
async def test_an_input_without_a_fingerprint_is_refused_before_it_is_paid_for(
    tmp_path: Path,
) -> None:
    work = Doubling()
    message = await raised(processor(tmp_path / "a", work).batch([len]))
    assert message == (
        "item 0: the input <built-in function len> (builtin_function_or_method) has no "
        "fingerprint, by which a checkpoint could recognise it (TypeError: "
        "builtin_function_or_method is not JSON serializable); make inputs of JSON values, or "
        "pass a codec= that encodes them"
    )
    assert work.executed == []
