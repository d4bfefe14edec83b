"""Sums of 8-bit products of both kinds, written out plainly and apart from bench: what tests compare with."""

import numpy as np

KINDS = ("exact", "saturating")
LIMITS = {"uint8": (0, 255), "int8": (-128, 127)}


def summed(kind, a, b):
    """``Σ a b`` of stored codes (m, k) and (k, n) in int64; "saturating": neighbours are first added in 16 bits."""
    a, b = a.astype(np.int64), b.astype(np.int64)
    total = np.zeros((len(a), b.shape[1]), np.int64)
    for start in range(0, a.shape[1], 2):
        pair = sum(np.outer(a[:, k], b[k]) for k in range(start, min(start + 2, a.shape[1])))
        total += np.clip(pair, -(2**15), 2**15 - 1) if kind == "saturating" else pair
    return total


def multiplied(kind, a, b, a_zero=0, b_zero=0):
    """``Σ (a - a_zero)(b - b_zero)``: zero points are taken off afterwards, as the recipe has it."""
    a_zero, b_zero = np.asarray(a_zero, np.int64), np.asarray(b_zero, np.int64)
    columns, rows = b.astype(np.int64).sum(0), a.astype(np.int64).sum(1, keepdims=True)
    return summed(kind, a, b) - a_zero * columns - b_zero * rows + a.shape[1] * a_zero * b_zero


def patches(x, kernel, padding, pads=(0, 0, 0, 0), strides=(1, 1), dilations=(1, 1)):
    """What a convolution of x (n, c, h, w) reads: (n, h', w', c, kernel height, kernel width)."""
    top, left, bottom, right = pads
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=padding)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    places = [(size - r) // s + 1 for size, r, s in zip(x.shape[2:], reach, strides, strict=True)]
    out = np.zeros((len(x), *places, x.shape[1], *kernel), np.int64)
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            down, right = row * dilations[0], column * dilations[1]
            seen = x[:, :, down :: strides[0], right :: strides[1]][:, :, : places[0], : places[1]]
            out[..., row, column] = seen.transpose(0, 2, 3, 1)
    return out


def convolved(kind, x, w, x_zero=0, w_zero=0, group=1, channel_first=False, **geometry):
    """The sums of a convolution of x (n, c, h, w) with w (m, c / group, *kernel), (n, m, h', w').

    Each group apart; along the reduction the channel is fastest, or slowest with ``channel_first``.
    """
    seen = patches(x, w.shape[2:], x_zero, **geometry)
    own, channels = len(w) // group, w.shape[1]
    w_zero = np.broadcast_to(np.asarray(w_zero), len(w))
    parts = []
    for index in range(group):
        rows = seen[..., index * channels : (index + 1) * channels, :, :]
        block = w[index * own : (index + 1) * own]
        if not channel_first:
            rows, block = rows.transpose(0, 1, 2, 4, 5, 3), block.transpose(0, 2, 3, 1)
        flat = rows.reshape(-1, block[0].size)
        zeros = w_zero[index * own : (index + 1) * own]
        parts.append(multiplied(kind, flat, block.reshape(own, -1).T, x_zero, zeros))
    return np.concatenate(parts, 1).reshape(*seen.shape[:3], len(w)).transpose(0, 3, 1, 2)


def requantised(sums, factor, zero):
    """``saturate(round(sums · factor) + zero)``, in float32 up to the rounding."""
    low, high = LIMITS[zero.dtype.name]
    scaled = sums.astype(np.float32) * np.asarray(factor, np.float32)
    return np.clip(np.rint(scaled) + int(zero), low, high).astype(zero.dtype)


def dynamically_quantised(x):
    """Codes, scale and zero point of floats over their own range, as uint8."""
    low, high = min(x.min(), np.float32(0)), max(x.max(), np.float32(0))
    scale = (high - low) / np.float32(255)
    zero = np.clip(np.rint(-low / scale), 0, 255)
    return np.clip(np.rint(x / scale) + zero, 0, 255).astype(np.uint8), scale, np.uint8(zero)
