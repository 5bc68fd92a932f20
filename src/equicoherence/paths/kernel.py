"""The renderer's CPU kernel: warp, color, clamp, blur and solarize, fused and compiled.

An image is drawn row by row, so that all a row needs stays in the first cache levels and its pixels are written once
(once more where they are blurred). Sources are packed to one 32-bit word a pixel: a bilinear read is four gathers for
all three channels. The functions write into their arguments, which must not overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.core.cpu import CPUTargetOptions
from numba.core.options import TargetOptions

F, U, N, P = np.float32, np.uint32, np.int32, np.uintp
BORDER = {"content": 0, "reflection": 1, "zeros": 2}
BYTE, NEXT = U(255), P(1)
# That of `geometry`, which is read without numba. It stands here too, because what numba keeps on disk is compiled anew
# only where this file changes.
HORIZON = 1e-4

# Gathers are vectorised only where the compiler knows that what is written is not what is read. numba has a flag for
# that, but offers it to its own parallel loops alone.
CPUTargetOptions.noalias = TargetOptions.Mapping("noalias")  # type: ignore[attr-defined]


def _compiled(function: Callable[..., Any]) -> Any:
    """Compile without the interpreter lock; kept on disk where numba finds a folder that can be written.

    Helpers become part of each function that calls them. Called, they would be compiled twice, with other last bits:
    alone, which the process runs that compiles, and within their caller, which all later processes read from disk.
    """
    options: dict[str, Any] = {"nogil": True, "noalias": True, "error_model": "numpy"}
    options["forceinline"] = function.__name__.startswith("_")
    options["fastmath"] = {"contract", "reassoc", "nsz", "arcp", "afn"}  # a NaN stays a NaN
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)


@_compiled
def pack(pixels: Any, words: Any) -> None:
    """Pack bytes (B, 3, H, W) to words (B, H + 1, W + 1); the last row and column come twice."""
    height = pixels.shape[2]
    for b in range(len(pixels)):
        for y in range(height + 1):
            _pack_row(pixels[b], min(y, height - 1), words[b, y])


@_compiled
def _pack_row(pixels: Any, row: int, words: Any) -> None:
    width = pixels.shape[2]
    for x in range(width):
        i = P(x)
        words[i] = U(pixels[0, row, i]) | (U(pixels[1, row, i]) << U(8)) | (U(pixels[2, row, i]) << U(16))
    words[width] = words[width - 1]


@_compiled
def box_means(pixels: Any, boxes: Any, means: Any) -> None:
    """Write means (B, M, 3) in [0, 1] of bytes (B, 3, H, W) in boxes (B, M, 4); see `geometry.bounding_boxes`."""
    height, width = pixels.shape[2:]
    columns, rows = np.empty(width, F), np.empty(height, F)
    for b in range(len(pixels)):
        for m in range(boxes.shape[1]):
            left, right = _overlap(boxes[b, m, 0], boxes[b, m, 1], columns)
            top, bottom = _overlap(boxes[b, m, 2], boxes[b, m, 3], rows)
            for c in range(3):
                total = F(0)
                for y in range(top, bottom):
                    total += rows[y] * _weighted(pixels[b, c, y], columns, left, right)
                means[b, m, c] = total / F(255)


@_compiled
def _weighted(row: Any, weights: Any, first: int, last: int) -> Any:
    total = F(0)
    for x in range(first, last):
        total += weights[P(x)] * F(N(row[P(x)]))
    return total


@_compiled
def _overlap(centre: Any, reach: Any, weights: Any) -> Any:
    """Write how much of each pixel lies within ``reach`` of ``centre``, summing to 1; return where that is not 0."""
    count, total = len(weights), F(0)
    step = F(2) / F(count)
    first, last = count, 0
    for i in range(count):
        low = F(-1) + F(i) * step
        weights[i] = max(min(low + step, centre + reach) - max(low, centre - reach), F(0))
        total += weights[i]
        if weights[i] > 0:
            first, last = min(first, i), i + 1
    for i in range(first, last):
        weights[i] /= max(total, F(1e-12))
    return min(first, last), last


@_compiled
def draw(
    words: Any,
    knots: Any,
    starts: Any,
    sizes: Any,
    nearest: Any,
    farthest: Any,
    needed: Any,
    base: Any,
    path: Any,
    color: Any,
    means: Any,
    sigma: Any,
    threshold: Any,
    border: int,
    out: Any,
    offset: int,
    stride: int,
    size: int,
) -> None:
    """Draw one output of B images, ``size`` x ``size``, at ``out[offset + b * stride]``, channel by channel.

    words: packed sources, image b at level k from ``starts[b, k]`` with ``sizes[k]`` = (height, width). knots: None, or
    (B, height + 5, width + 5, 3) flat, of quintic B-splines that are read in place of words, two rows and columns more
    before an image, three after it, image b from pixel ``starts[b, 0]``. nearest, farthest: (B,)
    levels that image b is read from, the same where its map is affine. needed: (B,), the level, not yet whole, at depth
    1 (see `Pyramid.level_at`). base, path: (B, 3, 3); color: (B, 3, 6) with means (B, 3); sigma, threshold: (B,).
    border: a value of ``BORDER``.
    """
    plane = size * size
    at, right, down, inside = np.empty(size, U), np.empty(size, F), np.empty(size, F), np.empty(size, F)
    scratch, padded, weights = np.empty(plane, F), np.empty(3 * size + 2, F), np.empty(size + 2, F)
    matrix = np.empty((3, 4), F)
    more, line = 1 if knots is None else 5, np.empty(18, F)
    for b in range(len(starts)):
        for c in range(3):
            matrix[c, 3] = F(0)
            for k in range(3):
                matrix[c, k] = color[b, c, k] / F(255)
                matrix[c, 3] += color[b, c, 3 + k] * means[b, k]
        first = offset + b * stride
        if _is_affine(base[b]) and _is_affine(path[b]):
            height, width = sizes[nearest[b]]
            start = starts[b, nearest[b]]
            for y in range(size):
                _places(base[b], path[b], y, height, width, width + more, start, border, at, right, down, inside)
                _read(words, knots, width, at, right, down, matrix, out, first + y * size, plane, line)
                if border == 2:
                    for c in range(3):
                        _times(out, first + c * plane + y * size, inside)
        else:
            for y in range(size):
                begin, end = 0, 0
                while begin < size:
                    level, end = _piece(base[b], path[b], y, begin, size, needed[b], nearest[b], farthest[b])
                    height, width = sizes[level]
                    read, x, z, seen = at[begin:end], right[begin:end], down[begin:end], inside[begin:end]
                    spot = first + y * size + begin
                    pitch, start = width + more, starts[b, level]
                    _projected(base[b], path[b], y, begin, size, height, width, pitch, start, border, read, x, z, seen)
                    _read(words, knots, width, read, x, z, matrix, out, spot, plane, line)
                    for c in range(3):
                        _times(out, spot + c * plane, seen)
                    begin = end
        radius = _gaussian(sigma[b], size, weights)
        if radius > 0:
            for c in range(3):
                _blur(out, first + c * plane, size, radius, weights, scratch, padded)
        if threshold[b] <= 1:
            _solarize(out, first, 3 * plane, threshold[b])


@_compiled
def _spline(t: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Return the weights of the six taps around a place that lies ``t`` beyond the third."""
    rest = F(1) - t
    near, far = t * t, rest * rest
    first, last = far * far * rest / F(120), near * near * t / F(120)
    third = F(0.55) - near * (F(0.5) - near * (F(0.25) - t / F(12)))
    fourth = F(0.55) - far * (F(0.5) - far * (F(0.25) - rest / F(12)))
    second = F(1 / 120) * (F(26) - t * (F(50) - t * (F(20) + t * (F(20) - t * (F(20) - F(5) * t)))))
    return first, second, third, fourth, F(1) - first - second - third - fourth - last, last


