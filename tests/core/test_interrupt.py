"""The first Ctrl-C is a request, the second an order; the terminal shows how far a run is."""

import io
import signal

import pytest

from causvid_core.interrupt import Interrupted, SoftInterrupt
from causvid_core.progress import ProgressLine, duration


def test_the_first_signal_asks_and_the_next_one_ends_the_process():
    before, said = signal.getsignal(signal.SIGINT), []
    with SoftInterrupt(lambda: said.append("stopping")) as stop:
        stop.check()
        signal.raise_signal(signal.SIGINT)
        assert stop.asked and said == ["stopping"]
        assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        with pytest.raises(Interrupted):
            stop.check()
    assert signal.getsignal(signal.SIGINT) is before


def test_signals_close_together_are_one(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("causvid_core.interrupt.time.monotonic", lambda: now[0])
    with SoftInterrupt(lambda: None, grace_s=3.0) as stop:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
            assert stop.asked
        now[0] = 3.5
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_line_is_redrawn_on_a_terminal():
    out, now = Terminal(), [0.0]
    line = ProgressLine(out, clock=lambda: now[0])
    line.show(0.0, "block 1/2")
    now[0] = 30.0
    line.show(0.25, "block 1/2", time_left=False)
    line.show(0.5, "block 2/2", "9 frames")
    line.finish()
    line.finish()
    first, second, third = out.getvalue().split("\r")[1:]
    assert first.rstrip() == f"[{'.' * 24}]   0 %, block 1/2" and len(first) == 79
    assert second.rstrip() == f"[{'#' * 6}{'.' * 18}]  25 %, block 1/2"
    assert (
        third == f"{f'[{chr(35) * 12}{chr(46) * 12}]  50 %, block 2/2, 9 frames, 0:30 left':<79}\n"
    )


@pytest.mark.parametrize(("log_seconds", "lines"), [(30.0, 3), (None, 0)])
def test_a_log_gets_a_line_now_and_then(log_seconds, lines):
    out, now = io.StringIO(), [0.0]
    line = ProgressLine(out, log_seconds, clock=lambda: now[0])
    for step in range(10):
        now[0] = 10.0 * step
        line.show(step / 10)
    line.finish()
    assert out.getvalue().count("\n") == lines and "\r" not in out.getvalue()


def test_durations():
    assert [duration(s) for s in (0.4, 65, 3665)] == ["0:00", "1:05", "1:01:05"]
