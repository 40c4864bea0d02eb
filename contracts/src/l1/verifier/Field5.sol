// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

// KoalaBear, p = 2^31 - 2^24 + 1, and its extension of degree 5 by X^5 = 1 - X^2.
//
// An element of the extension is one word: coordinate i in bits 42 i .. 42 i + 41. A coordinate need not be reduced; "reduced" says that each is below p.
// Sums may grow to 512 p (2^40) a coordinate before they are multiplied: then five products of coordinates stay below 2^84, the width of a lane in which
// `mulExt` adds them up. For products the even coordinates (0, 2, 4) and the odd ones (1, 3) are each spread over lanes of 84 bits.

uint256 constant P = 0x7f000001;
// 2^32 mod p and its inverse: elements travel in Montgomery form.
uint256 constant MONTGOMERY = 0x01fffffe;
uint256 constant MONTGOMERY_INVERSE = 0x3f010000;
// Generator of the multiplicative group: the shift of every evaluation domain.
uint256 constant GENERATOR = 3;
// A root of unity of order 2^24, and its inverse.
uint256 constant ROOT_24 = 0x6ac49f88;
uint256 constant TWO_ADICITY = 24;

uint256 constant MASK_42 = 0x3ffffffffff;
uint256 constant MASK_84 = 0xfffffffffffffffffffff;
// Coordinates 0, 2, 4 in place; coordinates 1, 3 after a shift by 42.
uint256 constant EVEN = 0x3ffffffffff00000000003ffffffffff00000000003ffffffffff;
uint256 constant ODD = 0x3ffffffffff00000000003ffffffffff;
// 16 p in every coordinate: added before a subtraction.
uint256 constant SIXTEEN_P = 0x7f000001001fc000004007f000001001fc000004007f0000010;
// A multiple of p above 2^84.
uint256 constant LARGE_P = 0x1fc0000040000000000000;

error FinalProofRefused(uint256 check);

// What `FinalProofRefused` counts.
uint256 constant CHECK_LENGTH = 1;
uint256 constant CHECK_CANONICAL = 2;
uint256 constant CHECK_GRINDING = 3;
uint256 constant CHECK_CONSTRAINTS = 4;
uint256 constant CHECK_DIVISION = 5;
uint256 constant CHECK_MERKLE = 6;
uint256 constant CHECK_FOLDING = 7;
uint256 constant CHECK_KEY = 8;

/// @dev Adds up and reduces: `w0` has products of degrees 0, 2, 4, `w2` of 2, 4, 6, `w4` of 4, 6, 8, `v1` of 1, 3, 5, `v3` of 3, 5, 7, `v5` of 5, 7.
function foldDegrees(uint256 w0, uint256 w2, uint256 w4, uint256 v1, uint256 v3, uint256 v5) pure returns (uint256 r) {
    assembly {
        w2 := add(shr(84, w0), w2)
        w4 := add(shr(84, w2), w4)
        v3 := add(shr(84, v1), v3)
        v5 := add(shr(84, v3), v5)
        let c8 := shr(168, w4)
        let c6 := and(shr(84, w4), MASK_84)
        let c5 := and(v5, MASK_84)
        let c7 := shr(84, v5)
        r := mod(sub(add(add(and(w0, MASK_84), c5), LARGE_P), c8), P)
        r := or(r, shl(42, mod(add(and(v1, MASK_84), c6), P)))
        r := or(r, shl(84, mod(sub(add(add(add(and(w2, MASK_84), c8), c7), LARGE_P), c5), P)))
        r := or(r, shl(126, mod(sub(add(add(and(v3, MASK_84), c8), LARGE_P), c6), P)))
        r := or(r, shl(168, mod(sub(add(and(w4, MASK_84), LARGE_P), c7), P)))
    }
}

