"""The player's modules by themselves, in the page."""

from typing import Any

from hosting.host import Host

STREAM = """
    const {FrameStream} = await import(`${base}/frames.js`);
    const {Playback} = await import(`${base}/playback.js`);
    const facts = {state: 'running', block: 0, blocks: 3, start_px_frame: 9, end_px_frame: 45,
                   fps: 16, next_px_frame: 21, newest_px_frame: -1, prompt_id: 'p', node_id: '3',
                   workflow_id: 'w'};
    const image = size => btoa('x'.repeat(size ?? 1));
    const event = (px, more = {}) => ({...facts, image_type: 'image/jpeg',
        frames: px.map(px_frame => ({px_frame, image: image(more.size)})), ...more});
"""


def run(page: Any, host: Host, code: str) -> Any:
    """What the code returns, with the modules and a few helpers at hand."""
    base = f"/extensions/{host.pack.name}/player"
    return page.evaluate(f"(async () => {{ const base = '{base}'; {STREAM} {code} }})()")


def test_frames_stand_until_the_next_one_however_they_come(page: Any, host: Host) -> None:
    result = run(
        page,
        host,
        """
        const stream = new FrameStream(facts);
        stream.add(event([13, 17], {next_px_frame: 21}));
        stream.add(event([9, 13], {next_px_frame: 17}));  // late, and one of them again
        const found = [8, 9, 12, 13, 16, 17, 99].map(at => stream.px[stream.indexAt(at)]);
        return {found, px: stream.px, reached: stream.reached, end: stream.end};
    """,
    )
    assert result == {
        "found": [9, 9, 9, 13, 13, 17, 17],
        "px": [9, 13, 17],
        "reached": 21,
        "end": 45,
    }


def test_memory_is_bounded_by_thinning(page: Any, host: Host) -> None:
    result = run(
        page,
        host,
        """
        const stream = new FrameStream(facts);
        const size = 4 * 1024 * 1024;
        for (let px = 9; px < 129; px++) stream.add(event([px], {size, next_px_frame: px + 1}));
        const gaps = stream.px.slice(1).map((px, i) => px - stream.px[i]);
        const bytes = stream.images.reduce((sum, blob) => sum + blob.size, 0);
        return {bytes, counted: stream.bytes, newest: stream.newest, widest: Math.max(...gaps)};
    """,
    )
    assert result["bytes"] == result["counted"] <= 64 * 1024 * 1024
    assert result["newest"] == 128 and result["widest"] <= 32


def test_it_waits_at_the_end_while_frames_are_made_and_loops_afterwards(
    page: Any, host: Host
) -> None:
    result = run(
        page,
        host,
        """
        const stream = new FrameStream(facts);
        stream.add(event([9, 13, 17]));
        const playback = new Playback(stream);
        const seen = [];
        const look = () => seen.push([Math.floor(playback.position), playback.waiting]);
        playback.advance(0.5); look();           // 8 px frames on
        playback.advance(5); look();             // further than there are frames: waits
        stream.add(event([21, 25], {next_px_frame: 33, block: 1}));
        playback.advance(0.25); look();          // and goes on
        playback.seek(10); playback.advance(10); look();  // went back: what exists is looped
        playback.follow(); look();
        stream.add(event([], {state: 'done', block: 1, next_px_frame: 33, end_px_frame: 33}));
        playback.advance(1); look();             // at the end: from the start again
        playback.loop = false;
        playback.advance(60); look();
        return {seen, playing: playback.playing};
    """,
    )
    positions = result["seen"]
    assert positions[0] == [17, False] and positions[1] == [20, True]
    assert positions[2] == [24, False]
    assert positions[3] == [9, False]
    assert positions[4] == [32, True]
    assert positions[5] == [9, False]
    assert positions[6] == [32, False] and result["playing"] is False


def test_streams_of_a_page_are_bounded_and_a_new_run_replaces_the_old(
    page: Any, host: Host
) -> None:
    result = run(
        page,
        host,
        """
        const {Streams} = await import(`${base}/streams.js`);
        const streams = new Streams();
        const first = streams.of(facts);
        const same = streams.of({...facts, block: 1}) === first;
        const next = streams.of({...facts, prompt_id: 'q'});
        for (let i = 0; i < 40; i++) streams.of({...facts, node_id: `n${i}`});
        return {same, replaced: next !== first, count: streams.all().length};
    """,
    )
    assert result == {"same": True, "replaced": True, "count": 16}