@_compiled
def _is_affine(matrix: Any) -> Any:
    return matrix[2, 0] == 0 and matrix[2, 1] == 0 and matrix[2, 2] == 1


@_compiled
def _depth(base: Any, path: Any, k: int) -> Any:
    """Return entry ``k`` of the third row of ``base @ path``."""
    return base[2, 0] * path[0, k] + base[2, 1] * path[1, k] + base[2, 2] * path[2, k]


@_compiled
def _horizon(g: Any, h: Any, i: Any) -> Any:
    return F(HORIZON) * (abs(g) + abs(h) + abs(i))


@_compiled
def _piece(
    base: Any, path: Any, y: int, begin: int, size: int, needed: Any, nearest: Any, farthest: Any
) -> tuple[Any, int]:
    """Return the level from which pixel ``begin`` of row ``y`` is read, and where the pixels of that level end."""
    if nearest == farthest:
        return nearest, size
    step, origin = F(2) / F(size), F(1) / F(size) - F(1)
    g, h, i = _depth(base, path, 0), _depth(base, path, 1), _depth(base, path, 2)
    i, least = h * (F(y) * step + origin) + i, _horizon(g, h, i)
    depth = max(g * (F(begin) * step + origin) + i, least)
    level = min(max(N(np.floor(needed - F(3) * np.log2(depth))), nearest), farthest)
    low = F(0) if level == farthest else np.exp2((needed - F(level + 1)) / F(3))
    high = np.inf if level == nearest else np.exp2((needed - F(level)) / F(3))
    end = begin + 1
    while end < size:
        depth = max(g * (F(end) * step + origin) + i, least)
        if depth <= low or depth > high:
            break
        end += 1
    return level, end


