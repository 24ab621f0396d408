// The tables of RFC 3454 that SASLprep uses, as ranges of code points. Those that NFKC never leaves in a text are in or
// out as is shorter, since only normalised texts are looked up in the last four. test/stringprep.test.ts compares them
// with another implementation's.

/** The code points of a table: the first and last of each range, in order. */
export type Table = readonly number[]

/** C.1.2: spaces beyond ASCII. */
export const SPACES: Table = hexadecimal('a0 1680 2000-200b 202f 205f 3000')

/** B.1: commonly mapped to nothing. */
export const NOTHING: Table = hexadecimal('ad 34f 1806 180b-180d 200c-200d 2060 fe00-fe0f feff')

/** C.2.1 to C.9 without C.1.1: prohibited. */
export const PROHIBITED: Table = hexadecimal(
  '0-1f 7f-9f 6dd 70f 180e 200e-200f 2028-202e 2061-2063 206a-206f 2ff0-2ffb d800-f8ff fdd0-fdef fff9-ffff ' +
    '1d173-1d17a 1fffe-1ffff 2fffe-2ffff 3fffe-3ffff 4fffe-4ffff 5fffe-5ffff 6fffe-6ffff 7fffe-7ffff ' +
    '8fffe-8ffff 9fffe-9ffff afffe-affff bfffe-bffff cfffe-cffff dfffe-dffff e0001 e0020-e007f efffe-ffffd ' +
    '100000-10ffff',
)

/** D.1: characters with the property R or AL. */
export const RIGHT_TO_LEFT: Table = hexadecimal(
  '5be 5c0 5c3 5d0-5ea 5f0-5f4 61b 61f 621-63a 640-64a 66d-66f 671-6d5 6e5-6e6 6fa-6fe 700-70d 710 712-72c ' +
    '780-7a5 7b1 fe73',
)

/** D.2: characters with the property L. */
export const LEFT_TO_RIGHT: Table = differences(
  '1t-p 7-p 1y-m 2-u 2-88 2-h t-2l e-6 f-1 t 48-4 2 2-j 2-17 9-s d-3m 8-1w 2-11 3-1 7-f y-11 3-6 2-11 3 oq ' +
    '2-1g 4-3 9-3 4 g-1 3-c i-1 2-7 3-1 3-l 2-6 2 4-3 5-2 7-1 3-1 b 9-1 5-b 3-6 b-5 5-1 3-l 2-6 2 3 3-1 5-2 s ' +
    'a-9 3-2 f 2-6 2 2-2 2-l 2-6 2-1 2-4 4-3 9 2-1 4 g 6-9 j-1 2-7 3-1 3-l 2-6 2-1 3-3 4-1 2 7-1 3-1 b 8-2 ' +
    '5-a j 2-5 4-2 2-3 4-1 2 2-1 4-1 4-2 4-7 2-2 5-1 2-1 4-2 2-2 b g-b f-2 2-7 2-2 2-m 2-9 2-4 8-3 s-1 5-9 ' +
    'j-1 2-7 2-2 2-m 2-9 2-4 5 2-4 3-1 2-1 a-1 8 2-1 5-9 j-1 2-7 2-2 2-m 2-f 5-2 6-2 2-2 b 9-1 5-9 j-1 2-h ' +
    '4-n 2-8 2 3-6 9-2 7-7 j-2 d-1b 2 e-6 9-c 12-1 2 3-1 2 3 7-3 2-6 2-2 2 2 3-1 2-3 2 b 3-4 2 a-9 13-n 3-q 2 ' +
    '2 6-9 2-x l 6 3-3 1f-7 2-5 3 1d-x 2-4 2-1 2 5 7 8-n 21-11 b-14 3 5-2h 6-1v 6-29 7-6 2-1q 2 2-3 3-6 2 2-3 ' +
    '3-12 2 2-3 3-u 2 2-3 3-6 2 2-3 3-6 2-6 2-m 2-u 2 2-3 3-6 2-12 2-i 7-r 10-2c d-hh b-p 6-28 g-c 2-3 f-h ' +
    '4-1 a-h f-c 2-2 g-1i 8-7 2-1 c-6 2 4-9 13-9 7-2f 9-14 120-49 7-2h 7-l 3-5 3-11 3-5 3-7 2 2 2 2-t 4-1g ' +
    '2-e 2-c 4-4 6-c 6-2 2-6 as-3 c3-1w r 2gg-2 q-8 8-4 6-1 5-2d 7-1 3-2h 2-2 7-13 2s-13 1l-f 3k-5di 23-g4l ' +
    '2j-wc 1h0-8mb 6sr-r 1qv-u 2-3 d-q 52-11 3-11 148j-6t b-12 4-1o 4-8 h-1 8-t 5-1b 943-wye',
)