/// @dev `a b`, reduced.
function mulExt(uint256 a, uint256 b) pure returns (uint256 r) {
    assembly {
        let e := and(b, EVEN)
        let o := and(shr(42, b), ODD)
        let x := and(a, MASK_42)
        let w0 := mul(x, e)
        let v1 := mul(x, o)
        x := and(shr(42, a), MASK_42)
        v1 := add(v1, mul(x, e))
        let w2 := mul(x, o)
        x := and(shr(84, a), MASK_42)
        w2 := add(w2, mul(x, e))
        let v3 := mul(x, o)
        x := and(shr(126, a), MASK_42)
        v3 := add(v3, mul(x, e))
        let w4 := mul(x, o)
        x := shr(168, a)
        w4 := add(w4, mul(x, e))
        // As `foldDegrees`; here because this is called a thousand times.
        w2 := add(shr(84, w0), w2)
        w4 := add(shr(84, w2), w4)
        v3 := add(shr(84, v1), v3)
        x := add(shr(84, v3), mul(x, o))
        e := and(x, MASK_84)
        o := shr(84, x)
        x := shr(168, w4)
        r := mod(sub(add(add(and(w0, MASK_84), e), LARGE_P), x), P)
        w0 := and(shr(84, w4), MASK_84)
        r := or(r, shl(42, mod(add(and(v1, MASK_84), w0), P)))
        r := or(r, shl(84, mod(sub(add(add(add(and(w2, MASK_84), x), o), LARGE_P), e), P)))
        r := or(r, shl(126, mod(sub(add(add(and(v3, MASK_84), x), LARGE_P), w0), P)))
        r := or(r, shl(168, mod(sub(add(and(w4, MASK_84), LARGE_P), o), P)))
    }
}

/// @dev Reduces lanes of 84 bits: even coordinates in `e`, odd ones in `o`.
function joinLanes(uint256 e, uint256 o) pure returns (uint256 r) {
    assembly {
        r := mod(and(e, MASK_84), P)
        r := or(r, shl(42, mod(and(o, MASK_84), P)))
        r := or(r, shl(84, mod(and(shr(84, e), MASK_84), P)))
        r := or(r, shl(126, mod(shr(84, o), P)))
        r := or(r, shl(168, mod(shr(168, e), P)))
    }
}

/// @dev `a s` for `s < 2^40`, reduced.
function scaleExt(uint256 a, uint256 s) pure returns (uint256) {
    unchecked {
        return joinLanes((a & EVEN) * s, ((a >> 42) & ODD) * s);
    }
}

/// @dev Every coordinate modulo p.
function reduceExt(uint256 a) pure returns (uint256) {
    return joinLanes(a & EVEN, (a >> 42) & ODD);
}

/// @dev `a - b`, not reduced; coordinates of `b` are at most 16 p.
function subExt(uint256 a, uint256 b) pure returns (uint256) {
    unchecked {
        return a + SIXTEEN_P - b;
    }
}

/// @dev `a^p`: linear in the coordinates. The constants are `X^p`, `X^2p`, `X^3p`, `X^4p`.
function frobenius(uint256 a) pure returns (uint256) {
    unchecked {
        uint256 e = a & MASK_42;
        uint256 o = 0;
        uint256 x = (a >> 42) & MASK_42;
        e += x * (0x250cf20011fbd4e1c005d70a17900117b30e80005df5feeb & EVEN);
        o += x * ((0x250cf20011fbd4e1c005d70a17900117b30e80005df5feeb >> 42) & ODD);
        x = (a >> 84) & MASK_42;
        e += x * (0x119bee90001490aea680024abc758000005459880064280990 & EVEN);
        o += x * ((0x119bee90001490aea680024abc758000005459880064280990 >> 42) & ODD);
        x = (a >> 126) & MASK_42;
        e += x * (0x1e02e14400158a9a5a0002a053dae0004d0a18b8001a4ca5a4 & EVEN);
        o += x * ((0x1e02e14400158a9a5a0002a053dae0004d0a18b8001a4ca5a4 >> 42) & ODD);
        x = a >> 168;
        e += x * (0x3d3d0ba1000222e6e580077b5ff2f00110ed5298005153c3c1 & EVEN);
        o += x * ((0x3d3d0ba1000222e6e580077b5ff2f00110ed5298005153c3c1 >> 42) & ODD);
        return joinLanes(e, o);
    }
}

