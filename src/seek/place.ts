/**
 * Where an object lies in a layer.
 *
 * @module
 */

/** A file's content as it is stored in the uncompressed layer: in one piece, without its holes. */
export interface ObjectPlace {
  /** Bytes of the object, holes included: as the signed image says, not as the index does. */
  readonly size: number;
  /** Which of the index's layers. */
  readonly layer: number;
  /** Where the stored bytes start in the uncompressed layer. */
  readonly offset: number;
  /** How many bytes are stored. */
  readonly stored: number;
  /**
   * Of a sparse file: offset in the object and length of each stored segment, alternately, ascending
   * and without overlap. They follow one another in the layer; everything else is zeros.
   */
  readonly segments: readonly number[] | undefined;
}

/** Some bytes of an object: as they are stored in the layer, or a hole. */
export interface Piece {
  readonly stored: boolean;
  readonly length: number;
}

/** The bytes from `start` up to and without `end` of an object. */
export interface PlacedRange {
  /** Where the first stored byte lies in the uncompressed layer. */
  readonly offset: number;
  /** How many stored bytes are wanted, from there on. */
  readonly stored: number;
  /** What the range is made of, in order. */
  readonly pieces: readonly Piece[];
}

/** What of a place holds a range of its object; the caller has checked that the object has it. */
export function rangeOf(place: ObjectPlace, start: number, end: number): PlacedRange {
  if (place.segments === undefined) {
    const stored = end - start;
    const pieces = stored > 0 ? [{ stored: true, length: stored }] : [];
    return { offset: place.offset + start, stored, pieces };
  }
  const pieces: Piece[] = [];
  let at = start;
  let passed = 0; // stored bytes of the segments before
  let first: number | undefined;
  let stored = 0;
  const add = (piece: Piece) => {
    if (piece.length <= 0) return;
    pieces.push(piece);
    at += piece.length;
  };
  for (let i = 0; i < place.segments.length && at < end; i += 2) {
    const from = place.segments[i]!;
    const length = place.segments[i + 1]!;
    if (from + length > at) {
      add({ stored: false, length: Math.min(from, end) - at });
      const wanted = Math.min(from + length, end) - at;
      if (at < end && wanted > 0) {
        first ??= passed + at - from;
        stored += wanted;
        add({ stored: true, length: wanted });
      }
    }
    passed += length;
  }
  add({ stored: false, length: end - at });
  return { offset: place.offset + (first ?? 0), stored, pieces };
}
