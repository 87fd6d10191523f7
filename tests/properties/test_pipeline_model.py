"""A model of the pipeline as a state machine. Hypothesis searches the shortest history that violates an invariant.

The model is in tests/properties/pipeline. It uses the product's own decisions: facts, merge, status and fold; what a
person's webhook means, links and opt-outs; windows, budgets, the frequency cap, and the explanation of a campaign.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.properties.pipeline.walks import LIMITED_PRELUDES, PRELUDES, Pipeline
from tests.properties.pipeline.world import Move


class PipelineMachine(RuleBasedStateMachine):
    """Draws the process and its move. The world raises `Violation` after a step or at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = Pipeline(Random(0))

    @initialize(random=st.randoms(use_true_random=False), people=st.integers(1, 2), prelude=st.sampled_from(PRELUDES))
    def begin(self, random: Random, people: int, prelude: tuple[str, ...]) -> None:
        self.pipeline = Pipeline(random, people=people)
        self.pipeline.begin(prelude)

    def _one_of(self, data: st.DataObject, moves: list[Move]) -> None:
        self.pipeline.do(moves[data.draw(st.integers(0, len(moves) - 1), label="move")])

    @precondition(lambda self: any(True for each in self.pipeline.senders for _ in each.moves()))
    @rule(data=st.data(), first=st.booleans())
    def a_sender_moves(self, data: st.DataObject, first: bool) -> None:
        senders = self.pipeline.senders if first else self.pipeline.senders[::-1]
        self._one_of(data, next(moves for each in senders if (moves := list(each.moves()))))

    @precondition(lambda self: any(True for each in self.pipeline.schedulers for _ in each.moves()))
    @rule(data=st.data())
    def a_scheduler_moves(self, data: st.DataObject) -> None:
        self._one_of(data, [move for each in self.pipeline.schedulers for move in each.moves()])

    @precondition(lambda self: any(True for each in self.pipeline.event_processes for _ in each.moves()))
    @rule(data=st.data())
    def meta_sends_a_webhook_or_the_sink_applies(self, data: st.DataObject) -> None:
        self._one_of(data, [move for each in self.pipeline.event_processes for move in each.moves()])

    @precondition(lambda self: any(True for _ in self.pipeline.operator.moves()))
    @rule(data=st.data())
    def an_operator_or_a_person_acts(self, data: st.DataObject) -> None:
        self._one_of(data, list(self.pipeline.operator.moves()))

    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        self._one_of(data, list(self.pipeline.clock.moves()))

    def teardown(self) -> None:
        self.pipeline.finish()


class LimitedMachine(PipelineMachine):
    """The same with two campaigns, with opt-outs and changed names by webhook, with windows and budgets."""

    @initialize(random=st.randoms(use_true_random=False), prelude=st.sampled_from(LIMITED_PRELUDES))
    def begin(self, random: Random, prelude: tuple[str, ...]) -> None:
        self.pipeline = Pipeline(random, is_limited=True)
        self.pipeline.begin(prelude)

    @precondition(lambda self: any(True for each in self.pipeline.persons for _ in each.moves()))
    @rule(data=st.data())
    def a_person_is_heard(self, data: st.DataObject) -> None:
        self._one_of(data, [move for each in self.pipeline.persons for move in each.moves()])


class ManyLimitedMachine(LimitedMachine):
    """The same with more examples."""


PipelineMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
LimitedMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
ManyLimitedMachine.TestCase.settings = settings(max_examples=1500, stateful_step_count=60, deadline=None)
TestPipeline = PipelineMachine.TestCase
TestLimited = LimitedMachine.TestCase
TestManyLimited = pytest.mark.slow(ManyLimitedMachine.TestCase)