/** A.1: unassigned in Unicode 3.2. */
export const UNASSIGNED: Table = differences(
  'f5 j-r 2n-1 1s-g 29-f h-3 3-d 8 2 l 19 14-8 3s 20 13-1 3-5 h-w 13-1 8 14 3-5 i o b-a s-4 6-m 2-d 2-2 2 ' +
    'r-4 n-9 3z-1 g f v-2 s-1g 1f-9a 4 1i-1 j-1 6-2 q-f 4 9-1 3-1 n 8 2-2 5-1 2 8-1 3-1 4-8 2-6 6-1 m-6 2-1 ' +
    '7-3 3-1 n 8 3 3 3-1 2 6-3 3-1 4-a 5-8 g-b 4 8 2 4 n 8 3 6-1 b 4 4-1 2-e 2-4 b-g 4 9-1 3-1 n 8 3-1 5-1 ' +
    '9-2 3-1 4-7 3-6 4-3 c-g 3 7-2 4 5-2 3 2 3-2 3-2 4-2 9 4-3 6-2 4 5-8 2-e d-d 4 9 4 o b 6-3 8 4 5-6 3-8 ' +
    '3-3 b-h 3 9 4 o b 6-3 8 4 5-6 3-6 2 3-3 b-h 3 9 4 o h-3 7-1 4 5-8 2-7 3-3 b-h 3 j-2 p a 2-1 8-2 2-3 7 2 ' +
    '9-h 4-b 1n-3 u-10 3 2-1 3 2-1 2-5 5 8 4 2 2-1 3 e 4-1 6 2 7-1 b-11 21 z-5 s-3 9 11 g-1 2-1b z 6 3 8-2 ' +
    '5-5 r-1x 13-9 16-1 3-2 2j-4 1x-4 2b-5 8 1s 2 5-1 8 2 5-1 14 2 5-1 w 2 5-1 8 2 5-1 8 8 o w 2 5-1 8 14 k-5 ' +
    't-y 2e-b hj-8 u-2 2a-e e 8-a o-8 l-b e 4 3-b 2m-2 b-l g b-5 2h-7 17-11x 4d-3 2j-5 n-1 7-1 13-1 7-1 9 2 2 ' +
    '2 w-1 1i g f-1 7 k-1 4 a 2c-b 6-5 9-19 j-t s-k 25-3 1h-b g0-1c 14-o c-k 4g 7p-1 3 2u-1 b-3a 5 5-1 t 10 2 ' +
    '5-2 2 8-1 1h-2 p f-g t-3 lt-ov r 2i-6z d-3 1t 2f-1 2w-4 15-2q 15-1j 1c-1c 5ev-21 g4n-2h we-2 1k-1fc ' +
    '8md-2j 6sv-4u r-4b a6-3z 1a-2 r-5 5-b 10-s 6-3t 2-6w 8-lb w 5-b s-50 13-1 13-148h 6v-9 14-2 51-93z ' +
    'wyi-hly 3-1ekd 3-1ekd 3-1ekd 3-1ekd 3-1ekd 3-1ekd 3-1ekd 3-1ekd 3-1ekd 3-1ekd 3-1ekd 3 2-t 2p-1egt',
)

/** Reads `a0 2000-200b`. */
function hexadecimal(text: string): number[] {
  return text.split(' ').flatMap(range => {
    const [first = '', last = first] = range.split('-')
    return [parseInt(first, 16), parseInt(last, 16)]
  })
}

/** Reads ranges in base 36: how far each begins behind the last of the one before, and how far it reaches. */
function differences(text: string): number[] {
  let at = 0
  return text.split(' ').flatMap(range => {
    const [distance = '', length = '0'] = range.split('-')
    const first = at + parseInt(distance, 36)
    at = first + parseInt(length, 36)
    return [first, at]
  })
}