@_compiled
def _mirrored(s: Any, t: Any, height: int, width: int) -> tuple[Any, Any, Any, Any]:
    """Return the pixel that a place is read from first, column and row, mirrored at the borders, and the weights of the
    next ones."""
    turn_w, turn_h = F(1) / F(2 * width), F(1) / F(2 * height)
    s, t = s - F(2 * width) * np.floor(s * turn_w), t - F(2 * height) * np.floor(t * turn_h)
    s, t = F(width) - abs(s - F(width)) - F(0.5), F(height) - abs(t - F(height)) - F(0.5)
    s, t = min(max(s, F(0)), F(width - 1)), min(max(t, F(0)), F(height - 1))
    column, row = N(s), N(t)
    return column, row, s - F(column), t - F(row)


@_compiled
def _projected(
    base: Any,
    path: Any,
    y: int,
    begin: int,
    size: int,
    height: int,
    width: int,
    pitch: int,
    start: int,
    border: int,
    at: Any,
    right: Any,
    down: Any,
    inside: Any,
) -> None:
    """Do what `_places` does for the pixels of row ``y`` from ``begin`` on, with maps that have a perspective.

    ``inside`` is also 0 behind the horizon, whatever the border; the others mirror what the map shows there.
    """
    step, origin = F(2) / F(size), F(1) / F(size) - F(1)
    below = F(y) * step + origin
    p00, p10, p20 = path[0, 0], path[1, 0], path[2, 0]
    p0, p1, p2 = path[0, 1] * below + path[0, 2], path[1, 1] * below + path[1, 2], path[2, 1] * below + path[2, 2]
    b00, b01, b02 = base[0, 0], base[0, 1], base[0, 2]
    b10, b11, b12 = base[1, 0], base[1, 1], base[1, 2]
    b20, b21, b22 = base[2, 0], base[2, 1], base[2, 2]
    half_w, half_h = F(width) * F(0.5), F(height) * F(0.5)
    mirror, black = border == 1, border == 2
    nearby = _horizon(path[2, 0], path[2, 1], path[2, 2])
    least = _horizon(b20, b21, b22)
    if not mirror:
        least = _horizon(_depth(base, path, 0), _depth(base, path, 1), _depth(base, path, 2))
    for x in range(len(at)):
        across = F(begin + x) * step + origin
        u, v, w = p00 * across + p0, p10 * across + p1, p20 * across + p2
        seen = F(1)
        if mirror:
            seen = F(1) if w > nearby else F(0)
            w = max(w, nearby)
            u, v = (u / w + F(1)) * F(0.25), (v / w + F(1)) * F(0.25)
            u, v = F(1) - abs(F(4) * (u - np.floor(u)) - F(2)), F(1) - abs(F(4) * (v - np.floor(v)) - F(2))
            w = F(1)
        if black:
            seen = F(1) if w > nearby and max(abs(u), abs(v)) <= w else F(0)
        s, t, q = b00 * u + b01 * v + b02 * w, b10 * u + b11 * v + b12 * w, b20 * u + b21 * v + b22 * w
        inside[x] = seen if q > least else F(0)
        q = max(q, least)
        s, t = (s / q + F(1)) * half_w, (t / q + F(1)) * half_h
        column, row, right[x], down[x] = _mirrored(s, t, height, width)
        at[x] = U(N(start) + row * N(pitch) + column)


