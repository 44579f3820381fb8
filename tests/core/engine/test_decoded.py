"""A stream decoded in pieces, along its states, equals the stream decoded at once."""

import pytest
import torch

import causvid_core as cv
from causvid_core.media.decoded import decode_blocks, decoder_memory, resume_decoder
from causvid_core.media.vae import WanVAE
from causvid_core.media.wan_stream import WanDecoder
from causvid_core.stream import rebase
from causvid_core.stream.description import describe

from .streams import SIZE, latents, make

PLENTY = 10**9


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    return WanVAE.from_state_dict(WanVAE(4).state_dict())


@pytest.fixture
def start(wan, windowed, context):
    """Two blocks."""
    return make(wan(), cv.start(windowed, wan(), **SIZE, seed=3), context, 2)[-1].state


def pieces(decoder, state, first):
    """(px from block `first` on, whether latents before had to be decoded once more)"""
    again = resume_decoder(decoder, state.decoder, state.history, first)
    return torch.cat(list(decode_blocks(decoder, state.history, first)), dim=2), again


def through_file(state, tmp_path):
    cv.save_stream(state, tmp_path / "stream.safetensors")
    return cv.load_stream(tmp_path / "stream.safetensors")


HAND_OVERS = {
    "as it is": (lambda state, path: state, False),
    "uncached": (lambda state, path: state.uncached(), False),
    "file": (through_file, False),
    "light": (lambda state, path: state.light(), True),
    "light file": (lambda state, path: through_file(state.light(), path), True),
}


@pytest.mark.parametrize("switch", ["carry", "cut"])
@pytest.mark.parametrize("hand_over", HAND_OVERS)
def test_decoding_goes_on_where_it_was(wan, context, start, vae, switch, hand_over, tmp_path):
    """The rollout carries the memory on, and never changes the state's."""
    change, recomputes = HAND_OVERS[hand_over]
    decoder = WanDecoder(vae)
    first, _ = pieces(decoder, start, 0)
    known = start._replace(decoder=decoder_memory(decoder, start.blocks, PLENTY))
    state = make(wan(), change(known, tmp_path), context.flip(1), 1, switch=switch)[-1].state
    assert state.decoder.blocks == 2
    expected = [vae.decode(part) for part in segments(state)]
    for _ in range(2):
        rest, again = pieces(WanDecoder(vae), state, state.decoder.blocks)
        assert again == (recomputes and switch != "cut")
        joined = torch.cat([first, rest], dim=2)
        torch.testing.assert_close(joined, torch.cat(expected, dim=2), atol=1e-5, rtol=0)
        assert torch.equal(joined, pieces(WanDecoder(vae), state, 0)[0])
        assert joined.shape[2] == state.px_frames == 33 - 3 * (switch == "cut")


def segments(state):
    """The latents of each segment that begins with a cut."""
    parts = []
    for block in state.history:
        parts = parts if parts and block.switch != "cut" else [*parts, []]
        parts[-1].append(block.latents)
    return [torch.cat(part, dim=2) for part in parts]


def test_what_is_too_large_or_anothers_is_computed_again(wan, context, start, vae):
    decoder = WanDecoder(vae)
    pieces(decoder, start, 0)
    memory = decoder_memory(decoder, 2, PLENTY)
    assert decoder_memory(decoder, 2, memory.nbytes).past
    assert decoder_memory(decoder, 2, memory.nbytes - 1) == (decoder.name, 2, ())
    longer = make(wan(), start, context, 1)[-1].state
    whole, _ = pieces(decoder, longer, 0)
    for other in (memory.light(), memory._replace(name="tiny"), memory._replace(blocks=1), None):
        rest, again = pieces(WanDecoder(vae), longer._replace(decoder=other), 2)
        assert again and torch.equal(rest, whole[:, :, -rest.shape[2] :])


def test_only_latents_within_reach_are_decoded_again(wan, windowed, context, vae):
    state = make(wan(), cv.start(windowed, wan(), **SIZE), context, 6)[-1].state

    class Counting:
        name, reach, taken = "counting", 5, 0

        def reset(self):
            self.taken = 0

        def push(self, latents):
            self.taken += latents.shape[2]

        def pop(self):
            return None

    counting = Counting()
    for block, expected in enumerate((0, 3, 5, 5)):
        assert resume_decoder(counting, None, state.history, block) == (block > 0)
        assert counting.taken == expected
    history = [
        block._replace(switch="cut" if n == 3 else "carry") for n, block in enumerate(state.history)
    ]
    for block, expected in ((3, 0), (4, 3), (5, 5), (6, 5)):
        resume_decoder(counting, None, history, block)
        assert counting.taken == expected


def test_the_memory_stays_when_a_stream_is_primed_or_taken_over(wan, context, start, vae):
    decoder = WanDecoder(vae)
    pieces(decoder, start, 0)
    known = start._replace(decoder=decoder_memory(decoder, 2, PLENTY))
    assert "all; what the decoder needs to continue travels along" in describe(known)
    primed = cv.prime(wan(), known, context, latents(make(wan(), start, context, 1)))
    assert primed.decoder is known.decoder
    assert "2 of 3 blocks" in describe(primed)
    assert rebase(known, wan(seed=1)).decoder is known.decoder
    assert known.light().decoder == (decoder.name, 2, ())
    assert "computed again" in describe(known.light()) and "nothing yet" in describe(start)
