"""The numbers as a collector reads them."""

import re

from prometheus_client.parser import text_string_to_metric_families

from gateway.core.errors import ModelAttempt
from gateway.telemetry.health import State
from gateway.telemetry.metrics import MAX_WORDS, Metrics, Words


def values(metrics: Metrics) -> dict[str, float]:
    """Every sample by its name and labels."""
    return {
        sample.name + str(sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.page().decode())
        for sample in family.samples
    }


def test_everything_that_counts_is_on_the_page() -> None:
    metrics = Metrics()
    metrics.connections("websocket", lambda: 1)
    metrics.rpc_answered("send", "ok", 0.2)
    metrics.rpc_answered("send", "ok", 0.2)
    metrics.rpc_answered("send", "busy", 0.001)
    metrics.queue("outbox", lambda: 3)
    metrics.turns("running", lambda: 2)
    metrics.model_asked(ModelAttempt("k", "m", "first", "rate"), 0, 0)
    metrics.model_asked(ModelAttempt("k", "m", "first", "unfinished"), 0, 0)
    metrics.model_asked(ModelAttempt("k", "n", "first", "timeout"), 0, 0)
    metrics.model_asked(ModelAttempt("k", "n", "first"), 30, 4)
    metrics.model_asked(ModelAttempt("k", "m", "first"), 70, 0)
    metrics.turn_ended("answered")
    metrics.turn_resumed()
    metrics.delivered("sent")
    metrics.store_wrote(3, 0.002)
    metrics.loop_lag(0.02)
    metrics.shed("in_flight")
    metrics.health(State.READY)
    found = values(metrics)
    assert found["turngate_connections['websocket']"] == 1
    assert found["turngate_rpc_requests_total['ok', 'send']"] == 2
    assert found["turngate_rpc_requests_total['busy', 'send']"] == 1
    assert found["turngate_rpc_seconds_count['send']"] == 3
    assert found["turngate_queue_depth['outbox']"] == 3
    assert found["turngate_turns['running']"] == 2
    assert found["turngate_llm_requests_total['m', 'rate']"] == 1
    assert found["turngate_llm_requests_total['cancelled', 'm']"] == 1
    assert found["turngate_llm_tokens_total['input', 'm']"] == 70
    assert found["turngate_llm_requests_total['n', 'timeout']"] == 1
    assert found["turngate_llm_requests_total['n', 'ok']"] == 1
    assert found["turngate_llm_tokens_total['input', 'n']"] == 30
    assert found["turngate_llm_tokens_total['n', 'output']"] == 4
    assert found["turngate_turns_ended_total['answered']"] == 1
    assert found["turngate_turns_resumed_total[]"] == 1
    assert found["turngate_deliveries_total['sent']"] == 1
    assert found["turngate_store_batch_units_sum[]"] == 3
    assert found["turngate_store_commit_seconds_count[]"] == 1
    assert found["turngate_loop_lag_seconds_count[]"] == 1
    assert found["turngate_shed_total['in_flight']"] == 1
    assert found["turngate_health['ready']"] == 1
    assert found["turngate_health['draining']"] == 0


def test_the_state_moves_and_leaves_nothing_behind() -> None:
    metrics = Metrics()
    metrics.health(State.READY)
    metrics.health(State.DRAINING)
    found = values(metrics)
    assert [name for name, value in found.items() if "health" in name and value] == [
        "turngate_health['draining']"
    ]


def test_two_gateways_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.shed("rate")
    assert "turngate_shed_total['rate']" not in values(second)


def test_a_word_of_a_client_becomes_no_label() -> None:
    metrics = Metrics()
    metrics.know_methods(["send", "status"])
    for number in range(1000):
        metrics.rpc_answered(f"made-up-{number}", "method_not_found", 0.0)
    page = metrics.page().decode()
    assert "made-up" not in page
    assert 'method="other"' in page


def test_labels_have_a_bound_where_nobody_lists_them() -> None:
    words = Words()
    assert {words(str(number)) for number in range(10 * MAX_WORDS)} == {
        *(str(number) for number in range(MAX_WORDS)),
        "other",
    }
    assert words("0") == "0"


def test_no_label_is_about_a_person() -> None:
    labels = set(re.findall(r'[{,](\w+)="', Metrics().page().decode()))
    assert not labels & {"user", "peer", "principal", "session", "address", "token", "prompt"}