/// @dev `x^e mod p`.
function powBase(uint256 x, uint256 e) pure returns (uint256 r) {
    assembly {
        r := 1
        for {} e {} {
            if and(e, 1) { r := mulmod(r, x, P) }
            x := mulmod(x, x, P)
            e := shr(1, e)
        }
    }
}

/// @dev `1 / a`, reduced; zero is refused. The product of `a` with its conjugates is in the base field.
function inverseExt(uint256 a) pure returns (uint256) {
    a = reduceExt(a);
    if (a == 0) revert FinalProofRefused(CHECK_DIVISION);
    uint256 conjugates = frobenius(mulExt(a, frobenius(a)));
    conjugates = mulExt(conjugates, frobenius(frobenius(conjugates)));
    uint256 norm = mulExt(a, conjugates);
    return scaleExt(conjugates, powBase(norm & MASK_42, P - 2));
}

/// @dev `a^e`.
function powExt(uint256 a, uint256 e) pure returns (uint256 r) {
    unchecked {
        r = 1;
        while (e != 0) {
            if (e & 1 == 1) r = mulExt(r, a);
            e >>= 1;
            if (e != 0) a = mulExt(a, a);
        }
    }
}

/// @dev Turns the bytes of each group of four around.
function swapGroups(uint256 w) pure returns (uint256) {
    w = ((w >> 8) & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff)
        | ((w & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff) << 8);
    return ((w >> 16) & 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff)
        | ((w & 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff) << 16);
}

/// @dev Refuses eight numbers of 32 bits unless each is below p.
function requireCanonical(uint256 w) pure {
    unchecked {
        // x + 2^24 - 1 reaches 2^31 exactly when x >= p. A carry out of a group needs x >= 2^31, which is refused already.
        uint256 reach = w + 0x00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff;
        if ((w | reach) & 0x8000000080000000800000008000000080000000800000008000000080000000 != 0) {
            revert FinalProofRefused(CHECK_CANONICAL);
        }
    }
}

/// @dev The element in the first twenty bytes of a word: its coordinates in Montgomery form, least significant byte first. Refuses coordinates from p on.
function decodeExt(uint256 w) pure returns (uint256 r) {
    w = swapGroups(w) & 0xffffffffffffffffffffffffffffffffffffffff000000000000000000000000;
    requireCanonical(w);
    assembly {
        r := shr(224, w)
        r := or(r, and(shr(150, w), 0x3fffffffc0000000000))
        r := or(r, and(shr(76, w), 0xffffffff000000000000000000000))
        r := or(r, and(shr(2, w), 0x3fffffffc0000000000000000000000000000000))
        r := or(r, and(shl(72, w), 0xffffffff000000000000000000000000000000000000000000))
    }
}

/// @dev The same, out of Montgomery form.
function decodeCanonical(uint256 w) pure returns (uint256 r) {
    w = swapGroups(w) & 0xffffffffffffffffffffffffffffffffffffffff000000000000000000000000;
    requireCanonical(w);
    assembly {
        r := mulmod(shr(224, w), MONTGOMERY_INVERSE, P)
        r := or(r, shl(42, mulmod(and(shr(192, w), 0xffffffff), MONTGOMERY_INVERSE, P)))
        r := or(r, shl(84, mulmod(and(shr(160, w), 0xffffffff), MONTGOMERY_INVERSE, P)))
        r := or(r, shl(126, mulmod(and(shr(128, w), 0xffffffff), MONTGOMERY_INVERSE, P)))
        r := or(r, shl(168, mulmod(and(shr(96, w), 0xffffffff), MONTGOMERY_INVERSE, P)))
    }
}

/// @dev The first twenty bytes of a word for a reduced element: the inverse of `decodeExt`.
function encodeExt(uint256 a) pure returns (uint256) {
    unchecked {
        uint256 w = (a & MASK_42) << 224;
        w |= ((a >> 42) & MASK_42) << 192;
        w |= ((a >> 84) & MASK_42) << 160;
        w |= ((a >> 126) & MASK_42) << 128;
        w |= (a >> 168) << 96;
        return swapGroups(w);
    }
}