@_compiled
def _places(
    base: Any,
    path: Any,
    y: int,
    height: int,
    width: int,
    pitch: int,
    start: int,
    border: int,
    at: Any,
    right: Any,
    down: Any,
    inside: Any,
) -> None:
    """Write, for each pixel of row ``y``, which word it reads first, its bilinear weights, whether it is inside."""
    size = len(at)
    step, origin = F(2) / F(size), F(1) / F(size) - F(1)
    p00, p10 = path[0, 0], path[1, 0]
    p0, p1 = path[0, 1] * (F(y) * step + origin) + path[0, 2], path[1, 1] * (F(y) * step + origin) + path[1, 2]
    half_w, half_h = F(width) * F(0.5), F(height) * F(0.5)
    b00, b01, b02 = base[0, 0] * half_w, base[0, 1] * half_w, (base[0, 2] + F(1)) * half_w
    b10, b11, b12 = base[1, 0] * half_h, base[1, 1] * half_h, (base[1, 2] + F(1)) * half_h
    mirror = border == 1
    for x in range(size):
        across = F(x) * step + origin
        u, v = p00 * across + p0, p10 * across + p1
        inside[x] = F(1) if max(abs(u), abs(v)) <= F(1) else F(0)
        if mirror:
            u, v = (u + F(1)) * F(0.25), (v + F(1)) * F(0.25)
            u, v = F(1) - abs(F(4) * (u - np.floor(u)) - F(2)), F(1) - abs(F(4) * (v - np.floor(v)) - F(2))
        s, t = b00 * u + b01 * v + b02, b10 * u + b11 * v + b12
        column, row, right[x], down[x] = _mirrored(s, t, height, width)
        at[x] = U(N(start) + row * N(pitch) + column)


@_compiled
def _read(
    words: Any,
    knots: Any,
    width: int,
    at: Any,
    right: Any,
    down: Any,
    matrix: Any,
    out: Any,
    first: int,
    plane: int,
    line: Any,
) -> None:
    if knots is None:
        _row(words, width + 1, at, right, down, matrix, out, first, plane)
    else:
        _splines(knots, width, at, right, down, matrix, out, first, plane, line)


@_compiled
def _row(words: Any, pitch: int, at: Any, right: Any, down: Any, matrix: Any, out: Any, first: int, plane: int) -> None:
    """Read a row bilinearly, map its colors by ``matrix`` (3, 4) and clamp to [0, 1]."""
    a, b, c, d = matrix[0]
    e, f, g, h = matrix[1]
    i, j, k, l = matrix[2]  # noqa: E741
    below, red, green, blue = P(pitch), P(first), P(first + plane), P(first + 2 * plane)
    for x in range(len(at)):
        o, fx, fy = P(at[x]), right[x], down[x]
        w11 = fx * fy
        w10, w01 = fy - w11, fx - w11
        w00 = F(1) - fx - w10
        p, q, r, s = words[o], words[o + NEXT], words[o + below], words[o + below + NEXT]
        x0 = w00 * F(N(p & BYTE)) + w01 * F(N(q & BYTE)) + w10 * F(N(r & BYTE)) + w11 * F(N(s & BYTE))
        p, q, r, s = p >> U(8), q >> U(8), r >> U(8), s >> U(8)
        x1 = w00 * F(N(p & BYTE)) + w01 * F(N(q & BYTE)) + w10 * F(N(r & BYTE)) + w11 * F(N(s & BYTE))
        p, q, r, s = p >> U(8), q >> U(8), r >> U(8), s >> U(8)
        x2 = w00 * F(N(p)) + w01 * F(N(q)) + w10 * F(N(r)) + w11 * F(N(s))
        out[red + P(x)] = min(max(a * x0 + b * x1 + c * x2 + d, F(0)), F(1))
        out[green + P(x)] = min(max(e * x0 + f * x1 + g * x2 + h, F(0)), F(1))
        out[blue + P(x)] = min(max(i * x0 + j * x1 + k * x2 + l, F(0)), F(1))


