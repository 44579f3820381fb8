"""HDR and wide-gamut pictures as BT.709 ones: tone mapping and gamut conversion.

Light is counted in nits. HDR reference white, 203 nits (ITU-R BT.2408), becomes the white of the
result. Everything up to about 90 nits keeps its place; brighter light is rolled off by the curve of
ITU-R BT.2390, from a peak of 1000 nits. Colours outside BT.709 are clipped.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

PQ, HLG, SDR = "PQ", "HLG", "SDR"
TRANSFERS = {16: PQ, 18: HLG}  # FFmpeg's numbers (ITU-T H.273)
BT2020 = 9

REFERENCE_WHITE, PEAK = 203.0, 1000.0  # nits
GAMMA = 2.4  # ITU-R BT.1886
_HLG_SYSTEM_GAMMA = 1.2  # ITU-R BT.2100, for a display of 1000 nits
_LUMA_2020 = (0.2627, 0.6780, 0.0593)
_STEPS = 4096

# ITU-R BT.2087: linear light of BT.2020 as that of BT.709.
_TO_709 = (
    (1.660491, -0.587641, -0.072850),
    (-0.124550, 1.132900, -0.008349),
    (-0.018151, -0.100579, 1.118730),
)


def as_bt709(pixels: Tensor, transfer: str, wide: bool = True) -> Tensor:
    """Pictures `[..., 3]` of R'G'B' in 0..1, of BT.2020 if `wide`, as those of BT.709.

    transfer: PQ, HLG, or SDR, which is not tone-mapped.
    """
    if transfer == SDR:
        light = pixels.clamp(0, 1) ** GAMMA
    else:
        nits = _pq_nits(pixels) if transfer == PQ else _hlg_nits(pixels)
        light = _rolled_off(nits)
    if wide:
        light = light @ torch.tensor(_TO_709, dtype=light.dtype).T
    return light.clamp(0, 1) ** (1 / GAMMA)


def pq_nits(signal: Tensor) -> Tensor:
    """Nits of PQ values in 0..1 (SMPTE ST 2084)."""
    m1, m2, c1, c2, c3 = _PQ
    power = signal ** (1 / m2)
    return 10000 * ((power - c1).clamp(min=0) / (c2 - c3 * power)) ** (1 / m1)


def pq_signal(nits: Tensor) -> Tensor:
    """PQ values of nits, the inverse of `pq_nits`."""
    m1, m2, c1, c2, c3 = _PQ
    power = (nits / 10000).clamp(min=0) ** m1
    return ((c1 + c2 * power) / (1 + c3 * power)) ** m2


def hlg_scene(signal: Tensor) -> Tensor:
    """Scene light in 0..1 of HLG values (ITU-R BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return torch.where(signal <= 0.5, signal**2 / 3, (((signal - c) / a).exp() + b) / 12)


_PQ = (2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128)


def _pq_nits(pixels: Tensor) -> Tensor:
    return _pq_table()[(pixels * 65535).round().clamp(0, 65535).long()]


def _hlg_nits(pixels: Tensor) -> Tensor:
    scene = hlg_scene(pixels.clamp(0, 1))
    luma = (scene * torch.tensor(_LUMA_2020)).sum(dim=-1, keepdim=True)
    return PEAK * luma.clamp(min=1e-6) ** (_HLG_SYSTEM_GAMMA - 1) * scene


def _rolled_off(nits: Tensor) -> Tensor:
    """Light in 0..1, where 1 is reference white; every colour keeps its hue."""
    brightest = nits.amax(dim=-1, keepdim=True).clamp(min=1e-4)
    table = _roll_off_table()
    place = (brightest.clamp(max=PEAK) / PEAK).sqrt() * (_STEPS - 1)
    low = place.floor().long().clamp(max=_STEPS - 2)
    factor = torch.lerp(table[low], table[low + 1], place - low)
    return nits * (factor * (brightest.clamp(max=PEAK) / brightest))


@cache
def _pq_table() -> Tensor:
    return pq_nits(torch.linspace(0, 1, 65536, dtype=torch.float64)).float()


@cache
def _roll_off_table() -> Tensor:
    """What light is multiplied by, at `(n / (_STEPS - 1))**2 * PEAK` nits; see BT.2390, 5.4.1."""
    nits = (torch.linspace(0, 1, _STEPS, dtype=torch.float64) ** 2 * PEAK).clamp(min=1e-4)
    peak = pq_signal(torch.tensor(PEAK, dtype=torch.float64))
    most = pq_signal(torch.tensor(REFERENCE_WHITE, dtype=torch.float64)) / peak
    knee = 1.5 * most - 0.5
    signal = pq_signal(nits) / peak
    t = (signal - knee) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * most
    )
    shown = pq_nits(torch.where(signal < knee, signal, spline) * peak)
    return (shown / nits / REFERENCE_WHITE).float()