/// @dev `sum of x_i y_i` for `n` reduced elements `y_i` at `ys`; the coordinates of `x_i` lie spread in two words at `xs`.
function dotExt(uint256 xs, uint256 ys, uint256 n) pure returns (uint256) {
    uint256 w0;
    uint256 w2;
    uint256 w4;
    uint256 v1;
    uint256 v3;
    uint256 v5;
    assembly {
        for { let end := add(ys, shl(5, n)) } lt(ys, end) { ys := add(ys, 32) } {
            let e := mload(xs)
            let o := mload(add(xs, 32))
            let y := mload(ys)
            let c := and(y, MASK_42)
            w0 := add(w0, mul(c, e))
            v1 := add(v1, mul(c, o))
            c := and(shr(42, y), MASK_42)
            v1 := add(v1, mul(c, e))
            w2 := add(w2, mul(c, o))
            c := and(shr(84, y), MASK_42)
            w2 := add(w2, mul(c, e))
            v3 := add(v3, mul(c, o))
            c := and(shr(126, y), MASK_42)
            v3 := add(v3, mul(c, e))
            w4 := add(w4, mul(c, o))
            c := shr(168, y)
            w4 := add(w4, mul(c, e))
            v5 := add(v5, mul(c, o))
            xs := add(xs, 64)
        }
    }
    return foldDegrees(w0, w2, w4, v1, v3, v5);
}

/// @dev `sum of x_i y_i` for base-field elements `y_i`, four bytes each at `ys`, eight at a time; the coordinates of `x_i` lie spread in two words at `xs`.
/// `words` groups of eight are read, so `xs` is padded with zeros. Refuses `y_i` from p on.
function dotBase(uint256 xs, uint256 ys, uint256 words) pure returns (uint256) {
    uint256 e;
    uint256 o;
    uint256 high;
    assembly {
        for { let end := add(ys, shl(5, words)) } lt(ys, end) { ys := add(ys, 32) } {
            // As `swapGroups` and `requireCanonical`; here because this is called for every row.
            let w := mload(ys)
            w := or(
                and(shr(8, w), 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff),
                shl(8, and(w, 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff))
            )
            w := or(
                and(shr(16, w), 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff),
                shl(16, and(w, 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff))
            )
            high := or(high, or(w, add(w, 0x00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff)))
            let y := shr(224, w)
            e := add(e, mul(y, mload(xs)))
            o := add(o, mul(y, mload(add(xs, 0x20))))
            y := and(shr(192, w), 0xffffffff)
            e := add(e, mul(y, mload(add(xs, 0x40))))
            o := add(o, mul(y, mload(add(xs, 0x60))))
            y := and(shr(160, w), 0xffffffff)
            e := add(e, mul(y, mload(add(xs, 0x80))))
            o := add(o, mul(y, mload(add(xs, 0xa0))))
            y := and(shr(128, w), 0xffffffff)
            e := add(e, mul(y, mload(add(xs, 0xc0))))
            o := add(o, mul(y, mload(add(xs, 0xe0))))
            y := and(shr(96, w), 0xffffffff)
            e := add(e, mul(y, mload(add(xs, 0x100))))
            o := add(o, mul(y, mload(add(xs, 0x120))))
            y := and(shr(64, w), 0xffffffff)
            e := add(e, mul(y, mload(add(xs, 0x140))))
            o := add(o, mul(y, mload(add(xs, 0x160))))
            y := and(shr(32, w), 0xffffffff)
            e := add(e, mul(y, mload(add(xs, 0x180))))
            o := add(o, mul(y, mload(add(xs, 0x1a0))))
            y := and(w, 0xffffffff)
            e := add(e, mul(y, mload(add(xs, 0x1c0))))
            o := add(o, mul(y, mload(add(xs, 0x1e0))))
            xs := add(xs, 0x200)
        }
    }
    if (high & 0x8000000080000000800000008000000080000000800000008000000080000000 != 0) {
        revert FinalProofRefused(CHECK_CANONICAL);
    }
    return joinLanes(e, o);
}