@_compiled
def _splines(
    knots: Any, width: int, at: Any, right: Any, down: Any, matrix: Any, out: Any, first: int, plane: int, line: Any
) -> None:
    """Do what `_row` does, but by quintic B-splines of ``knots``, the first taps ``at``.

    line: (18,), room for six taps of three channels. They lie side by side and are read as vectors. Its length is not
    known to the compiler, which would otherwise make vectors of output pixels, and gather each tap.
    """
    a, b, c, d = matrix[0]
    e, f, g, h = matrix[1]
    i, j, k, l = matrix[2]  # noqa: E741
    pitch, red, green, blue = P(3 * (width + 5)), P(first), P(first + plane), P(first + 2 * plane)
    for x in range(len(at)):
        o = P(at[x]) * P(3)
        p, q, r = o + pitch, o + P(2) * pitch, o + P(3) * pitch
        u, v = o + P(4) * pitch, o + P(5) * pitch
        w0, w1, w2, w3, w4, w5 = _spline(down[x])
        for t in range(len(line)):
            n = P(t)
            upper = w0 * knots[o + n] + w1 * knots[p + n] + w2 * knots[q + n]
            line[n] = upper + w3 * knots[r + n] + w4 * knots[u + n] + w5 * knots[v + n]
        w0, w1, w2, w3, w4, w5 = _spline(right[x])
        x0 = w0 * line[0] + w1 * line[3] + w2 * line[6] + w3 * line[9] + w4 * line[12] + w5 * line[15]
        x1 = w0 * line[1] + w1 * line[4] + w2 * line[7] + w3 * line[10] + w4 * line[13] + w5 * line[16]
        x2 = w0 * line[2] + w1 * line[5] + w2 * line[8] + w3 * line[11] + w4 * line[14] + w5 * line[17]
        out[red + P(x)] = min(max(a * x0 + b * x1 + c * x2 + d, F(0)), F(1))
        out[green + P(x)] = min(max(e * x0 + f * x1 + g * x2 + h, F(0)), F(1))
        out[blue + P(x)] = min(max(i * x0 + j * x1 + k * x2 + l, F(0)), F(1))


@_compiled
def _times(out: Any, first: int, factors: Any) -> None:
    for x in range(len(factors)):
        out[P(first) + P(x)] *= factors[x]


@_compiled
def _solarize(out: Any, first: int, count: int, threshold: Any) -> None:
    for x in range(count):
        value = out[P(first) + P(x)]
        out[P(first) + P(x)] = F(1) - value if value >= threshold else value


@_compiled
def _gaussian(sigma: Any, size: int, weights: Any) -> Any:
    """Write one half of a normalised Gaussian, cut off at three sigma; return its radius, made even with zeros."""
    if not sigma > F(0.05):  # the side taps would be under 1e-80
        return 0
    radius = min(N(np.ceil(F(3) * sigma)), size - 1)
    total = F(1)
    for k in range(1, radius + 1):
        weights[k] = np.exp(F(-0.5) * (F(k) / sigma) ** 2)
        total += F(2) * weights[k]
    weights[0] = F(1)
    for k in range(radius + 1):
        weights[k] /= total
    weights[radius + 1] = F(0)
    return radius + radius % 2


@_compiled
def _blur(out: Any, first: int, size: int, radius: int, weights: Any, scratch: Any, line: Any) -> None:
    """Blur one channel along rows into ``scratch``, then along columns back, mirrored at the border."""
    for y in range(size):
        for x in range(size):
            line[P(radius + x)] = out[P(first + y * size + x)]
        for k in range(1, radius + 1):
            line[radius - k] = line[radius + _reflected(k, size)]
            line[radius + size - 1 + k] = line[radius + _reflected(size - 1 + k, size)]
        _scaled(scratch, y * size, line, radius, weights[0], size)
        for k in range(1, radius, 2):
            near, far = weights[k], weights[k + 1]
            left, right = radius - k, radius + k
            _two_pairs(scratch, y * size, line, left, right, left - 1, right + 1, near, far, size)
    for y in range(size):
        to = first + y * size
        _scaled(out, to, scratch, y * size, weights[0], size)
        for k in range(1, radius, 2):
            near, far = weights[k], weights[k + 1]
            above, below = _reflected(y - k, size) * size, _reflected(y + k, size) * size
            beyond, further = _reflected(y - k - 1, size) * size, _reflected(y + k + 1, size) * size
            _two_pairs(out, to, scratch, above, below, beyond, further, near, far, size)


@_compiled
def _reflected(index: int, size: int) -> int:
    """Mirror an index at the centres of the first and the last pixel."""
    index = abs(index)
    return index if index < size else abs(2 * size - 2 - index)


@_compiled
def _scaled(out: Any, to: int, given: Any, start: int, weight: Any, count: int) -> None:
    for x in range(count):
        out[P(to) + P(x)] = weight * given[P(start) + P(x)]


@_compiled
def _two_pairs(out: Any, to: int, given: Any, a: int, b: int, c: int, d: int, near: Any, far: Any, count: int) -> None:
    """Add two symmetric pairs of taps at once, which halves the passes over ``out``."""
    for x in range(count):
        i = P(x)
        out[P(to) + i] += near * (given[P(a) + i] + given[P(b) + i]) + far * (given[P(c) + i] + given[P(d) + i])
